import type { KernelBackend } from '@tensorflow/tfjs-core';
import { emit, type Language } from '../src/verbs/expression.js';
import type { GpuPrograms } from '../src/verbs/lazy.js';
import { type Shape, sizeOf } from '../src/verbs/verbs.js';

type Position = Readonly<Record<'x' | 'y' | 'z' | 'w', number>>;

const ieee: Language['operation'] = {
  neg: (x) => `-${x}`,
  exp: (x) => `Math.exp(${x})`,
  log: (x) => `Math.log(${x})`,
  add: (a, b) => `${a} + ${b}`,
  sub: (a, b) => `${a} - ${b}`,
  mul: (a, b) => `${a} * ${b}`,
  div: (a, b) => `${a} / ${b}`,
  max: (a, b) => `Math.max(${a}, ${b})`,
  min: (a, b) => `Math.min(${a}, ${b})`,
  equal: (a, b) => `${a} === ${b} ? 1 : 0`,
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
  const compiled = (expression: Parameters<typeof emit>[0]): ((at: Position) => number) => {
    const { statements, result, inputs, constants } = emit(expression, javascript);
    const names = [...inputs.map((_, k) => `stride${k}`), ...constants.map((_, k) => `constant${k}`)];
    const valueAt = new Function('inputs', 'at', ...names, `${statements} return ${result};`);
    const arrays = inputs.map(({ info }) => instance.readSync(info.dataId));
    const strides = inputs.map(({ strides: [x, y, z, w] }) => ({ x, y, z, w }));
    return (at) => valueAt(arrays, at, ...strides, ...constants);
  };
  const written = (shape: Shape, valueAt: (at: Position) => number) => {
    const values = Float32Array.from({ length: sizeOf(shape) }, (_, index) => valueAt(positionOf(index, shape)));
    const flat = [values.length];
    return { dataId: instance.write(values, flat, 'float32'), shape: flat, dtype: 'float32' as const };
  };
  return {
    map: (expression, shape) => written(shape, compiled(expression)),
    reduce(op, expression, shape, window) {
      const valueAt = compiled(expression);
      return written(shape, (at) => {
        const first = at.z * window;
        const end = Math.min(first + window, expression.shape[2]);
        let result = valueAt({ ...at, z: first });
        for (let z = first + 1; z < end; z++) {
          const next = valueAt({ ...at, z });
          result = op === 'max' ? Math.max(result, next) : Math.fround(result + next);
        }
        return result;
      });
    },
  };
}

function positionOf(index: number, [, y, z, w]: Shape): Position {
  const rest = Math.floor(index / w);
  return { x: Math.floor(rest / z / y), y: Math.floor(rest / z) % y, z: rest % z, w: index % w };
}
