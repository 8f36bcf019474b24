import { describe, expect, test } from 'vitest';
import type { Goal } from '../src/form.js';
import { diagnose } from '../src/index.js';
import { remedyFor } from '../src/remedy.js';

const goals: readonly Goal[] = ['product', 'loss', 'jacobian', 'softmax'];
const layouts = [
  { shape: [4, 3], axis: 1 },
  { shape: [4, 3], axis: 0 },
  { shape: [2, 3, 4], axis: 1 },
  { shape: [2, 2, 3, 4], axis: 2 },
];

describe('every line that is advised is known', () => {
  const settings = layouts.flatMap((layout) =>
    [1, 2, 0.5, 0.07].flatMap((temperature) => [true, false].map((indices) => ({ ...layout, temperature, indices }))),
  );

  test.each(goals)('%s', (goal) => {
    for (const setting of settings) {
      for (const reduction of ['mean', 'sum'] as const) {
        const { shape, axis: own, temperature } = setting;
        const lines = remedyFor(goal, setting, reduction);
        const axis = own === shape.length - 1 ? -1 : own;
        const logits = { shape, data: Float64Array.from({ length: shape.reduce((a, b) => a * b) }, (_, k) => k % 5) };
        for (const gradient of [lines.typescript, lines.numpy]) {
          expect(diagnose({ gradient, axis, temperature }).verdict, gradient).toBe('right');
          const { verdict, instead } = diagnose({ gradient, axis: own, temperature, logits });
          expect(verdict, gradient).toBe('right');
          // Without a target, the lines are those for class indices.
          if (setting.indices) expect(instead).toEqual(lines);
        }
      }
    }
  });

  test('for another axis or temperature than was said it is right on that condition', () => {
    const at = (gradient: string) => diagnose({ gradient }).evidence.notes;
    expect(at('const dx = softmax.vjp(s, g, { axis: 0, temperature: 2 });')).toEqual([
      'Right only where the classes are along axis 0 and the temperature is 2.',
    ]);
    for (const temperature of ['0.25', '1.5e-7', '12.75', '3']) {
      expect(at(`const dx = softmax.vjp(s, g, { temperature: ${temperature} });`)).toEqual([
        `Right only where the classes are along the last axis and the temperature is ${Number(temperature)}.`,
      ]);
    }
    const { verdict, evidence } = diagnose({ gradient: 's * (g - (s * g).sum(axis=0, keepdims=True))' });
    expect(verdict).toBe('wrong-axis');
    expect(evidence.notes[0]).toContain('Of classes that are along axis 0 it is right');
    expect(at('s - y')).toHaveLength(1);
  });

  test('the lines beside it are for the axis and temperature that are in it, or were given', () => {
    const line = 'const dx = softmax.vjp(s, g, { axis: 0, temperature: 2 });';
    expect(diagnose({ gradient: line }).instead.typescript).toBe(line);
    expect(diagnose({ gradient: 'J.sum(axis=1)', axis: 0, temperature: 2 }).instead.typescript).toBe(line);
  });

  test('what is right without a temperature lacks it at another than 1', () => {
    for (const logits of [undefined, [[1, 2, 3]]]) {
      const { verdict, evidence, instead } = diagnose({ gradient: 's - y', temperature: 2, logits });
      expect(verdict).toBe('temperature');
      expect(evidence.notes[0]).toContain('lacks the factor 1/2');
      expect(instead.numpy).toBe('dx = (s - np.eye(s.shape[-1])[target]) / 2');
      expect(diagnose({ gradient: 'J @ g', temperature: 2, logits }).verdict).toBe('right');
    }
  });

  test('an axis that no array has is no matter where there is no array', () => {
    for (const axis of [-7, 1e9]) expect(diagnose({ gradient: 's - y', axis }).verdict).toBe('right');
  });

  test('with data, one for another temperature is not right', () => {
    const logits = [[1, 2, 3]];
    expect(() => diagnose({ gradient: 'softmax.vjp(s, g, { temperature: 3 })', logits })).toThrow('unknown expression');
  });
});

