import { expect, test } from 'vitest';
import { isPossible, isRowwise, type TrialForm, type TrialMask, trialOf } from '../conformance/cases/trial.js';
import { exact } from '../conformance/index.js';
import { operations } from '../conformance/operations/all.js';
import { statedFor, tensorsOf } from '../conformance/problem.js';
import type { Problem } from '../conformance/statement.js';
import { rowIndices } from '../reference/functions.js';
import type { Backend } from '../src/index.js';

const ranks = [1, 2, 3, 4, 5, 6];
const axes = ['first', 'middle', 'last'] as const;
const masks: readonly TrialMask[] = ['none', 'full', 'suffix', 'repeated', 'row', 'columns'];
const positionOf = { first: () => 0, middle: (rank: number) => Math.floor(rank / 2), last: (rank: number) => rank - 1 };

/** Each row has other dimensions for the mask to repeat over, and each axis has one name. */
function isForm(rank: number, axis: (typeof axes)[number], mask: TrialMask): boolean {
  if (rank === 1) return axis === 'last' && (mask === 'none' || mask === 'full');
  if (rank === 2 && axis === 'middle') return false;
  if (mask === 'suffix') return axis !== 'first';
  return mask !== 'repeated' || positionOf[axis](rank) >= 2;
}

const forms = ranks.flatMap((rank) =>
  axes.flatMap((axis) => masks.flatMap((mask) => (isForm(rank, axis, mask) ? [{ rank, axis, mask }] : []))),
);

test('a form, or a part of one, is possible exactly if some rank, axis and mask complete it', () => {
  for (const rank of [undefined, ...ranks]) {
    for (const axis of [undefined, ...axes]) {
      for (const mask of masks) {
        const completions = forms.filter(
          (form) => (rank ?? form.rank) === form.rank && (axis ?? form.axis) === form.axis && mask === form.mask,
        );
        const part: Partial<TrialForm> = { mask, ...(rank && { rank }), ...(axis && { axis }) };
        expect(isPossible(part), JSON.stringify(part)).toBe(completions.length > 0);
      }
    }
  }
});

const [softmaxValues] = operations.filter(({ family, member }) => family === 'softmax' && member === 'values');
const options = { out: 'none', dtype: 'float32', isScalar: false, keepsEveryRow: false } as const;
const seeds = Array.from({ length: 8 }, (_, k) => `seed ${k}`);
const trialsOfForms = () =>
  forms.flatMap((form) =>
    seeds.map((seed) => {
      const whole: TrialForm = { ...form, length: [3, 5], input: 'wide' };
      return { form, trial: trialOf(softmaxValues, whole, { ...options, seed }) };
    }),
  );

test('a trial has the rank, axis and length of its form, and small other dimensions, or many rows side by side', () => {
  const made = trialsOfForms();
  const isWide = ({ shape, axis }: Problem) => axis < shape.length - 1 && Number(shape.at(-1)) > 4;
  for (const { form, trial } of made) {
    const { shape, axis, values } = trial.problem;
    expect(shape.length).toBe(form.rank);
    expect(axis).toBe(positionOf[form.axis](form.rank));
    expect([axis, axis - form.rank]).toContain(trial.axis);
    expect([3, 5]).toContain(shape[axis]);
    expect(values.length).toBe(shape.reduce((a, b) => a * b, 1));
    const others = shape.filter((_, k) => k !== axis);
    const columns = isWide(trial.problem) ? others.slice(-1) : [];
    for (const size of columns) expect([31, 70]).toContain(size);
    expect(others.slice(0, others.length - columns.length).every((size) => size >= 1 && size <= 4)).toBe(true);
    expect(values.length).toBeLessThanOrEqual(columns.length > 0 ? 1400 : 400);
    const needed = { none: 0, full: 0, suffix: 1, repeated: 2, row: 1, columns: 1 }[form.mask];
    expect(others.slice(0, needed).every((size) => size > 1)).toBe(true);
    const stated = `shape=${shape.join('x')};axis=${trial.axis};input=wide`;
    const mask = trial.problem.mask?.shape.join('x');
    const masked = mask === undefined ? '' : `;mask=${mask}${trial.maskIsTensor ? ' in a tensor' : ''}`;
    expect(trial.parameters).toBe(`operation=${softmaxValues.name};${stated}${masked};out=none`);
  }
  const lonely = made.filter(({ form }) => form.rank > 1 && (form.mask === 'none' || form.mask === 'full'));
  expect(lonely.some(({ trial: { problem } }) => problem.shape.some((n, k) => k !== problem.axis && n === 1))).toBe(
    true,
  );
  const wide = made.map(({ trial }) => trial.problem).filter(isWide);
  expect(new Set(wide.map(({ shape }) => shape.at(-1)))).toEqual(new Set([31, 70]));
  expect(wide.some(({ rows }) => rows.outer > 1)).toBe(true);
  for (const sign of [-1, 1]) expect(made.some(({ trial }) => Math.sign(trial.axis) === sign)).toBe(true);
  for (const length of [3, 5]) {
    expect(made.some(({ trial: { problem } }) => problem.rows.classes === length)).toBe(true);
  }
});

