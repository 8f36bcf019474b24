import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { explanationsOf } from '../src/catalogue.js';
import { type Candidate, sizeOfKind } from '../src/form.js';
import type { ProblemInput } from '../src/input.js';
import { byIndex } from '../src/numbers.js';
import { readProblem } from '../src/problem.js';
import { normal } from './random.js';

/**
 * Every candidate of the catalogue for small problems: its formula, reduction, values and terms. candidates.txt holds a weighted sum
 * of the values and of the terms, so that a change of any entry is noticed. Whether the formulas are those of the mistakes is checked
 * by confusion.test.ts, which computes most of them with independent code (attempts.ts).
 *
 * After an intended change: `SOFTGRAD_WRITE=candidates npx vitest run test/candidates.test.ts`, and review the difference.
 */
const path = fileURLToPath(new URL('candidates.txt', import.meta.url));

const matrix = (n: number, f: number, seed: number) => {
  const next = normal(seed);
  return Array.from({ length: n }, () => Array.from({ length: f }, () => Math.round(1000 * next()) / 1000));
};
const logits = matrix(3, 4, 101);
const upstream = matrix(3, 4, 102);
const target = [3, 0, 1];
const soft = [
  [0.1, 0.2, 0.3, 0.4],
  [0.7, 0, 0.2, 0.1],
  [0.25, 0.25, 0.3, 0.2],
];
const cube = (seed: number) => ({ data: Float64Array.from(matrix(1, 12, seed)[0] ?? []), shape: [2, 3, 2] });
const range = [
  [900, 0, 1],
  [0, 1, 100],
  [-1000, -1002, -1003],
  [1, 2, 3],
];

const inputs: Readonly<Record<string, ProblemInput>> = {
  nothing: { logits },
  'upstream and target': { logits, upstream, target, temperature: 2 },
  'soft target, temperature, sum': { logits, target: soft, temperature: 2, reduction: 'sum' },
  'smoothing, weights and ignored rows': {
    logits,
    target: [3, -100, 1],
    labelSmoothing: 0.1,
    weight: [1, 2, 0.5, 3],
    reduction: 'mean',
  },
  'an upstream gradient of the losses': { logits, upstream: [1.5, -0.3, 2], target },
  'mask and smoothing': {
    logits,
    mask: [
      [true, true, false, true],
      [false, false, false, false],
      [true, true, true, true],
    ],
    upstream,
    target: [3, -100, 1],
    labelSmoothing: 0.2,
  },
  'several labels': {
    logits,
    target: [
      [1, 1, 0, 0],
      [0, 0, 0, 1],
      [0, 1, 0, 0],
    ],
  },
  probabilities: {
    probabilities: [
      [0.1, 0.2, 0.7],
      [0.5, 0.25, 0.25],
    ],
    target: [1, 2],
    temperature: 2,
  },
  'rank 3': { logits: cube(103), upstream: cube(104), axis: 1, target: { data: [0, 2, 1, 1], shape: [2, 2] } },
  'classes first': { logits: matrix(4, 3, 105), upstream: matrix(4, 3, 106), target, axis: 0 },
  'as many rows as classes': { logits: matrix(3, 3, 107), upstream: matrix(3, 3, 108), target: [2, 0, 1] },
  'one row of two classes': { logits: [[0.5, -1]], upstream: [[1, 2]], target: [1] },
  'one class': { logits: [[1], [2]], upstream: [[1], [3]], target: [0, 0] },
  'an upstream gradient of s − y': {
    probabilities: [
      [0.1, 0.2, 0.7],
      [0.5, 0.25, 0.25],
    ],
    upstream: [
      [0.1, -0.8, 0.7],
      [0.5, 0.25, -0.75],
    ],
  },
  'log-softmax': { logits, upstream, target, layer: 'log-softmax', temperature: 2 },
  sigmoid: { logits, upstream, target: soft, layer: 'sigmoid', temperature: 2 },
  'sigmoid alone': { logits, layer: 'sigmoid' },
  'exponents out of range': { logits: range, upstream: matrix(4, 3, 109), target: [0, 0, 1, 2], temperature: 0.5 },
  'an unlikely target': {
    logits: [
      [0, 7, 9],
      [25, 0, 1],
    ],
    target: [0, 1],
  },
  'a masked row out of range': {
    logits: [
      [900, 1],
      [1, 2],
    ],
    mask: [
      [true, true],
      [false, false],
    ],
    upstream: [
      [1, 0],
      [0, 1],
    ],
  },
};

