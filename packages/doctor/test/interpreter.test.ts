import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { functions } from '../src/interpreter/functions.js';
import { CannotRun, type NdArray } from '../src/interpreter/nd-array.js';
import { runCode } from '../src/interpreter/program.js';
import { normal } from './random.js';

interface Results {
  readonly given: Readonly<Record<string, NdArray>>;
  readonly cases: readonly (Partial<NdArray> & { readonly code: string })[];
}

/** What NumPy computes: see fixtures/make_python_results.py. */
const { given, cases } = JSON.parse(
  readFileSync(new URL('fixtures/python-results.json', import.meta.url), 'utf8'),
) as Results;

const none = (): never => {
  throw new CannotRun('nothing is assigned to before it is defined');
};

/** Runs code with copies of the given arrays: code may change them. */
function run(code: string): NdArray {
  const own = new Map(Object.entries(given).map(([name, { shape, data }]) => [name, { shape, data: [...data] }]));
  return runCode(
    code,
    (name) => own.get(name),
    (name) => own.get(name) ?? none(),
  );
}

describe('code computes what NumPy does', () => {
  const computed = cases.filter(({ data }) => data !== undefined);

  test.each(computed)('$code', ({ code, shape, data = [] }) => {
    const result = run(`${code}\nr`);
    expect(result.shape).toEqual(shape);
    result.data.forEach((value, k) => {
      expect(value).toBeCloseTo(data[k] ?? Number.NaN, 12);
    });
  });

  test('which is most of the code in the fixture', () => {
    expect(computed.length).toBeGreaterThan(60);
    expect(cases.length - computed.length).toBeGreaterThan(8);
  });
});

describe('code that is an error in Python is one here', () => {
  test.each(cases.filter(({ data }) => data === undefined))('$code', ({ code }) => {
    expect(() => run(`${code}\nr`)).toThrow(CannotRun);
  });
});

describe('other libraries and languages', () => {
  const same: readonly (readonly [code: string, numpy: string])[] = [
    ['torch.softmax(x, dim=1)', 's'],
    ['F.softmax(x, -1)', 's'],
    ['nn.Softmax(dim=1)(x)', 's'],
    ['x.softmax(dim=0)', 'np.exp(x) / np.exp(x).sum(axis=0)'],
    ['stable_softmax(x)', 's'],
    ['F.log_softmax(x, dim=1)', 'np.log(s)'],
    ['torch.diag_embed(s)', 's[:, :, None] * np.eye(4)'],
    ['s.unsqueeze(-1) * s.unsqueeze(1)', 's[:, :, None] * s[:, None, :]'],
    ['torch.bmm(J, g.unsqueeze(2)).squeeze()', "np.einsum('nij,nj->ni', J, g)"],
    ['F.one_hot(t, 4).float()', 'y'],
    ['F.relu(x)', 'np.maximum(x, 0)'],
    ['torch.sigmoid(x)', '1 / (1 + np.exp(-x))'],
    ['s.view(-1, s.size(-1))', 's'],
    ['F.cross_entropy(x, t)', '-np.sum(y * np.log(s)) / 5'],
    ['nn.CrossEntropyLoss()(x, t)', '-np.sum(y * np.log(s)) / 5'],
    ['F.nll_loss(torch.log(s), t)', '-np.sum(y * np.log(s)) / 5'],
    ['F.nll_loss(s, t)', '-np.sum(y * s) / 5'],
    ['tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=x))', '-np.sum(y * np.log(s)) / 5'],
    ['tf.keras.losses.CategoricalCrossentropy(from_logits=True)(y, x)', '-np.sum(y * np.log(s)) / 5'],
    ['tf.keras.losses.SparseCategoricalCrossentropy()(t, s)', '-np.sum(y * np.log(s)) / 5'],
    ['loss = F.cross_entropy(x, t)\nloss.backward()', '-np.sum(y * np.log(s)) / 5'],
    ['torch.autograd.grad(s.sum(), x)', 's.sum()'],
    ['jax.grad(lambda x: jax.nn.softmax(x).sum())(x)', 's.sum()'],
    ['torch.clamp(x, min=0)', 'np.maximum(x, 0)'],
    ['x.clamp(max=0.5)', '-np.maximum(-x, -0.5)'],
    [
      'sum(s * (delta - np.roll(s, k)) for k in range(4))',
      's * ((s == s) - 0) - s * sum(np.roll(s, k) for k in range(4))',
    ],
    ['self.s - this.g', 's - g'],
    ['s .* (1 - s) ./ g', 's * (1 - s) / g'],
    ['std::exp(x) * 2.f', 'np.exp(x) * 2'],
    ['import numpy as np\nfrom math import exp\nprint(s)\ns * 2', 's * 2'],
    ['def f(a):\n    """What it does."""\n    return a * 2\nf(s)', 's * 2'],
    ['def f(a):\n    return a * 2\nb = 0\nfor i in range(100):\n    b = f(s)\nb', 's * 2'],
    [`${'('.repeat(450)}s${')'.repeat(450)} * g`, 's * g'],
    [`${'-'.repeat(900)}s`, 's'],
    [
      'def a(x):\n    return x\ndef b(x):\n    return a(x)\ndef c(x):\n    return b(x)\ndef d(x):\n    return c(x)\nd(s)',
      's',
    ],
    ['class Layer:\n    def backward(self, g):\n        return g * s', 'g * s'],
  ];

  test.each(same)('%s is %s', (code, numpy) => {
    const [result, expected] = [run(code), run(numpy)];
    expect(result.shape).toEqual(expected.shape);
    result.data.forEach((value, k) => {
      expect(value).toBeCloseTo(expected.data[k] ?? Number.NaN, 12);
    });
  });
});

