import { describe, expect, test } from 'vitest';
import { lastExpression } from '../src/expressions/statements.js';
import { diagnose } from '../src/index.js';
import { failure } from './failure.js';

describe('the last expression of code', () => {
  test.each([
    ['def backward(J):\n    return J.sum(axis=1)', 'J.sum(axis=1)'],
    [
      'import numpy as np\n\ndef softmax_grad(s):\n    J = np.diag(s) - np.outer(s, s)  # (f, f)\n    return J.sum(axis=1)\n',
      'J.sum(axis=1)',
    ],
    [
      'function backward(s, g) {\n  const inner = 1; // ⟨s, g⟩\n  return s.map((p, i) => p * (1 - p));\n}',
      's.map((p, i) => p * (1 - p))',
    ],
    ['const backward = (s) => { return s.mul(s.neg().add(1)); }', 's.mul(s.neg().add(1))'],
    ['s = softmax(x)\ndx = s * (1 - s)', 's * (1 - s)'],
    ['const s = softmax(x);\nconst dx = s - y;', 's - y'],
    ['def f(s):\n    dx = s * (1 - s)\n    return dx', 's * (1 - s)'],
    ['a = 1\nb = 2\nreturn b', '2'],
    // A value that is changed before it is returned, or by other statements, is not that of the assignment.
    ['def f(s):\n    dx = s * (1 - s)\n    dx *= g\n    return dx', null],
    ['def f(s):\n    dx = s.copy()\n    dx[np.arange(n), y] -= 1\n    return dx', null],
    ['f = lambda s: s * (1 - s)', 's * (1 - s)'],
    ['lambda s, g: s * g', 's * g'],
    ['const f = (s, g) => s.mul(g);', 's.mul(g)'],
    ['p => p * (1 - p)', 'p * (1 - p)'],
    ['jax.grad(lambda x: f(x))(x)', null],
    ['s.map((p) => p * (1 - p))', null],
    ['(s) => { return s; }', null],
    ['s = softmax(x)\ns -= y', null],
    ['s = softmax(x)\nif s == y:', null],
    ['def f():\n    return dx', null],
    ['J.sum(axis=1)', null],
    ['return J.sum(axis=1)', null],
    ['', null],
  ])('of %j is %s', (code, last) => {
    expect(lastExpression(code)).toBe(last);
  });

  test('is diagnosed, and the diagnosis says that it is only that', () => {
    const code =
      'import numpy as np\ndef softmax_grad(s):\n    J = np.diag(s) - np.outer(s, s)\n    return J.sum(axis=1)';
    const { verdict, what, matches, evidence } = diagnose({ gradient: code });
    expect(verdict).toBe('row-sum');
    expect(what).toMatch(/^`J\.sum\(axis=1\)` is the sums/);
    expect(matches[0]?.formula).toBe('J.sum(axis=1)');
    expect(evidence.notes[0]).toContain('only this expression is judged');
    expect(diagnose({ gradient: 'J.sum(axis=1)' }).evidence.notes).toEqual([]);
  });

  test('is not taken where the whole is known', () => {
    const { verdict, evidence } = diagnose({ gradient: 'dx = probs.copy(); dx[np.arange(N), y] -= 1; dx /= N' });
    expect([verdict, evidence.notes.join().includes('only this expression')]).toEqual(['right', false]);
  });

  test('is not taken for one of a softmax in code with another function', () => {
    const code = 'def backward(x):\n    s = sigmoid(x)\n    return s * (1 - s)';
    expect(() => diagnose({ gradient: code })).toThrow('expected only the expression that computes the gradient');
    expect(diagnose({ gradient: code, layer: 'sigmoid' }).verdict).toBe('right');
  });
});

describe('what is no expression', () => {
  test.each(['', '  ', '\n'])('%j is no expression', (gradient) => {
    const [code, message] = failure(() => diagnose({ gradient }));
    expect(code).toBe('ERR_VALUE');
    expect(message).toBe(
      "diagnose: no expression is given; expected the code that computes the gradient, as 'J.sum(axis=1)'",
    );
  });

  test.each(['code.py', './src/backward.ts', 'C:\\model.py', 'notebook.ipynb'])(
    '%s is the name of a file',
    (gradient) => {
      expect(() => diagnose({ gradient })).toThrow(
        `\`${gradient}\` is the name of a file; expected the code itself, and of it only the expression that computes the gradient`,
      );
    },
  );

  test('the error for an unknown program says what to pass', () => {
    const said = 'expected only the expression that computes the gradient, not the code around it';
    expect(() => diagnose({ gradient: 'import numpy as np\ndef f(s):\n    return np.tanh(s)' })).toThrow(said);
    expect(() => diagnose({ gradient: 'np.tanh(s)' })).toThrow(
      /unknown expression `np\.tanh\(s\)`(?!.*not the code around it)/,
    );
  });

  test('rows of all targets are told from one row of each', () => {
    for (const gradient of ['J[:, y]', 'J[:, target]', 'jac[:, labels]'])
      expect(() => diagnose({ gradient })).toThrow('`J[np.arange(n), target]` takes one row of each');
  });
});

describe('other spellings', () => {
  test.each([
    ['keras.ops.sum(J, axis=1)', 'row-sum'],
    ['ops.sum(J, axis=1)', 'row-sum'],
    ['K.sum(J, axis=1)', 'row-sum'],
    ['cp.sum(J, axis=2)', 'row-sum'],
    ["np.einsum('nij->nj', J)", 'row-sum'],
    ["np.einsum('bij->bi', jac)", 'row-sum'],
    ["torch.einsum('ij->j', J)", 'row-sum'],
    ["np.einsum('nij->ij', J)", 'batch-jacobian'],
    ["np.einsum('nii->ni', J)", 'diagonal'],
    ["np.einsum('ii->i', J)", 'diagonal'],
    ['np.diagonal(J)', 'diagonal'],
    ['J.diagonal()', 'diagonal'],
    ['np.diag(J)', 'diagonal'],
    ['torch.diagonal(J, dim1=-2, dim2=-1)', 'diagonal'],
    ['J * g', 'not-contracted'],
    ['dout * jacobian', 'not-contracted'],
    ['s - onehot(y)', 'right'],
    ['s - oneHot(labels, 10)', 'right'],
    ['probs - one_hot(y, K)', 'right'],
    ['s - onehot(s.argmax(axis=1))', 'predicted-class'],
  ])('%s is %s', (gradient, verdict) => {
    expect(diagnose({ gradient }).verdict).toBe(verdict);
  });

  test('as an einsum, a sum over the columns of the Jacobian is told from one over its rows', () => {
    const of = (gradient: string) => diagnose({ gradient, layer: 'log-softmax' }).verdict;
    expect([of("np.einsum('nij->nj', J)"), of("np.einsum('nij->ni', J)")]).toEqual(['column-sum', 'row-sum']);
  });

  test.each(['np.diagonal(J)', 'J * g'])('%s is so of one row only', (gradient) => {
    expect(diagnose({ gradient }).evidence.notes.join()).toContain('One row only');
  });

  test.each(["np.einsum('nij->', s)", "np.einsum('nij->jn', J)", 'np.diagonal(s)'])('%s stays unknown', (gradient) => {
    expect(() => diagnose({ gradient })).toThrow('unknown expression');
  });
});
