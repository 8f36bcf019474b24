import type { KernelBackend } from '@tensorflow/tfjs-core';
import { emit, type Language } from '../src/verbs/expression.js';
import type { GpuPrograms } from '../src/verbs/lazy.js';
import { type Shape, sizeOf } from '../src/verbs/verbs.js';

type Position = Readonly<Record<'x' | 'y' | 'z' | 'w', number>>;

const ieee: Language['operation'] = {
  neg: (x) => `-${x}`,
  exp: (x, lost = '0') => `Math.exp(${x} + ${lost})`,
  log: (x) => `Math.log(${x})`,
  add: (a, b) => `${a} + ${b}`,
  sub: (a, b) => `${a} - ${b}`,
  mul: (a, b) => `${a} * ${b}`,
  div: (a, b) => `${a} / ${b}`,
  max: (a, b) => `Math.max(${a}, ${b})`,
  min: (a, b) => `Math.min(${a}, ${b})`,
  equal: (a, b) => `${a} === ${b} ? 1 : 0`,
  leading: (x) => `((c) => c - Math.fround(c - ${x}))(Math.fround(4097 * ${x}))`,
  select: (condition, a, b) => `${condition} > 0 ? ${a} : ${b}`,
};

/**
 * Does in JavaScript, on an engine with data on the host, what webgl.ts and webgpu.ts do on a GPU. So Node runs the same programs as a GPU,
 * except for the shading language.
 *
 * @param faults operations with wrong results
 */
export function interpretedPrograms(instance: KernelBackend, faults: Partial<Language['operation']> = {}): GpuPrograms {
  const javascript: Language = {
    declare: (name, value) => `const ${name} = Math.fround(${value});`,
    load: (k, index) => `inputs[${k}][${index}]`,
    toFloat: (integer) => integer,
    operation: { ...ieee, ...faults },
  };
  /** The value of an expression at any position. */
  const elementOf = (expression: Parameters<typeof emit>[0]): ((at: Position) => number) => {
    const { statements, result, inputs, constants } = emit(expression, javascript);
    const names = [...inputs.map((_, k) => `stride${k}`), ...constants.map((_, k) => `constant${k}`)];
    const program = compiled(names, `return (at) => { ${statements} return ${result}; };`);
    const arrays = inputs.map(({ info }) => instance.readSync(info.dataId));
    const strides = inputs.map(({ strides: [x, y, z, w] }) => ({ x, y, z, w }));
    return program(arrays, ...strides, ...constants);
  };
  const written = (shape: Shape, valueAt: (at: Position) => number) => {
    const values = new Float32Array(sizeOf(shape));
    const [end, at] = [
      { x: shape[0], y: shape[1], z: shape[2], w: shape[3] },
      { x: 0, y: 0, z: 0, w: 0 },
    ];
    let index = 0;
    for (at.x = 0; at.x < end.x; at.x++)
      for (at.y = 0; at.y < end.y; at.y++)
        for (at.z = 0; at.z < end.z; at.z++) for (at.w = 0; at.w < end.w; at.w++) values[index++] = valueAt(at);
    const flat = [values.length];
    return { dataId: instance.write(values, flat, 'float32'), shape: flat, dtype: 'float32' as const };
  };
  return {
    map: (expression, shape) => written(shape, elementOf(expression)),
    reduce(op, expression, shape, window) {
      const valueAt = elementOf(expression);
      const within = { x: 0, y: 0, z: 0, w: 0 };
      return written(shape, ({ x, y, z, w }) => {
        const first = z * window;
        const end = Math.min(first + window, expression.shape[2]);
        Object.assign(within, { x, y, z: first, w });
        let result = valueAt(within);
        let lost = 0;
        for (within.z = first + 1; within.z < end; within.z++) {
          const next = valueAt(within);
          const last = result;
          result = op === 'max' ? Math.max(last, next) : Math.fround(last + next);
          // The exact error of a sum of two float32 is a float32.
          if (op === 'sum') lost = Math.fround(lost + (last - result + next));
        }
        return Number.isFinite(lost) ? Math.fround(result + lost) : result;
      });
    },
  };
}

type Compiled = (inputs: readonly unknown[], ...uniforms: readonly unknown[]) => (at: Position) => number;

/** Each program is compiled once, as a GPU does. */
const programs = new Map<string, Compiled>();

function compiled(names: readonly string[], code: string): Compiled {
  const key = `${names.join()} ${code}`;
  const known = programs.get(key) ?? (new Function('inputs', ...names, code) as Compiled);
  programs.set(key, known);
  return known;
}
