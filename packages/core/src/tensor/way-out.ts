import { isBranded } from './brand.js';

// What to write instead for objects of other libraries that cannot be read as they are. By their methods: none of these libraries is a dependency.

/** The names of members that are functions. */
function hasMethods(value: object, ...names: readonly string[]): boolean {
  return names.every((name) => typeof Reflect.get(value, name) === 'function');
}

/** The expression that reads an object, which it calls x; null if there is none that we know of. */
export function wayOut(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || value instanceof Promise) return null;
  if (isBranded(value)) return 'await x.to(backend)';
  if (hasMethods(value, 'dataSync', 'arraySync', 'dispose')) {
    // TensorFlow.js: unlike those of array(), the elements of data() have the dtype.
    return 'tensor(await x.data(), { shape: x.shape }), or without a copy backend.fromTf(x) of @softgrad/backend-tfjs';
  }
  // jax-js: data() uses up a reference.
  if (hasMethods(value, 'jsAsync', 'data')) return 'tensor(await x.ref.data(), { shape: x.shape })';
  if (hasMethods(value, 'to2DArray')) return 'x.to2DArray()';
  if ('schema' in value && hasMethods(value, 'getChild')) {
    return 'x.schema.fields.map(({ name }) => x.getChild(name).toArray()), whose shape is (columns, rows)';
  }
  if (hasMethods(value, 'columnNames', 'array')) {
    return 'x.columnNames().map((name) => Float64Array.from(x.array(name))), whose shape is (columns, rows)';
  }
  if (hasMethods(value, 'toArray')) return 'x.toArray()';
  if ('values' in value && Array.isArray(value.values)) return 'x.values';
  if (typeof Reflect.get(value, 'length') === 'number' || Symbol.iterator in value) return 'Array.from(x)';
  return null;
}
