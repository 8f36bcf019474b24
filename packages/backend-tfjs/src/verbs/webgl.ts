import { SoftgradError } from '@softgrad/core';
import type { DataType, KernelBackend, TensorInfo } from '@tensorflow/tfjs-core';
import type { Core } from '../peers.js';
import { type Combination, combinations, type Emitted, emit, exponentialParts, type Language } from './expression.js';
import { flat, type GpuPrograms } from './lazy.js';
import type { Shape } from './verbs.js';

/** The part of tfjs's `MathBackendWebGL` that is used here to run custom programs. */
export interface WebGlInstance extends KernelBackend {
  runWebGLProgram(
    program: WebGlProgram,
    inputs: TensorInfo[],
    outputDtype: DataType,
    customUniformValues: number[][],
  ): TensorInfo;
  uploadToGPU(dataId: object): void;
  unpackTensor(input: TensorInfo): TensorInfo;
  getDataInfo(dataId: object): { readonly isPacked?: boolean };
  getGPGPUContext(): { readonly gl: WebGL2RenderingContext; createAndWaitForFence(): Promise<void> };
}

interface WebGlProgram {
  readonly variableNames: string[];
  readonly outputShape: number[];
  readonly enableShapeUniforms: true;
  readonly customUniforms: { readonly name: string; readonly type: 'int' | 'ivec4' | 'float' }[];
  readonly userCode: string;
}

const declare: Language['declare'] = (name, value) => `float ${name} = ${value};`;

/**
 * GLSL ES 3.00 does not specify max and min of NaN and log(0). NaN is detected by its bits, because a
 * compiler may assume that `x != x` is false.
 */
const prelude = `
bool isNotANumber(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }
float powerOf2(int n) { return intBitsToFloat((n + 127) << 23); }
float exponential(float x, float lost) {
  if (isNotANumber(x)) { return x; }
  ${exponentialParts(declare)}
  int lower = int(n) >> 1;
  return (p * powerOf2(lower)) * powerOf2(int(n) - lower);
}
float logarithm(float x) {
  return isNotANumber(x) ? x : x == 0.0 ? uintBitsToFloat(0xff800000u) : x < 0.0 ? uintBitsToFloat(0x7fc00000u) : log(x);
}
float larger(float a, float b) { return isNotANumber(a) ? a : isNotANumber(b) ? b : max(a, b); }
float smaller(float a, float b) { return isNotANumber(a) ? a : isNotANumber(b) ? b : min(a, b); }
ivec4 positionOf(int index) {
  int rest = index / shape.w;
  return ivec4(rest / shape.z / shape.y, rest / shape.z % shape.y, rest % shape.z, index % shape.w);
}
`;

const glsl: Language = {
  declare,
  load: (k, index) => `getX${k}(${index})`,
  toFloat: (integer) => `float(${integer})`,
  operation: {
    neg: (x) => `-${x}`,
    exp: (x, lost = '0.0') => `exponential(${x}, ${lost})`,
    log: (x) => `logarithm(${x})`,
    add: (a, b) => `${a} + ${b}`,
    sub: (a, b) => `${a} - ${b}`,
    mul: (a, b) => `${a} * ${b}`,
    div: (a, b) => `${a} / ${b}`,
    max: (a, b) => `larger(${a}, ${b})`,
    min: (a, b) => `smaller(${a}, ${b})`,
    equal: (a, b) => `${a} == ${b} ? 1.0 : 0.0`,
    leading: (x) => `uintBitsToFloat(floatBitsToUint(${x}) & 0xfffff000u)`,
    select: (condition, a, b) => `${condition} > 0.0 ? ${a} : ${b}`,
  },
};

const shapeUniforms = 'WEBGL_USE_SHAPES_UNIFORMS';

/**
 * Runs work in which tfjs uploads or reads a texture. It does so by a program, which it would compile anew for each size unless sizes are uniforms;
 * the flag is asked for when the program is made, and the user's own programs stay as they are.
 */
