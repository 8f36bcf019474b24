import { isBranded } from './brand.js';

// What to write instead for objects of other libraries that cannot be read as they are. By their methods: none of these libraries is a dependency.

/** The names of members that are functions. */
function hasMethods(value: object, ...names: readonly string[]): boolean {
  return names.every((name) => typeof Reflect.get(value, name) === 'function');
}

/** Arrow's numbers of its types, and the precision of its float16. */
const arrow = { float: 3, decimal: 7, list: 12, fixedSizeList: 16, half: 0 };

interface ArrowType {
  readonly typeId: number;
  readonly precision?: number;
  readonly children?: readonly { readonly type: ArrowType }[] | null;
}

/** The type of an Arrow column, or null. */
function arrowType(value: object): ArrowType | null {
  if (!hasMethods(value, 'getChildAt', 'toArray')) return null;
  const type: unknown = Reflect.get(value, 'type');
  return typeof type === 'object' && type !== null && 'typeId' in type ? (type as ArrowType) : null;
}

function isHalf({ typeId, precision }: ArrowType): boolean {
  return typeId === arrow.float && precision === arrow.half;
}

/** Types whose `toArray()` does not return the values: rows that are Arrow columns, or the words of a decimal. */
function isNested({ typeId }: ArrowType): boolean {
  return typeId === arrow.decimal || typeId === arrow.list || typeId === arrow.fixedSizeList;
}

/** `toArray()` returns the bits of float16 as integers, so the type has to be given. */
function arrowColumn(type: ArrowType): string | null {
  if (isHalf(type)) return "{ data: x.toArray(), shape: [x.length], type: 'float16' }";
  if (!isNested(type)) return 'x.toArray()';
  const entries = type.children?.[0]?.type;
  if (entries === undefined || isNested(entries)) return null;
  if (type.typeId === arrow.fixedSizeList) {
    const half = isHalf(entries) ? ", type: 'float16'" : '';
    return `{ data: x.getChildAt(0).toArray(), shape: [x.length, x.type.listSize]${half} }`;
  }
  return `Array.from(x, (row) => ${isHalf(entries) ? 'Array.from(row)' : 'row.toArray()'})`;
}

function arrowTable(schema: unknown): string {
  const { fields } = schema as { readonly fields: readonly { readonly type: ArrowType }[] };
  if (fields.some(({ type }) => isNested(type))) return 'one of its columns, x.getChild(name)';
  // Arrow decodes float16 when it iterates.
  const column = fields.some(({ type }) => isHalf(type))
    ? 'Array.from(x.getChild(name))'
    : 'x.getChild(name).toArray()';
  return `x.schema.fields.map(({ name }) => ${column}), whose shape is (columns, rows)`;
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
  if ('schema' in value && hasMethods(value, 'getChild')) return arrowTable(value.schema);
  const column = arrowType(value);
  if (column !== null) return arrowColumn(column);
  if (hasMethods(value, 'columnNames', 'array')) {
    return 'x.columnNames().map((name) => Float64Array.from(x.array(name))), whose shape is (columns, rows)';
  }
  if (hasMethods(value, 'toArray')) return 'x.toArray()';
  if ('values' in value && Array.isArray(value.values)) return 'x.values';
  // The entries of a Map are pairs of a key and a value.
  if (Object.prototype.toString.call(value) === '[object Map]') return null;
  if (typeof Reflect.get(value, 'length') === 'number' || Symbol.iterator in value) return 'Array.from(x)';
  return null;
}
