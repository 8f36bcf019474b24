import type { DataType, KernelBackend, TensorInfo } from '@tensorflow/tfjs-core';
import { type Combination, combinations, type Emitted, emit, exponentialParts, type Language } from './expression.js';
import { flat, type GpuPrograms } from './lazy.js';
import { type Shape, sizeOf } from './verbs.js';

/** The part of tfjs's `WebGPUBackend` that is used here to run custom programs. */
export interface WebGpuInstance extends KernelBackend {
  runWebGPUProgram(
    program: WebGpuProgram,
    inputs: TensorInfo[],
    outputDtype: DataType,
    programDefinedUniform: { readonly type: 'int32' | 'float32'; readonly data: number[] }[],
  ): TensorInfo;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  readonly device: WebGpuDevice;
}

/** The part of `GPUDevice` that is used here. */
export interface WebGpuDevice {
  readonly lost: Promise<{ readonly message: string }>;
  readonly limits: { readonly maxStorageBufferBindingSize: number; readonly maxBufferSize: number };
  readonly adapterInfo?: { readonly vendor: string; readonly architecture: string };
  readonly queue: { onSubmittedWorkDone(): Promise<undefined> };
}

interface WebGpuProgram {
  readonly variableNames: string[];
  readonly outputShape: number[];
  readonly workgroupSize: [number, number, number];
  readonly dispatchLayout: { readonly x: number[] };
  readonly dispatch: [number, number, number];
  readonly size: true;
  readonly uniforms: string;
  readonly shaderKey: string;
  getUserCode(): string;
}

const workgroup = 64;

const declare: Language['declare'] = (name, value) => `let ${name} = ${value};`;

/** WGSL lets an implementation assume that there is no NaN and no infinity, so they are detected by their bits. */
const prelude = `
fn isNotANumber(x : f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn powerOf2(n : i32) -> f32 { return bitcast<f32>((n + 127) << 23u); }
fn exponential(x : f32, lost : f32) -> f32 {
  ${exponentialParts(declare)}
  let lower = i32(n) >> 1u;
  return select((p * powerOf2(lower)) * powerOf2(i32(n) - lower), x, isNotANumber(x));
}
fn logarithm(x : f32) -> f32 {
  if (isNotANumber(x)) { return x; }
  if (x == 0.0) { return -uniforms.INFINITY; }
  if (x < 0.0) { return uniforms.NAN; }
  if (x == uniforms.INFINITY) { return x; }
  return log(x);
}
fn larger(a : f32, b : f32) -> f32 {
  if (isNotANumber(a)) { return a; }
  if (isNotANumber(b)) { return b; }
  return max(a, b);
}
fn smaller(a : f32, b : f32) -> f32 {
  if (isNotANumber(a)) { return a; }
  if (isNotANumber(b)) { return b; }
  return min(a, b);
}
fn positionOf(index : i32) -> vec4<i32> {
  let shape = uniforms.shape;
  let rest = index / shape.w;
  return vec4<i32>(rest / shape.z / shape.y, rest / shape.z % shape.y, rest % shape.z, index % shape.w);
}
`;

const wgsl: Language = {
  declare,
  load: (k, index) => `f32(x${k}[${index}])`,
  toFloat: (integer) => `f32(${integer})`,
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
    equal: (a, b) => `select(0.0, 1.0, ${a} == ${b})`,
    leading: (x) => `bitcast<f32>(bitcast<u32>(${x}) & 0xfffff000u)`,
    select: (condition, a, b) => `select(${b}, ${a}, ${condition} > 0.0)`,
  },
};

/** Programs of tfjs's webgpu engine, over flat storage buffers. */
export function webgpuPrograms(instance: WebGpuInstance): GpuPrograms {
  const run = (code: Emitted, shape: Shape, main: string, integers: Readonly<Record<string, number>>): TensorInfo => {
    const inputs = code.inputs.map(({ info }) => info);
    const names = {
      integers4: ['shape', ...code.inputs.map((_, k) => `stride${k}`)],
      floats: code.constants.map((_, k) => `constant${k}`),
      integers: Object.keys(integers),
    };
    const uniforms = [
      ...names.integers4.map((name) => `${name} : vec4<i32>, `),
      ...names.floats.map((name) => `${name} : f32, `),
      ...names.integers.map((name) => `${name} : i32, `),
    ].join('');
    const locals = [...names.integers4.slice(1), ...names.floats].map((name) => `let ${name} = uniforms.${name};`);
    const source = `${prelude}
fn valueAt(at : vec4<i32>) -> f32 {
  ${locals.join('\n  ')}
  ${code.statements}
  return ${code.result};
}
fn main(index : i32) {
  if (index >= uniforms.size) { return; }
  let at = positionOf(index);
  ${main}
}`;
    const outputShape = flat(shape);
    return instance.runWebGPUProgram(
      {
        variableNames: inputs.map((_, k) => `x${k}`),
        outputShape,
        workgroupSize: [workgroup, 1, 1],
        dispatchLayout: { x: [0] },
        dispatch: [Math.ceil(sizeOf(shape) / workgroup), 1, 1],
        size: true,
        uniforms,
        shaderKey: source,
        getUserCode: () => source,
      },
      inputs,
      'float32',
      [
        { type: 'int32', data: [...shape] },
        ...code.inputs.map(({ strides }) => ({ type: 'int32' as const, data: [...strides] })),
        ...code.constants.map((value) => ({ type: 'float32' as const, data: [value] })),
        ...Object.values(integers).map((value) => ({ type: 'int32' as const, data: [value] })),
      ],
    );
  };
  return {
    map: (expression, shape) => run(emit(expression, wgsl), shape, 'setOutputAtIndex(index, valueAt(at));', {}),
    reduce: (op, expression, shape, window) =>
      run(emit(expression, wgsl), shape, reduction(reductions[op]), {
        window,
        total: expression.shape[2],
      }),
  };
}

const reductions = combinations(
  declare,
  'var lost = 0.0;',
  'select(result + lost, result, (bitcast<u32>(lost) & 0x7f800000u) == 0x7f800000u)',
);

function reduction({ before, step, result }: Combination): string {
  return `let first = at.z * uniforms.window;
  let end = min(first + uniforms.window, uniforms.total);
  var result = valueAt(vec4<i32>(at.xy, first, at.w));
  ${before}
  for (var k = first + 1; k < end; k++) {
    let next = valueAt(vec4<i32>(at.xy, k, at.w));
    ${step}
  }
  setOutputAtIndex(index, ${result});`;
}
