import type { TextTable } from '../table.js';
import type { AccuracyReport, AccuracyResult } from './measure.js';

/**
 * The largest error of each contender over all inputs, in ULP: one row per op, one column per contender and dtype.
 *
 * @example
 * const { head, rows } = accuracySummary(accuracyReport);
 * head; // ['op', 'cpu float32']
 * rows; // [['softmax', '0.66 (3; ±20)']]
 */
export function accuracySummary({ contenders, results }: AccuracyReport): TextTable {
  const dtypes = [...new Set(results.map(({ dtype }) => dtype))];
  const measured = contenders.flatMap(({ name }) =>
    dtypes
      .filter((dtype) => results.some((one) => one.contender === name && one.dtype === dtype && one.worstUlp !== null))
      .map((dtype) => ({ name, dtype })),
  );
  return {
    title: 'Largest error in ULP over all inputs',
    head: ['op', ...measured.map(({ name, dtype }) => `${name} ${dtype}`)],
    rows: [...new Set(results.map(({ op }) => op))].map((op) => [
      op,
      ...measured.map(({ name, dtype }) => {
        const worst = worstOf(results.filter((one) => one.op === op && one.dtype === dtype && one.contender === name));
        return worst ? `${formatUlp(worst.worstUlp)} (${worst.classes}; ${worst.input})` : '';
      }),
    ]),
    notes: ['in brackets the classes of a row and the logits for which it was found'],
  };
}

/**
 * The same for reading: one row per op and contender, one column per dtype, and what an ULP is.
 *
 * @example
 * accuracyOverview(accuracyReport).rows; // [['softmax', 'cpu', '0.66 (3 classes, ±20)']]
 */
export function accuracyOverview({ contenders, results }: AccuracyReport): TextTable {
  const dtypes = [...new Set(results.map(({ dtype }) => dtype))];
  const rows = [...new Set(results.map(({ op }) => op))].flatMap((op) =>
    contenders.map(({ name }) => {
      const own = results.filter((one) => one.op === op && one.contender === name);
      const worst = dtypes.map((dtype) => worstOf(own.filter((one) => one.dtype === dtype)));
      return [
        op,
        name,
        ...worst.map((one) => (one ? `${formatUlp(one.worstUlp)} (${inWords(one)})` : 'not supported')),
      ];
    }),
  );
  return {
    title: 'Largest error over all inputs, in units in the last place (ULP)',
    head: ['op', 'backend', ...dtypes],
    rows,
    notes: [
      '1 ULP is the distance from a result to the next number of its dtype; rounding alone makes up to 0.5',
      'in brackets the row and the logits for which it was found',
    ],
  };
}

function inWords({ classes, input }: AccuracyResult): string {
  return `${classes} ${classes === 1 ? 'class' : 'classes'}, ${input}`;
}

/**
 * The result with the largest error, of those that are supported; NaN is larger than any number.
 *
 * @example
 * worstOf(accuracyReport.results)?.worstUlp; // 0.66
 */
export function worstOf(results: readonly AccuracyResult[]): AccuracyResult | undefined {
  const size = ({ worstUlp }: AccuracyResult) => (Number.isNaN(worstUlp) ? Number.POSITIVE_INFINITY : (worstUlp ?? -1));
  const supported = results.filter(({ worstUlp }) => worstUlp !== null);
  return supported.toSorted((a, b) => size(b) - size(a))[0];
}

/**
 * One table per op and dtype, with one row per input and one column per contender; errors are in ULP.
 *
 * @example
 * const [table] = accuracyTables(accuracyReport);
 * table?.head; // ['classes', 'logits', 'cpu']
 * table?.rows; // [['3', '±20', '0.66']]
 */
export function accuracyTables({ contenders, results }: AccuracyReport): readonly TextTable[] {
  const groups = new Map<string, AccuracyResult[]>();
  for (const result of results) {
    const title = `${result.op} ${result.dtype}: largest error in ULP over results of at least 1e-30`;
    groups.set(title, [...(groups.get(title) ?? []), result]);
  }
  return [...groups].map(([title, group]) => {
    const measured = contenders.filter(({ name }) =>
      group.some((one) => one.contender === name && one.worstUlp !== null),
    );
    const inputs = [...new Set(group.map(inputName))];
    const find = (input: string, name: string) =>
      group.find((one) => inputName(one) === input && one.contender === name);
    return {
      title,
      head: ['classes', 'logits', ...measured.map(({ name }) => name)],
      rows: inputs.map((input) => [
        ...input.split('; '),
        ...measured.map(({ name }) => formatUlp(find(input, name)?.worstUlp)),
      ]),
      notes: contenders
        .filter((one) => !measured.includes(one))
        .map(({ name }) => `${name}: dtype or op not supported`),
    };
  });
}

function inputName({ classes, input }: AccuracyResult): string {
  return `${classes}; ${input}`;
}

function formatUlp(ulp: number | null | undefined): string {
  if (ulp === null || ulp === undefined) return '';
  return ulp < 1000 ? String(Number(ulp.toPrecision(2))) : ulp.toExponential(1);
}
