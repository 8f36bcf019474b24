import { toleranceUsed } from '../../conformance/check.js';
import { type Arithmetic, arithmetics, kernelHalf } from './arithmetic.js';
import { settings } from './settings.js';
import { problemOf, type Setting, type Subject } from './subjects.js';

/** A column of the table: in which arithmetic, and over which settings the largest share of a bound is taken. */
interface Column {
  readonly title: string;
  readonly arithmetic: Arithmetic;
  includes(setting: Setting): boolean;
}

const [float32, flushed, float16, float64] = arithmetics;
const plain = ({ temperature, masked }: Setting) => temperature === undefined && !masked;
/** The inputs for the other arithmetics: ten classes are enough to detect them. */
const few = ({ classes, upstream }: Setting) => classes === 10 && upstream === undefined;

const columns: readonly Column[] = [
  ...[2, 10, 67].map((classes) => ({
    title: String(classes),
    arithmetic: float32,
    includes: (setting: Setting) => setting.classes === classes && plain(setting) && setting.upstream !== 'unit',
  })),
  { title: 'one term', arithmetic: float32, includes: ({ upstream }) => upstream === 'unit' },
  { title: 'T ≠ 1', arithmetic: float32, includes: ({ temperature, masked }) => temperature !== undefined && !masked },
  { title: 'masked', arithmetic: float32, includes: ({ masked }) => masked === true },
  { title: 'flushed', arithmetic: flushed, includes: few },
  { title: 'float16', arithmetic: float16, includes: few },
  { title: 'float64', arithmetic: float64, includes: few },
  { title: 'stored', arithmetic: kernelHalf, includes: (setting) => few(setting) && plain(setting) },
];

/** One subject's shares, a column each. */
export interface Shares {
  readonly subject: Subject;
  readonly shares: readonly number[];
}

export const titles: readonly string[] = columns.map(({ title }) => title);

/** The largest share of its bound that the usual formula, every step rounded, takes of any element. */
export function sharesOf(subject: Subject): Shares {
  return { subject, shares: columns.map((column) => largestShare(subject, column)) };
}

function largestShare(subject: Subject, { arithmetic, includes }: Column): number {
  const taken = settings.filter((setting) => includes(setting) && !(subject.square && setting.classes > 10));
  return taken.reduce((most, setting) => {
    const { computed, expected, bound } = subject.measure(problemOf(arithmetic, setting));
    const result = arithmetic.once ? expected.map(arithmetic.round) : computed;
    return Math.max(most, used(result, expected, bound));
  }, 0);
}

function used(actual: Float64Array, expected: Float64Array, bound: Float64Array): number {
  return expected.reduce((most, value, i) => Math.max(most, toleranceUsed(actual[i], value, bound[i])), 0);
}

/** The bound of the largest result, in units of it: ten classes of logits in ±1. */
export function unitsOf(subject: Subject): number {
  const { expected, bound } = subject.measure(problemOf(float32, { input: 'narrow', classes: 10 }));
  const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const at = expected.findIndex((value) => Math.abs(value) === largest);
  return bound[at] / (2 ** -24 * largest);
}

/** The table in Markdown. */
export function markdown(rows: readonly Shares[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const body = rows.map(({ subject, shares }) =>
    line([subject.name, unitsOf(subject).toFixed(1), ...shares.map((share) => share.toFixed(2))]),
  );
  return [
    '# How much of each bound is used',
    '',
    'Made and checked by `test/conformance-bounds.test.ts`; after a change of a bound, `npx vitest run test/conformance-bounds.test.ts -u`',
    'writes it anew. The second column is the bound of the largest result in units of it (2⁻²⁴) at ten classes; the others are the largest',
    'share of the bound that the usual formula takes, every step rounded: in float32 by number of classes, where one class has a cotangent, at',
    'other temperatures and with a mask, then at ten classes with subnormals flushed, composed in float16, in float64, and the right result stored as float16.',
    '',
    line(['', 'u', ...titles]),
    line(['---', ...['u', ...titles].map(() => '---:')]),
    ...body,
    '',
  ].join('\n');
}
