import { isBranded } from './brand.js';

// What to write instead for objects of other libraries that cannot be read as they are. By their methods: none of these libraries is a dependency.

/** The names of members that are functions. */
function hasMethods(value: object, ...names: readonly string[]): boolean {
  return names.every((name) => typeof Reflect.get(value, name) === 'function');
}

/** Arrow's type of a column. The precision of float16 is 0. */
interface ArrowType {
  readonly typeId?: number;
  readonly precision?: number;
  readonly bitWidth?: number;
  readonly children?: readonly [{ readonly type: ArrowType }];
  readonly dictionary?: ArrowType;
}

/** A column of Arrow, a part of one, or the entries of its lists. */
interface ArrowData {
  readonly nullCount?: number;
  readonly data?: readonly ArrowData[];
  readonly children?: readonly ArrowData[];
}

interface ArrowColumn extends ArrowData {
  readonly type: ArrowType;
}

interface ArrowTable {
  readonly schema: { readonly fields: readonly { readonly name: string; readonly type: ArrowType }[] };
  getChild(name: string): ArrowData | null;
}

const filled = ', with what stands for its missing values';
const columnsFirst = ', whose shape is (columns, rows)';

/** Arrow leaves nulls out of `toArray()`, and JavaScript converts them to 0. */
function hasMissing(column: ArrowData | null): boolean {
  return (column?.nullCount ?? 0) > 0 || [column?.data ?? [], column?.children ?? []].flat().some(hasMissing);
}

function numbers(values: string, missing: boolean): string {
  return `Float64Array.from(${values}, ${missing ? '(value) => Number(value ?? NaN)' : 'Number'})`;
}

/**
 * The expression for the values of an Arrow column, null if they are not numbers. `toArray()` returns float16 and decimals as their
 * bits, 64-bit integers and times as BigInts, and lists as columns.
 */
function arrowValues(type: ArrowType, missing: boolean, column = 'x'): string | null {
  const { typeId = 0, precision, bitWidth, children, dictionary } = type;
  // In Arrow's enumeration, List is 12 and FixedSizeList 16.
  if (children && (typeId === 12 || typeId === 16)) {
    const row = arrowValues(children[0].type, missing, 'row');
    const rows = missing ? `Array.from(${column}).filter(Boolean).map(` : `Array.from(${column}, `;
    return row && `${rows}(row) => ${row})`;
  }
  if (typeId === 6) return missing ? `Array.from(${column}, (value) => value ?? false)` : `${column}.toArray()`;
  const plain = typeId === 2 || typeId === 3;
  if (plain && !missing && bitWidth !== 64) return precision === 0 ? `Array.from(${column})` : `${column}.toArray()`;
  // Date, Time, Timestamp and Duration.
  const known = plain || [8, 9, 10, 18].includes(typeId) || (dictionary && arrowValues(dictionary, false));
  return known ? numbers(column, missing) : null;
}

function arrowColumn(column: ArrowColumn): string | null {
  const { type } = column;
  const missing = hasMissing(column);
  const values = arrowValues(type, missing);
  if (missing) return values && values + filled;
  // Class indices have to be integers: a Float64Array is refused, and an Int32Array would wrap around.
  const integers = (type.dictionary ?? type).typeId === 2 && values?.startsWith('Float64Array');
  return integers ? `${values}, or Array.from(x, Number) for class indices` : values;
}

function arrowTable(table: ArrowTable): string | null {
  const { fields } = table.schema;
  const missing = fields.some(({ name }) => hasMissing(table.getChild(name)));
  const column = 'x.getChild(name)';
  const [first = null, ...others] = new Set(fields.map(({ type }) => arrowValues(type, missing, column)));
  if (first === null || others.includes(null)) return null;
  const values = others.length > 0 ? numbers(column, missing) : first;
  return `x.schema.fields.map(({ name }) => ${values})${columnsFirst}${missing ? filled : ''}`;
}

