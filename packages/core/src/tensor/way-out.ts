import { isBranded } from './brand.js';

// What to write instead for objects of other libraries that cannot be read as they are. By their methods: none of these libraries is a dependency.

/** The names of members that are functions. */
function hasMethods(value: object, ...names: readonly string[]): boolean {
  return names.every((name) => typeof Reflect.get(value, name) === 'function');
}

/** Arrow's type of a column. In its enumeration Float is 3, Decimal 7, List 12 and FixedSizeList 16; the precision of float16 is 0. */
interface ArrowType {
  readonly typeId?: number;
  readonly precision?: number;
  readonly children?: readonly [{ readonly type: ArrowType }];
}

/** The expression for the values of an Arrow column: `toArray()` returns float16 and decimals as their bits, and lists as columns. */
function arrowValues({ typeId, precision, children }: ArrowType, column = 'x'): string | null {
  if (typeId === 7) return null;
  if (children && (typeId === 12 || typeId === 16)) {
    const row = arrowValues(children[0].type, 'row');
    return row && `Array.from(${column}, (row) => ${row})`;
  }
  return typeId === 3 && precision === 0 ? `Array.from(${column})` : `${column}.toArray()`;
}

function arrowTable(fields: readonly { readonly type: ArrowType }[]): string | null {
  const [first = null, ...others] = new Set(fields.map(({ type }) => arrowValues(type, 'x.getChild(name)')));
  if (first === null || others.includes(null)) return null;
  const values = others.length > 0 ? 'Array.from(x.getChild(name))' : first;
  return `x.schema.fields.map(({ name }) => ${values}), whose shape is (columns, rows)`;
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
    return arrowTable((value.schema as { readonly fields: readonly { readonly type: ArrowType }[] }).fields);
  }
  if (hasMethods(value, 'columnNames', 'array')) {
    return 'x.columnNames().map((name) => Float64Array.from(x.array(name))), whose shape is (columns, rows)';
  }
  if (hasMethods(value, 'toArray')) return arrowValues(Object(Reflect.get(value, 'type')));
  if ('values' in value && Array.isArray(value.values)) return 'x.values';
  // The entries of a Map are pairs of a key and a value.
  if (Object.prototype.toString.call(value) === '[object Map]') return null;
  if (typeof Reflect.get(value, 'length') === 'number' || Symbol.iterator in value) return 'Array.from(x)';
  return null;
}
