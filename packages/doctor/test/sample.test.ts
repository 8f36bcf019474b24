import { describe, expect, inject, test } from 'vitest';
import { explanationsOf } from '../src/catalogue.js';
import { softmaxRows } from '../src/host-softmax.js';
import { diagnose } from '../src/index.js';
import { layers, type ProblemInput } from '../src/input.js';
import { readProblem } from '../src/problem.js';
import { sampleOfRows } from '../src/sample.js';
import { softmax } from './attempts.js';
import { normal, uniform } from './random.js';

/** The arrays with a number for each row, or for each entry, in an object and those within it. */
function arraysOf(values: object, path = ''): [path: string, array: Float64Array | Uint8Array][] {
  return Object.entries(values).flatMap(([name, value]: [string, unknown]) => {
    const here = `${path}.${name}`;
    if (value instanceof Float64Array || value instanceof Uint8Array) return [[here, value]];
    return name !== 'whole' && typeof value === 'object' && value !== null ? arraysOf(value, here) : [];
  });
}

/** Large problems are compared in a sample of their rows first: what every row-wise form gives there are rows of the whole. */

// A few more numbers than are compared whole.
const [n, f] = [1100, 8];
const next = normal(91);
const pick = uniform(92);
const matrix = () => Array.from({ length: n }, () => Array.from({ length: f }, next));
const logits = matrix();
const upstream = matrix();
const labels = Array.from({ length: n }, () => Math.floor(pick() * f));
const soft = softmax(matrix(), 1, (value) => value);
const weight = Array.from({ length: f }, () => 0.5 + pick());
const mask = logits.map((row, k) => row.map((_, i) => i === labels[k] || i % 3 !== k % 3));

const inputs: Readonly<Record<string, ProblemInput>> = {
  nothing: { logits },
  upstream: { logits, upstream, temperature: 2 },
  target: { logits, target: labels },
  'soft target': { logits, target: soft, temperature: 2 },
  mean: { logits, target: labels, reduction: 'mean', weight },
  options: {
    logits,
    mask,
    labelSmoothing: 0.1,
    target: labels.map((label, row) => (row % 3 === 1 ? -100 : label)),
  },
  'upstream of rows': { logits, target: labels, upstream: Array.from({ length: n }, next) },
  ...Object.fromEntries(layers.map((layer) => [layer, { logits, target: labels, layer }])),
};

describe.each(Object.entries(inputs))('with %s', (_, input) => {
  const numbers = Float64Array.from(logits.flat());

  test('the sample is of few rows, at equal distances', () => {
    const sample = sampleOfRows(readProblem(input), numbers, []);
    expect(sample?.problem.n).toBe(128);
    const step = Math.floor(n / 128);
    expect(sample?.given.data.subarray(f, 2 * f)).toEqual(numbers.subarray(step * f, (step + 1) * f));
  });

  test('every array is the rows of the array of the whole', () => {
    const problem = readProblem(input);
    const slack = Float64Array.from(numbers, Math.abs);
    const levels = [{ relative: 1e-6, absolute: 0, resolution: 1e-6, slack }];
    const sample = sampleOfRows(problem, numbers, levels);
    if (!sample) throw new Error('no sample');
    const step = Math.floor(n / 128);
    const whole = new Map(arraysOf({ problem, levels }));
    const some = arraysOf({ problem: sample.problem, levels: sample.levels });
    expect(some.length).toBeGreaterThan(2);
    for (const [path, array] of some) {
      const all = whole.get(path);
      if (all === array) {
        expect(array.length, `${path} has no rows`).toBe(f);
        continue;
      }
      const width = (all?.length ?? 0) / n;
      const rows = Array.from({ length: 128 }, (_, row) => [
        ...(all ?? []).slice(row * step * width, (row * step + 1) * width),
      ]);
      expect([...array], path).toEqual(rows.flat());
    }
  });

  test('each form gives rows of what it gives for the whole', () => {
    const problem = readProblem(input);
    const sample = sampleOfRows(problem, numbers, []);
    if (!sample) throw new Error('no sample');
    const step = Math.floor(n / 128);
    let compared = 0;
    for (const { id, forms } of explanationsOf(problem.layer)) {
      for (const form of forms) {
        if (form.kind !== 'gradient' || form.ofBatch) continue;
        const whole = form.gives(problem);
        const some = form.gives(sample.problem);
        expect(
          some.map(({ formula }) => formula),
          id,
        ).toEqual(whole.map(({ formula }) => formula));
        some.forEach(({ formula, values }, index) => {
          const all = whole[index]?.values ?? [];
          for (const k of [0, 5, 100 * f + 3, 127 * f + 7]) {
            const place = Math.floor(k / f) * step * f + (k % f);
            const [part, entry] = [values, all].map((one, w) =>
              typeof one === 'function' ? one(w === 0 ? k : place) : one[w === 0 ? k : place],
            );
            expect(part, `${id}: ${formula}`).toBe(entry);
            compared++;
          }
        });
      }
    }
    expect(compared).toBeGreaterThan(40);
  });
});

test('an explanation that holds in the sample alone is none', () => {
  const s = softmax(logits, 1, (value) => value);
  const right = s.map((row, k) => row.map((value, i) => value - (i === labels[k] ? 1 : 0)));
  const step = Math.floor(n / 128);
  const gradient = right.map((row, k) => (k % step === 0 ? row : row.map((_, i) => row[(i + 1) % row.length] ?? 0)));
  expect(diagnose({ logits, target: labels, gradient: right }).verdict).toBe('right');
  expect(diagnose({ logits, target: labels, gradient }).verdict).toBe('unknown');
});

test('rows may be more than a function takes arguments', () => {
  const [rows, classes] = [130_000, 2];
  const target = Float64Array.from({ length: rows }, (_, row) => row % classes);
  const x = Float64Array.from({ length: rows * classes }, (_, k) => Math.sin(k * k));
  const s = softmaxRows(x, { outer: rows, classes, inner: 1 });
  const shape = [rows, classes];
  // What is right takes fewer passes over all rows than what is scaled.
  const factor = inject('everything') ? 3.7 : 1;
  const gradient = {
    shape,
    data: s.map((value, k) => factor * (value - (k % 2 === Math.floor(k / 2) % 2 ? 1 : 0))),
  };
  const known = { logits: { shape, data: x }, target: { shape: [rows], data: target } };
  expect(diagnose({ ...known, gradient }).verdict).toBe(factor === 1 ? 'right' : 'scaled');
});