function arqueroTable(table: { columnNames(): readonly string[]; array(name: string): Iterable<unknown> }): string {
  const missing = table.columnNames().some((name) => [...table.array(name)].some((value) => (value ?? '') === ''));
  const values = missing
    ? "Float64Array.from(x.array(name), (value) => Number(value === '' ? NaN : (value ?? NaN)))"
    : numbers('x.array(name)', false);
  return `x.columnNames().map((name) => ${values})${columnsFirst}${missing ? filled : ''}`;
}

/** The expression for an array or a tensor, called x, that is an entry of a list. Only `data()` keeps the dtype. */
function asEntry(value: object, x: string, nested = 'array'): string {
  const { shape, dims, dtype } = value as { shape?: readonly number[]; dims?: readonly number[]; dtype?: string };
  const { length: rank } = shape ?? dims ?? [];
  if (rank === 0 || dtype === 'bool') return `await ${x}.${nested}()`;
  return `await ${x}.data()${rank === 1 ? '' : ', and give the list its shape: tensor(list, { shape })'}`;
}

/** The expression that reads an object, which it calls x, or that reads it as an entry of a list; null if none is known. */
function conversionOf(value: unknown, entry: boolean): string | null {
  if (typeof value !== 'object' || value === null || value instanceof Promise) return null;
  if (isBranded(value)) return entry ? asEntry(value, 'x') : "await x.to(backend), or await x.to('float32')";
  const dtype: unknown = Reflect.get(value, 'dtype');
  if (hasMethods(value, 'dataSync', 'arraySync', 'dispose')) {
    // TensorFlow.js: unlike those of array(), the elements of data() have the dtype.
    if (entry) return asEntry(value, 'x');
    const type = dtype === 'bool' ? ", type: 'bool'" : '';
    const shared = dtype === 'float32' ? ', or without a copy backend.fromTf(x) of @softgrad/backend-tfjs' : '';
    return `{ data: await x.data(), shape: x.shape${type} }${shared}`;
  }
  if (hasMethods(value, 'jsAsync', 'data')) {
    // jax-js: data() uses up a reference, and returns booleans as integers.
    if (entry) return asEntry(value, 'x.ref', 'jsAsync');
    return dtype === 'bool' ? 'await x.ref.jsAsync()' : '{ data: await x.ref.data(), shape: x.shape }';
  }
  if (hasMethods(value, 'to2DArray')) return 'x.to2DArray()';
  if ('schema' in value && hasMethods(value, 'getChild')) return arrowTable(value as ArrowTable);
  if (hasMethods(value, 'columnNames', 'array')) return arqueroTable(value as Parameters<typeof arqueroTable>[0]);
  if (hasMethods(value, 'toArray')) {
    return 'type' in value && typeof value.type === 'object'
      ? arrowColumn(value as ArrowColumn)
      : mathValues(value as { getDataType?(): string });
  }
  if (entry && 'data' in value && ('shape' in value || 'dims' in value)) return asEntry(value, 'tensor(x)');
  if ('values' in value && Array.isArray(value.values)) return 'x.values';
  // The entries of a Map are pairs of a key and a value.
  if (Object.prototype.toString.call(value) === '[object Map]') return null;
  if (typeof Reflect.get(value, 'length') === 'number' || Symbol.iterator in value) return 'Array.from(x)';
  return null;
}

/** math.js: the elements may be of its own classes. */
function mathValues(matrix: { getDataType?(): string }): string | null {
  const type = matrix.getDataType?.() ?? 'number';
  if (type === 'number' || type === 'boolean') return 'x.toArray()';
  return ['BigNumber', 'Fraction', 'bigint'].includes(type) ? 'x.map(Number).toArray()' : null;
}

/** What to pass instead of the value, for the end of an error message; an empty text if nothing is known. */
export function conversionHint(value: unknown, entry: boolean): string {
  const expression = Array.isArray(value) || ArrayBuffer.isView(value) ? null : conversionOf(value, entry);
  return expression === null ? '' : `; if it is called x, pass ${expression}`;
}