describe('the letters under other names', () => {
  test.each([
    ['s - np.eye(10)[y]', 'right'],
    ['probs - np.eye(probs.shape[-1])[labels]', 'right'],
    ['softmax(x) - y', 'right'],
    ['torch.softmax(logits, dim=-1) - F.one_hot(target, num_classes=10)', 'right'],
    ['scipy.special.softmax(z, axis=1) - onehot', 'right'],
    ['y_hat - y', 'right'],
    ['p - y', 'right'],
    ['a - y', 'right'],
    ['(probs - targets) / len(targets)', 'right'],
    ['(p - y) / y.shape[0]', 'right'],
    ['p * (dout - (p * dout).sum(axis=-1, keepdims=True))', 'right'],
    ['softmax.vjp(p, dout)', 'right'],
    ['jac @ grad_output', 'right'],
    ["np.einsum('nij,nj->ni', dS, upstream)", 'right'],
    ['jacobian.sum(axis=1)', 'row-sum'],
    ['np.diag(p) - np.outer(p, p)', 'right'],
    ['p * (1 - p)', 'diagonal'],
    ['dy * a * (1 - a)', 'diagonal'],
    ['(1 - s) * s', 'diagonal'],
    ['s * (1. - s) * g', 'diagonal'],
    ['dout * p * (1.0 - p)', 'diagonal'],
    ['softmax(x) * (1 - softmax(x)) * g', 'diagonal'],
    ['s - s**2', 'diagonal'],
    ['s**2 - s', 'diagonal'],
    ['J.diagonal(axis1=1, axis2=2)', 'diagonal'],
    ['(g - (g * s).sum(axis=1, keepdims=True)) * s', 'right'],
    ['s * g - (s * g).sum(-1, keepdims=True) * s', 'right'],
    ['s * (1 - s) * (s - y)', 'diagonal'],
    ['target - probs', 'sign-flipped'],
    ['z - y', 'logits-for-probabilities'],
    ['softmax(p) - y', 'softmax-twice'],
    ['softmax(x)', 'target-missing'],
    ['s ⊙ (1 − s)', 'diagonal'],
    ['s ⊙ (δ − np.roll(s, k))', 'row-sum'],
    ['sum(p * ((i == 0) - np.roll(p, i, axis=1)) for i in range(p.shape[1]))', 'row-sum'],
  ])('%s is %s', (gradient, id) => {
    expect(diagnose({ gradient }).verdict).toBe(id);
  });

  // A division and a matrix product are not turned round.
  test.each(['z - labels * 2', 'p - y.T', 's - eye(3)[z]', 'sin(p) - y', 'n / (s - y)', 'J.T @ s * g', 's ** 3 - s'])(
    '%s is none of them',
    (gradient) => {
      expect(() => diagnose({ gradient })).toThrow('s are the probabilities, x the logits, g the upstream gradient');
    },
  );
});

describe('what is near', () => {
  test.each(['foo', 'np.roll', 'np.roll(s, 1)', 'loss.backward()'])('nothing is near %s', (gradient) => {
    expect(() => diagnose({ gradient })).toThrow(
      /^diagnose: unknown expression .*; s are .*`softgrad doctor --list` lists the known ones/,
    );
  });

  test('right ones are named as right', () => {
    expect(() => diagnose({ gradient: 's * (g - (s * g).cumsum(axis=1, keepdims=True))' })).toThrow(
      '`s * (g - (s * g).sum(axis=1, keepdims=True))` (right)',
    );
  });
});

test.each([
  ['log-softmax', 'J @ g', 'jacobian-transposed'],
  ['log-softmax', "torch.einsum('bij,bj->bi', jac, dout)", 'jacobian-transposed'],
  ['log-softmax', 'g - (s * g).sum(axis=-1, keepdims=True)', 'jacobian-transposed'],
  ['log-softmax', 'J.T @ g', 'right'],
  ['log-softmax', 'g @ J', 'right'],
  ['log-softmax', "np.einsum('nij,ni->nj', J, g)", 'right'],
  ['sigmoid', 'J @ g', 'right'],
  ['sigmoid', 'J.T @ g', 'right'],
  ['softmax', 'J @ g', 'right'],
] as const)('of a %s, %s is %s: only the Jacobian of log-softmax is not symmetric', (layer, gradient, verdict) => {
  const { verdict: found, evidence, instead } = diagnose({ gradient, layer });
  expect([found, instead.numpy]).toEqual([verdict, diagnose({ gradient: 'g', layer }).instead.numpy]);
  // What is advised for a batch is right for the layer.
  for (const [advised] of evidence.notes.join().matchAll(/np\.einsum\([^)]*\)/g))
    expect(diagnose({ gradient: advised, layer }).verdict).toBe('right');
});

test('the numbers of an expression with a Jacobian that is not transposed are those of that product', () => {
  // s = (1/4, 3/4): J g = g − ⟨s, g⟩ = (1.5, −0.5), and Jᵀ g = g − s Σ g = (2, −2).
  const known = { logits: [[0, Math.log(3)]], upstream: [[3, 1]], layer: 'log-softmax' } as const;
  expect(diagnose({ ...known, gradient: 'J @ g' }).evidence.largest).toBeCloseTo(1.5, 12);
});