describe('what is not run', () => {
  test.each([
    ['a loop without an end', 'for i in range(10000):\n    for j in range(10000):\n        a = i'],
    ['a sum of a generator without an end', 'sum(sum(i * j for i in range(5000)) for j in range(5000))'],
    ['a function that calls itself', 'def f(x):\n    return f(x) * s\nf(s)'],
    ['a lambda that calls itself', 'f = lambda x: f(x) * s\nf(s)'],
    ['a list in itself', 'a = []\na.append(a)\na'],
    ['a product too large', 'np.ones((100, 100)) @ np.ones((100, 100))'],
    ['an array too large', 'np.zeros((1000, 1000))'],
    ['an assignment into a row of a loop, which is a view in NumPy', 'for row in s:\n    row[0] = 1\ns'],
    ['a name of an object', 'constructor * s'],
    ['a method of an object', 's.constructor(1)'],
    ['the prototype', '__proto__ + s'],
    ['a function that is not known', 'mystery(s)'],
    ['a backward pass of several losses', 's.backward()'],
    ['a statement of another kind', 'while True:\n    a = 1'],
    ['nothing', 'import numpy as np'],
    ['text', 'the derivative of softmax'],
    ['brackets that are not closed', 's * (1 - s'],
    ['a function that calls itself', 'def f(a):\n    return f(a)\nf(s)'],
    ['functions that call each other', 'def f(a):\n    return h(a)\ndef h(a):\n    return f(a)\nf(s)'],
    ['signs nested too deeply', `${'-'.repeat(3900)}s`],
    ['brackets nested too deeply', `${'('.repeat(1900)}s${')'.repeat(1900)}`],
    ['lists nested too deeply', `${'['.repeat(1900)}1${']'.repeat(1900)}`],
    ['signs nested in a function that calls itself', `def f(a):\n    return ${'-'.repeat(980)}f(a)\nf(s)`],
    [
      'brackets nested in a function that calls itself',
      `def f(a):\n    return ${'f('.repeat(330)}a${')'.repeat(330)}\nf(s)`,
    ],
    ['lists nested in one', `def f(a):\n    return ${'['.repeat(490)}f(a)${']'.repeat(490)}\nf(s)`],
    ['a list of lists that are the same one', 'a = [s, s]\nfor i in range(60):\n    a = [a, a]\na'],
    ['the same of empty ones', 'a = []\nfor i in range(60):\n    a = [a, a]\na'],
  ])('%s', (_, code) => {
    expect(() => run(code)).toThrow(CannotRun);
  });
});

test('code of any tokens is run, or cannot be: there is no other error, and the entries fit the shape', () => {
  const next = normal(7);
  const one = <T>(from: readonly T[]): T => from[Math.floor(Math.abs(next()) * 1e6) % from.length] as T;
  const names = [...functions.keys()];
  const operands = ['s', 'x', 'J', '1', '-1', 's[0]', 's[:, 0]', '[1, 2]', '(2, -1)', 's.T', 'None', "'ij->i'", 'y'];
  const more = ['range(5)', 's[1:3]', '[s, p]', 'softmax', 's == x', 'axis=1', 'axis=3', 'keepdims=True', 's[[0, 1]]'];
  const called = (depth: number): string => {
    const given = Array.from({ length: Math.floor(Math.abs(next()) * 2) }, () =>
      depth > 0 && next() > 0.5 ? called(depth - 1) : one([...operands, ...more]),
    );
    return `${one(names)}(${given.join(', ')})`;
  };
  const tokens = [...operands, ...more, ...'()[],+-*/@=:.'].concat([' if ', ' else ', ' for i in ', '\n', '\n ', '**']);
  const written = (length: number) => Array.from({ length }, () => one(tokens)).join('');
  let ran = 0;
  for (let k = 0; k < 6000; k++) {
    const [a, b] = [called(2), one(['', '[0]', '.T', '[..., None]', ' - s', ' @ 2', '[:, 1]', ' ** s.sum()'])];
    const code = k % 3 === 0 ? written(2 + (k % 11)) : k % 3 === 1 ? a + b : `${one(operands)}.${a}`;
    try {
      const { shape, data } = run(code);
      expect(data.length, code).toBe(shape.reduce((all, size) => all * size, 1));
      ran++;
    } catch (error) {
      expect(error, code).toBeInstanceOf(CannotRun);
    }
  }
  expect(ran).toBeGreaterThan(600);
});
