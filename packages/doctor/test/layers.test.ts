import { isSoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { type Diagnosis, diagnose, knownExpressions } from '../src/index.js';
import type { NdArray } from '../src/interpreter/nd-array.js';
import { runCode } from '../src/interpreter/program.js';
import { normal } from './random.js';

const n = 4;
const f = 3;
const next = normal(11);
const random = (size: number) => Array.from({ length: n }, () => Array.from({ length: f }, () => size * next()));
const logits = random(1.2);
const upstream = random(3);
const labels = [2, 0, 1, 0];

const layers = ['log-softmax', 'sigmoid'] as const;
type Layer = (typeof layers)[number];

type Scope = Readonly<Record<string, NdArray>>;

function array(values: readonly number[] | readonly (readonly number[])[]): NdArray {
  const [first] = values;
  return { shape: typeof first === 'number' ? [values.length] : [values.length, f], data: values.flat() };
}
const scalar = (value: number): NdArray => ({ shape: [], data: [value] });

/** What code computes of copies of the variables: code may change them. */
function evaluate(code: string, scope: Scope): NdArray {
  const own = new Map(Object.entries(scope).map(([name, { shape, data }]) => [name, { shape, data: [...data] }]));
  const initial = (name: string) => own.get(name) ?? expect.fail(`${name} in ${code}`);
  return runCode(code, (name) => own.get(name), initial);
}

const [x, g, target] = [array(logits), array(upstream), array(labels)];
const size = { n: scalar(n), f: scalar(f) };

/** The variables of an expression: s are the probabilities of the layer and J its own Jacobian. */
function scopeOf(layer: Layer): Scope {
  const s = evaluate(layer === 'sigmoid' ? 'sigmoid(x)' : 'softmax(x)', { x });
  const identity = evaluate('np.eye(f)', size);
  const J = {
    'log-softmax': 'identity - s[:, None, :]',
    sigmoid: 's[:, :, None] * (1 - s[:, None, :]) * identity',
  }[layer];
  const known = { ...size, x, g, s, target, y: evaluate('np.eye(f)[target]', { ...size, target }), identity };
  const withJ = { ...known, J: evaluate(J, known) };
  return { ...withJ, dx: evaluate("np.einsum('nij,ni->nj', J, g)", withJ), s2: evaluate('softmax(s)', withJ) };
}

/** Expressions of one row alone, whose variables have no batch. */
const ofOneRow =
  /^(?:J \* g$|np\.diagonal\(J\)|s \* \(g - (?:s @ g|g @ s)\)|(?:J|J\.T|J @ J) @ (?:g|\(s - y\))|g @ J|\(s - y\) @ J|np\.einsum\('ij,.*|-?np\.outer\(.*|np\.diag\((?!s\.flatten).*|np\.eye\(f\) - s|s\[t\] .*|sum\(s \* \(delta - np\.roll\(s, k\)\) .*)$/;
/** The same, of a column. */
const ofColumn = /s\.T\b|^np\.diagflat\(softmax/;
/** Expressions in which y are class indices. */
const ofIndices = /\[y [-+] 1\]|y\[:|y\.reshape/;

function numbersOf(expression: string, layer: Layer): NdArray {
  const scope = scopeOf(layer);
  // What 1 is subtracted from are the probabilities.
  if (/^dx.* -= 1$/.test(expression)) return evaluate(expression, { ...scope, dx: scope.s });
  const column = ofColumn.test(expression);
  if (!column && !ofOneRow.test(expression)) {
    // The class after the last one is an error in NumPy, and the first one here.
    return evaluate(
      expression.replace('[y + 1]', '[(y + 1) % f]'),
      ofIndices.test(expression) ? { ...scope, y: target } : scope,
    );
  }
  const rows = labels.map((label, row) => {
    const own = (name: string) => evaluate(`${name}[${row}]`, scope);
    const [rowX, rowG, s, y] = ['x', 'g', 's', 'y'].map((name) =>
      column ? { ...own(name), shape: [f, 1] } : own(name),
    );
    return evaluate(expression, { ...size, J: own('J'), t: scalar(label), x: rowX, g: rowG, s, y });
  });
  return { shape: [n, ...rows[0].shape], data: rows.flatMap(({ data }) => data) };
}

/** Expressions that are no array of the variables alone. */
const notEvaluated = [
  's.sum().backward()',
  'torch.autograd.grad(s.sum(), x)',
  'jax.grad(lambda x: jax.nn.softmax(x).sum())(x)',
  's * (delta - np.roll(s, k))',
  's * (delta - np.roll(s, k, axis=1))',
  'grad[i] = -s[i] * s[j]',
  'softmax.vjp(x, g)',
  'torch.nn.utils.clip_grad_norm_(model.parameters(), 1)',
  'torch.nn.utils.clip_grad_value_(model.parameters(), 1)',
  'tf.clip_by_norm(dx, 1)',
  // Zeros, which say nothing of a target.
  's - s',
  '(s - s) / n',
  // Whether these bounds cut some of the numbers, and leave enough, is another question.
  'np.clip(dx, -1, 1)',
  'np.clip(s - y, -1, 1)',
  // Only where there are as many rows as classes.
  's * (g - (s * g).sum(axis=1))',
  'np.exp(x) / np.exp(x).sum(axis=1)',
];

/** What computes the probabilities, in place of a gradient. */
const forward = /^np\.exp\(x.*\) \/ |^np\.exp\(x\)$/;

/** Gradients of a loss that do not name its target. */
const ofLoss = /^(?:s|s \/ n|s - 1|1 - s|np\.exp\(x\) \* .*|.*argmax.*)$/;

function knownFor(expression: string, layer: Layer) {
  const ofUpstream = /\b(?:g|dx)\b/.test(expression) && !expression.endsWith('] -= 1');
  const ofTarget = (/\b(?:y|target)\b/.test(expression) || ofLoss.test(expression)) && !expression.startsWith('J[np');
  return {
    layer,
    logits,
    ...(ofUpstream && { upstream }),
    ...((ofTarget || expression.includes('target]')) && { target: labels }),
  };
}

const idsOf = ({ matches }: Diagnosis) => matches.map(({ id }) => id);

/** The explanations of numbers; none of those of a shape that nothing explains. */
function explanationsOfNumbers(known: ReturnType<typeof knownFor>, values: NdArray): readonly string[] {
  try {
    return idsOf(diagnose({ ...known, gradient: { data: Float64Array.from(values.data), shape: values.shape } }));
  } catch (error) {
    if (isSoftgradError(error) && error.code === 'ERR_SHAPE') return [];
    throw error;
  }
}

/** These are said of every layer, or have softmax's formula, but numbers are compared with some of them for a softmax only. */
const saidOnly = ['batch-contracted', 'batch-jacobian', 'not-reset', 'softmax-derivative'];

/** The gradient of ½‖σ − y‖² with the opposite sign, which numbers are not compared with. */
const ofSquaredError = '(y - s) * s * (1 - s)';

/** Which class a sigmoid predicts is a question of a threshold, so numbers are not compared with the largest. */
const ofArgmax = /^\(?s - np\.eye.*argmax|^s\[.*argmax/;

const evaluated = knownExpressions().filter(({ expression }) => !notEvaluated.includes(expression));

describe.each(layers)('after a %s', (layer) => {
  test.each(evaluated)('$expression is the same by its code and by its numbers', ({ expression }) => {
    const known = knownFor(expression, layer);
    const said = diagnose({ ...known, gradient: expression });
    const values = numbersOf(expression, layer);
    const isZero = Math.max(...values.data.map(Math.abs)) < 1e-14;
    const saysZero = said.evidence.notes.some((note) => note.includes('identically 0'));
    expect(saysZero, said.text).toBe(isZero);
    if (said.verdict === 'row-sum' && !said.what.includes(`no derivative of a ${layer}`)) expect(isZero).toBe(true);
    // The sum of all entries is a single number, which no gradient is.
    if (values.shape.length === 0) return;

    const numbers = explanationsOfNumbers(known, values);
    const isOfSoftmaxOnly = said.what.includes(`is no derivative of a ${layer}; for a softmax it would be`);
    const may = isOfSoftmaxOnly || saidOnly.includes(said.verdict) || forward.test(expression);
    if (
      numbers.length === 0 &&
      (may || (layer === 'sigmoid' && (ofArgmax.test(expression) || expression === ofSquaredError)))
    )
      return;
    expect(numbers, said.text).toEqual(expect.arrayContaining([expect.toBeOneOf(idsOf(said))]));
    if (said.verdict === 'right') expect(numbers[0]).toBe('right');
    expect(isOfSoftmaxOnly, said.text).toBe(false);
  });
});

describe.each([
  ['log-softmax', /diag\(s\)|s sᵀ|= s ⊙|−y \/ s|s_i \(δ/],
  ['sigmoid', /diag\(s\)|s sᵀ|= s ⊙|−y \/ s|s_i \(δ|−Σ y log s|[^σ]\bs − y/],
] as const)('no reason for what is after a %s', (layer, ofSoftmax) => {
  test('is one of a softmax', () => {
    // These compare the layers.
    const comparing = ['softmax-derivative', 'log-softmax', 'jacobian-transposed'];
    const found = knownExpressions()
      .flatMap(({ expression }) =>
        [{ layer }, knownFor(expression, layer)].map((known) => ({ ...known, gradient: expression })),
      )
      .map((input) => diagnose(input))
      .filter(({ verdict, why }) => !comparing.includes(verdict) && ofSoftmax.test(why));
    expect(found.map(({ what, why }) => `${what} ${why}`)).toEqual([]);
  });

  test.each(['nothing', 'upstream', 'target'] as const)(
    'is one of a softmax where numbers and %s are given',
    (given) => {
      const known = {
        logits,
        layer,
        ...(given === 'upstream' && { upstream }),
        ...(given === 'target' && { target: labels }),
      };
      const numbers = [
        ...[
          'g',
          'J',
          's',
          's * (1 - s)',
          's - y',
          'dx',
          '-dx',
          's * 0 + 1e-17',
          's * 0',
          'x * 0 + 1',
          'dx * s * 3',
          'J * g[:, None, :]',
        ],
        ...['dx / 4', 'J.sum(axis=1)', 'J.sum(axis=2)', 'J[:, :, -1]', 'J[:, 0]', '-y / s', 's - y / n'],
      ].map((expression) => evaluate(expression, scopeOf(layer)));
      for (const { data, shape } of numbers) {
        const { verdict, why, matches } = diagnose({ ...known, gradient: { data: Float64Array.from(data), shape } });
        const formulas = matches
          .filter(({ id, formula }) => id === 'right' && !formula.includes('with g of the loss'))
          .map(({ formula }) => formula);
        expect(formulas.join()).not.toMatch(/s ⊙ \(g/);
        if (verdict !== 'softmax-derivative' && verdict !== 'log-softmax' && verdict !== 'jacobian-transposed')
          expect(why).not.toMatch(ofSoftmax);
      }
    },
  );
});

describe('a sum of the Jacobian', () => {
  test.each([
    ['log-softmax', 'J.sum(axis=1)', 'column-sum'],
    ['log-softmax', 'np.sum(J, axis=1)', 'column-sum'],
    ['log-softmax', 'J.mean(axis=1)', 'column-sum'],
    ['log-softmax', 'J.sum(axis=2)', 'row-sum'],
    ['log-softmax', 'J.sum(axis=-1)', 'row-sum'],
    ['log-softmax', 'J.mean(dim=-1)', 'row-sum'],
    ['log-softmax', 'J.sum()', 'row-sum'],
    ['sigmoid', 'J.sum(axis=1)', 'right'],
    ['sigmoid', 'J.sum(axis=-1)', 'right'],
    ['softmax', 'J.sum(axis=-1)', 'row-sum'],
    ['softmax', 'J.sum(axis=1)', 'row-sum'],
  ] as const)('of a %s, %s, is %s', (layer, gradient, verdict) => {
    expect(diagnose({ gradient, layer }).verdict).toBe(verdict);
  });

  test('of a sigmoid is its slope, which lacks an upstream gradient that is given', () => {
    const of = (more: object) => diagnose({ logits, layer: 'sigmoid', gradient: 'J.sum(axis=1)', ...more });
    expect(of({}).verdict).toBe('right');
    expect(of({}).insteadIsTheSame).toBe(true);
    expect(of({ upstream }).verdict).toBe('slope-alone');
  });

  test("over the columns of log-softmax's may be the gradient of the sum of its outputs, until the upstream gradient is given", () => {
    const { data, shape } = evaluate('J.sum(axis=1)', scopeOf('log-softmax'));
    const gradient = { data: Float64Array.from(data), shape };
    expect(idsOf(diagnose({ logits, layer: 'log-softmax', gradient }))).toEqual(['right', 'column-sum']);
    expect(diagnose({ logits, layer: 'log-softmax', gradient, upstream }).verdict).toBe('column-sum');
  });
});

test.each([
  ['(np.diag(s) - np.outer(s, s)) @ g', 'sigmoid'],
  ['(np.diag(s) - np.outer(s, s)) @ g', 'log-softmax'],
  ['(np.diagflat(s) - np.dot(s, s.T)) @ g', 'sigmoid'],
] as const)("%s has softmax's Jacobian, not that of a %s", (gradient, layer) => {
  expect(diagnose({ gradient, layer }).verdict).toBe('softmax-derivative');
});

describe('a part of an expression is that of the layer, too', () => {
  test.each([
    ['sigmoid', 'np.clip(s * (1 - s), -1, 1)', 'gradient-clipped'],
    ['sigmoid', 'np.clip(J.sum(axis=1), -1, 1)', 'gradient-clipped'],
    ['sigmoid', '(g * s * (1 - s)).sum(axis=0)', 'batch-contracted'],
    ['sigmoid', '(s * (g - (s * g).sum(axis=1, keepdims=True))).sum(axis=0)', 'softmax-derivative'],
    ['log-softmax', 'np.clip(J.sum(axis=1), -1, 1)', 'column-sum'],
    ['log-softmax', 'np.clip(J.sum(axis=2), -1, 1)', 'row-sum'],
    ['log-softmax', 'np.clip(J @ g, -1, 1)', 'jacobian-transposed'],
    ['log-softmax', 'np.clip(dx, -1, 1)', 'gradient-clipped'],
    ['log-softmax', 'dx.sum(axis=0)', 'batch-contracted'],
    ['log-softmax', '(g - s * g.sum(axis=1, keepdims=True)).sum(axis=0)', 'batch-contracted'],
    ['log-softmax', '(s * (g - (s * g).sum(axis=1, keepdims=True))).sum(axis=0)', 'softmax-derivative'],
    ['softmax', 'np.clip(s * (1 - s), -1, 1)', 'diagonal'],
    ['softmax', 'dx.sum(axis=0)', 'batch-contracted'],
  ] as const)('after a %s, %s is %s', (layer, gradient, verdict) => {
    expect(diagnose({ gradient, layer }).verdict).toBe(verdict);
  });

  test('for sums that are 0 only for a softmax, no number is stated', () => {
    const { evidence } = diagnose({ gradient: '(s - y).sum(axis=1)', layer: 'sigmoid', logits, target: labels });
    expect([evidence.largest, evidence.notes]).toEqual([null, []]);
    expect(
      diagnose({ gradient: '(s - y).sum(axis=1)', layer: 'log-softmax', logits, target: labels }).evidence.largest,
    ).toBe(0);
  });

  test('and along axis 0', () => {
    const of = (gradient: string) => diagnose({ gradient, layer: 'log-softmax', axis: 0 }).verdict;
    expect(of('g - (s * g).sum(axis=0, keepdims=True)')).toBe('jacobian-transposed');
    expect(of('g - s * g.sum(axis=0, keepdims=True)')).toBe('right');
    expect(of('-s * (g - (s * g).sum(axis=0, keepdims=True))')).toBe('softmax-derivative');
  });
});

test('numbers of the size of rounding after a sigmoid raise the question whether the layer is a softmax', () => {
  const asks = (gradient: readonly (readonly number[])[], layer: 'sigmoid' | 'softmax') =>
    diagnose({ logits, gradient, layer }).evidence.notes.some((note) => note.includes('Is the layer a softmax?'));
  const noise = logits.map((row) => row.map((_, i) => (i - 1) * 2.7755575615628914e-17));
  expect(asks(noise, 'sigmoid')).toBe(true);
  expect(asks(noise, 'softmax')).toBe(false);
  expect(asks(upstream, 'sigmoid')).toBe(false);
});

test("a caveat about softmax's Jacobian is not given for another layer", () => {
  for (const layer of layers)
    for (const gradient of ['J[:, 0]', 'J.mean(axis=0)', 's * (g - (s * g).sum())'])
      expect(diagnose({ gradient, layer }).evidence.notes).toEqual([]);
});

describe.each(['softmax', ...layers] as const)('a caveat after a %s', (layer) => {
  const notesOf = (gradient: string) => diagnose({ gradient, layer }).evidence.notes.join(' ');

  test('of one row of the transposed product names the transposed product of a batch', () => {
    for (const gradient of ['J.T @ g', 'g @ J', "np.einsum('ij,i->j', J, g)"])
      expect(notesOf(gradient), gradient).toMatch(/^One row only, .* write np\.einsum\('nij,ni->nj', J, g\)\.$/);
    if (layer === 'log-softmax') return;
    for (const gradient of ['J @ g', "np.einsum('ij,j->i', J, g)"])
      expect(notesOf(gradient), gradient).toMatch(/^One row only, .* write np\.einsum\('nij,nj->ni', J, g\)\.$/);
  });

  test('of a squared error names the error and the loss of the layer', () => {
    const said = {
      softmax: 'That is the gradient of ½‖s − y‖²; of the cross-entropy it is s − y.',
      'log-softmax': '',
      sigmoid: 'That is the gradient of ½‖σ − y‖²; of the binary cross-entropy it is σ − y.',
    }[layer];
    expect(notesOf(layer === 'sigmoid' ? '(s - y) * s * (1 - s)' : 'J @ (s - y)')).toBe(said);
  });
});

test('a loss of the probabilities, which are exp of the outputs of a log-softmax, is right, too', () => {
  const { data, shape } = evaluate('-s * (y - (s * y).sum(axis=1, keepdims=True))', scopeOf('log-softmax'));
  const known = { logits, target: labels, layer: 'log-softmax' } as const;
  expect(idsOf(diagnose({ ...known, gradient: { data: Float64Array.from(data), shape } }))).toEqual([
    'right',
    'softmax-derivative',
  ]);
});

describe('the right gradient of a loss of the outputs is never called a mistake alone', () => {
  const upstreams: Readonly<Record<string, string>> = {
    'the sum': 'x * 0 + 1',
    'the negative sum': 'x * 0 - 1',
    'the mean': '(x * 0 + 1) / n / f',
    'the mean over the rows': '(x * 0 + 1) / n',
    'the mean over the classes': '(x * 0 + 1) / f',
    'the first class': 'x * 0 + np.eye(f)[0]',
    'the last class': 'x * 0 + np.eye(f)[f - 1]',
    'the class of the target': 'y',
    'the squares': 's',
  };
  test.each(layers.flatMap((layer) => Object.entries(upstreams).map(([loss, code]) => ({ layer, loss, code }))))(
    'after a $layer: $loss',
    ({ layer, code }) => {
      const scope = scopeOf(layer);
      const { data, shape } = evaluate("np.einsum('nij,ni->nj', J, own)", { ...scope, own: evaluate(code, scope) });
      // Zeros but for rounding are those of summed rows.
      if (data.every((value) => Math.abs(value) < 1e-15)) return;
      for (const decimals of [17, 5]) {
        const gradient = { shape, data: data.map((value) => Number(value.toFixed(decimals))) };
        const { verdict, matches } = diagnose({ logits, layer, gradient });
        if (verdict !== 'unknown') expect(matches.map(({ id }) => id)).toContain('right');
      }
    },
  );
});