test('the mask of a trial has the shape that its form names, and keeps about half of the entries', () => {
  const made = trialsOfForms();
  const kept: number[] = [];
  let keepingOne = 0;
  for (const { form, trial } of made) {
    const { shape, axis, mask, parameters, rows } = trial.problem;
    const expected = {
      none: undefined,
      full: shape,
      suffix: shape.slice(axis),
      repeated: shape.slice(1),
      row: shape.map((size, k) => (k === axis ? size : 1)),
      columns: shape.map((size, k) => (k === axis ? 1 : size)),
    }[form.mask];
    expect(mask?.shape).toEqual(expected);
    if (!mask) {
      expect(trial.maskIsTensor).toBe(false);
      continue;
    }
    expect(mask.data.length).toBe(mask.shape.reduce((a, b) => a * b, 1));
    expect(parameters.mask).toHaveLength(rows.outer * rows.classes * rows.inner);
    expect([parameters.mask?.[0], parameters.mask?.[rows.inner]]).toEqual([1, 1]);
    kept.push(...mask.data);
    const counts = rowIndices(rows).map((at) => at.filter((i) => parameters.mask?.[i]).length);
    if (rows.classes > 2 && counts.includes(1)) keepingOne++;
  }
  expect(keepingOne).toBeGreaterThan(10);
  const share = kept.reduce((a, b) => a + b, 0) / kept.length;
  expect(share).toBeGreaterThan(0.5);
  expect(share).toBeLessThan(0.7);
  const masked = made.filter(({ trial }) => trial.problem.mask).map(({ trial }) => trial.maskIsTensor);
  expect(new Set(masked)).toEqual(new Set([true, false]));
});

test('a mask can keep the first class of every row', () => {
  for (const form of forms.filter(({ mask }) => mask !== 'none')) {
    const whole: TrialForm = { ...form, length: [3, 5], input: 'wide' };
    const { problem } = trialOf(softmaxValues, whole, { ...options, seed: 'kept', keepsEveryRow: true });
    const { outer, classes, inner } = problem.rows;
    for (let row = 0; row < outer * inner; row++) {
      expect(problem.parameters.mask?.[Math.floor(row / inner) * classes * inner + (row % inner)]).toBe(1);
    }
  }
});

test('the shape that a trial states is that of the result, for every operation', async () => {
  const backend = (await exact.open()) as Backend;
  const form: TrialForm = { rank: 3, axis: 'middle', length: [5], input: 'wide' };
  for (const operation of operations) {
    const trial = trialOf(operation, form, { ...options, seed: 'shapes' });
    if (!operation.takes.includes('axis')) continue;
    const tensors = tensorsOf(backend, statedFor(operation, trial.problem).operands, trial.problem);
    const result = operation.apply(tensors, { axis: trial.axis }, trial.problem);
    expect(trial.resultShape, operation.name).toEqual(result.shape);
    const isSquare = operation.member === 'jacobian' || operation.member === 'to-dense';
    const hasFewer = result.shape.length < 3 || (isSquare && result.shape.length < 4);
    expect(isRowwise(operation.family, operation.member), operation.name).toBe(hasFewer);
    for (const used of [...tensors, result]) used.dispose();
  }
  await backend.close?.();
});