export function withShapeUniforms<T>(core: Core, work: () => T): T {
  const flags = core.env();
  const before = flags.getBool(shapeUniforms);
  flags.set(shapeUniforms, true);
  try {
    return work();
  } finally {
    flags.set(shapeUniforms, before);
  }
}

/**
 * Programs of tfjs's webgl engine, over unpacked textures addressed as flat arrays.
 *
 * @param transfer runs work in which tfjs uploads data
 */
export function webglPrograms(instance: WebGlInstance, transfer: <T>(work: () => T) => T): GpuPrograms {
  const run = (code: Emitted, shape: Shape, main: string, integers: Readonly<Record<string, number>>): TensorInfo => {
    const strides = code.inputs.map((_, k) => ({ name: `stride${k}`, type: 'ivec4' as const }));
    const constants = code.constants.map((_, k) => ({ name: `constant${k}`, type: 'float' as const }));
    const sizes = Object.keys(integers).map((name) => ({ name, type: 'int' as const }));
    const inputs = code.inputs.map(({ info }) => transfer(() => uploaded(instance, info)));
    const result = instance.runWebGLProgram(
      {
        variableNames: inputs.map((_, k) => `x${k}`),
        outputShape: flat(shape),
        enableShapeUniforms: true,
        customUniforms: [{ name: 'shape', type: 'ivec4' }, ...strides, ...constants, ...sizes],
        userCode: `${prelude}
float valueAt(ivec4 at) {
  ${code.statements}
  return ${code.result};
}
void main() {
  ivec4 at = positionOf(getOutputCoords());
  ${main}
}`,
      },
      inputs,
      'float32',
      [
        [...shape],
        ...code.inputs.map(({ strides: steps }) => [...steps]),
        ...code.constants.map((value) => [value]),
        ...Object.values(integers).map((value) => [value]),
      ],
    );
    assertAllocated(instance, result);
    return result;
  };
  return {
    map: (expression, shape) => run(emit(expression, glsl), shape, 'setOutput(valueAt(at));', {}),
    reduce: (op, expression, shape, window) =>
      run(emit(expression, glsl), shape, reduction(reductions[op]), {
        window,
        total: expression.shape[2],
      }),
  };
}

/** Textures of this many floats, 16 MiB, are asked after; of smaller ones the question would cost more than the work. */
const largeTexture = 2 ** 22;

/** WebGL goes on where a texture found no memory, and gives zeros. @throws ERR_OUT_OF_MEMORY */
function assertAllocated(instance: WebGlInstance, { dataId, shape }: TensorInfo): void {
  const floats = shape.reduce((product, size) => product * size, 1);
  if (floats < largeTexture) return;
  const { gl } = instance.getGPGPUContext();
  if (gl.getError() !== gl.OUT_OF_MEMORY) return;
  instance.disposeData(dataId);
  throw new SoftgradError(
    'ERR_OUT_OF_MEMORY',
    `tfjs (webgl): cannot allocate a texture of ${floats} floats: free results that are no longer needed, by scope(), using, dispose() or out, or work in parts`,
  );
}

const reductions = combinations(
  declare,
  'float lost = 0.0;',
  '(floatBitsToUint(lost) & 0x7f800000u) == 0x7f800000u ? result : result + lost',
);

function reduction({ before, step, result }: Combination): string {
  return `int first = at.z * window;
  int end = min(first + window, total);
  float result = valueAt(ivec4(at.xy, first, at.w));
  ${before}
  for (int k = first + 1; k < end; k++) {
    float next = valueAt(ivec4(at.xy, k, at.w));
    ${step}
  }
  setOutput(${result});`;
}

/**
 * Uploads the operand. Otherwise tfjs computes operations on small operands that are still on the host in JavaScript, or
 * passes them as uniforms of a program that is compiled for their size.
 */
function uploaded(instance: WebGlInstance, { dataId, shape, dtype }: TensorInfo): TensorInfo {
  instance.uploadToGPU(dataId);
  return { dataId, shape, dtype };
}
