import { type Arithmetic, arithmetics, kernelHalf } from './arithmetic.js';
import { problemOf, type Setting, type Subject } from './subjects.js';

const [float32, flushed, float16, float64] = arithmetics;

/** Problems in which each term of some bound is large: shifts, underflows, one probability near 1, masks, temperatures, cotangents. */
const columns: readonly (readonly [title: string, arithmetic: Arithmetic, setting: Setting])[] = [
  ['spread', float32, { input: 'spread', classes: 5 }],
  ['long', float32, { input: 'narrow', classes: 67 }],
  ['wide', float32, { input: 'wide', classes: 10 }],
  ['removed', float32, { input: 'removed', classes: 10 }],
  ['peaked', float32, { input: 'peaked', classes: 5 }],
  ['T = 0.7, masked', float32, { input: 'spread', classes: 5, temperature: 0.7, masked: true }],
  ['T = −1.5, large', float32, { input: 'narrow', classes: 10, temperature: -1.5, upstream: 'large' }],
  ['flushed', flushed, { input: 'wide', classes: 10, temperature: 3 }],
  ['float16', float16, { input: 'spread', classes: 5 }],
  ['float64', float64, { input: 'peaked', classes: 3, temperature: 0.7 }],
  ['stored', kernelHalf, { input: 'spread', classes: 5 }],
];

/** The geometric mean of the bounds of a result's elements, in units of the dtype, and how many of them are 0, or infinite or NaN. */
function size(subject: Subject, arithmetic: Arithmetic, setting: Setting): string {
  const short = subject.square ? { ...setting, classes: Math.min(setting.classes, 10) } : setting;
  const bounds = [...subject.measure(problemOf(arithmetic, short)).bound].map(
    (bound) => bound / arithmetic.precision.unit,
  );
  const sized = bounds.filter((bound) => Number.isFinite(bound) && bound > 0);
  const mean = Math.exp(sized.reduce((sum, bound) => sum + Math.log(bound), 0) / sized.length);
  const zeros = bounds.filter((bound) => bound === 0).length;
  const without = bounds.length - sized.length - zeros;
  return `${mean.toPrecision(5)}${zeros > 0 ? `, ${zeros} are 0` : ''}${without > 0 ? `, ${without} have none` : ''}`;
}

/** The sizes of all bounds in Markdown. */
export function sizesOf(subjects: readonly Subject[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    '# How large each bound is',
    '',
    'Made and checked by `test/conformance-bounds.test.ts`; after a change of a bound, `npx vitest run test/conformance-bounds.test.ts -u`',
    "writes it anew. A cell is the geometric mean of the bounds of a result's elements, in units of the dtype.",
    '',
    line(['', ...columns.map(([title]) => title)]),
    line(['---', ...columns.map(() => '---:')]),
    ...subjects.map((subject) => line([subject.name, ...columns.map(([, ...column]) => size(subject, ...column))])),
    '',
  ].join('\n');
}