/** A weighted sum that depends on every entry and its position, and a second one of NaN and infinities, if there are any. */
function summary(values: Candidate['values'], size: number): readonly number[] {
  const valueAt = byIndex(values);
  let sum = 0;
  let broken = 0;
  for (let k = 0; k < size; k++) {
    const value = valueAt(k);
    const weight = 1 + ((7 * k) % 11) / 3 + k / 100;
    if (Number.isFinite(value)) sum += weight * value;
    else broken += weight * (Number.isNaN(value) ? 1 : value > 0 ? 20 : 300);
  }
  return broken === 0 ? [sum] : [sum, broken];
}

interface Line {
  readonly group: string;
  readonly formula: string;
  readonly numbers: readonly number[];
}

/** The candidates for a problem, those of a correct derivative among them. */
function linesOf(input: ProblemInput): readonly Line[] {
  const problem = readProblem(input);
  return explanationsOf(problem.layer).flatMap(({ id, forms }) =>
    forms.flatMap((form) =>
      form.gives(problem).map(({ formula, values, terms, reduction }) => {
        const size = sizeOfKind(form.kind, problem);
        return {
          group: `${id} (${form.kind})`,
          formula: reduction === undefined ? formula : `${formula} [${reduction}]`,
          numbers: [summary(values, size), summary(terms, size)].flat(),
        };
      }),
    ),
  );
}

/** The sections of the file: `# problem`, then `## explanation (kind)` and for each candidate its numbers, formula and [reduction]. */
function sectionsOf(text: string): ReadonlyMap<string, readonly Line[]> {
  const sections = new Map<string, Line[]>();
  let lines: Line[] = [];
  let group = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('# ')) {
      lines = [];
      sections.set(line.slice(2), lines);
    } else if (line.startsWith('## ')) group = line.slice(3);
    else if (line !== '') {
      const [numbers = '', formula = ''] = line.split(' | ');
      lines.push({ group, formula, numbers: numbers.split(' ').map(Number) });
    }
  }
  return sections;
}

function written(lines: readonly Line[]): readonly string[] {
  return lines.flatMap(({ group, formula, numbers }, k) => [
    ...(group === lines[k - 1]?.group ? [] : [`## ${group}`]),
    `${numbers.map((value) => Number(value.toPrecision(7))).join(' ')} | ${formula}`,
  ]);
}

if (process.env.SOFTGRAD_WRITE === 'candidates') {
  const sections = Object.entries(inputs).map(([name, input]) => [`# ${name}`, ...written(linesOf(input))].join('\n'));
  writeFileSync(path, `${sections.join('\n\n')}\n`);
}

describe('the candidates of every explanation', () => {
  const expected = sectionsOf(readFileSync(path, 'utf8'));

  test.each(Object.entries(inputs))('for %s', (name, input) => {
    const lines = expected.get(name) ?? [];
    const found = linesOf(input);
    const named = (all: readonly Line[]) => all.map(({ group, formula }) => `${group}: ${formula}`);
    expect(named(found)).toEqual(named(lines));
    found.forEach(({ group, formula, numbers }, k) => {
      const wanted = lines[k]?.numbers ?? [];
      const areClose = (value: number, i: number) => {
        const other = wanted[i] ?? Number.NaN;
        return Math.abs(value - other) <= 1e-6 * Math.abs(other) + 1e-12;
      };
      const isSame = numbers.length === wanted.length && numbers.every(areClose);
      expect(isSame, `${group}: ${formula}: ${numbers} instead of ${wanted}`).toBe(true);
    });
  });

  test('are recorded for these problems alone', () => {
    expect([...expected.keys()]).toEqual(Object.keys(inputs));
  });
});
