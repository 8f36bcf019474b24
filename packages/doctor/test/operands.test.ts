import { expect, test } from 'vitest';
import { diagnose } from '../src/index.js';
import { normalised } from '../src/spelling.js';

test.each([
  ['np.add((), x)', '()+x'],
  ['np.subtract(s, ())', 's-()'],
  ['np.add(((s)), x)', 's+x'],
  ['np.subtract(np.multiply(s, g), s)', 'g*s-s'],
  ['neg(s)', '-s'],
  ['x.neg()', '-x'],
  ['((s+y))*g', '(s+y)*g'],
  ['((s))', 's'],
  ['((s)', '((s)'],
  ['f((s+y),g)', 'f((s+y),g)'],
  ['((s+y)+g)', '(s+y)+g'],
  ['f(((s+y)))', 'f(s+y)'],
  ['f((s+y)', 'f((s+y)'],
  ['((s+y)', '((s+y)'],
  ['s[((i))]', 's[(i)]'],
  // Names of more than one letter, and functions of another number of operands.
  ['nn.Softmax(dim=-1)(foo)', 'softmax(foo,axis=1)'],
  ['-(s/foo)', '-s/foo'],
  ['g-(foo/bar)', 'g-foo/bar'],
  ['np.dot(J, g, foo)', 'dot(J,g,foo)'],
  ['np.matmul(J)', 'matmul(J)'],
  ['np.matmul(J, s - y)', 'J@(s-y)'],
])('the operands of %s stay what they are', (expression, expected) => {
  expect(normalised(expression)).toBe(expected);
});

test('of a log-softmax, what is right for softmax is the derivative of another layer, and its own is right', () => {
  const of = (gradient: string) => {
    const { verdict, instead } = diagnose({ gradient, layer: 'log-softmax' });
    return [verdict, instead];
  };
  const [, ofJacobian] = of('np.eye(f) - s');
  const [, ofProduct] = of('g - s * g.sum(axis=1, keepdims=True)');
  expect(of('np.eye(f) - s')[0]).toBe('right');
  expect(of('g - s * g.sum(axis=1, keepdims=True)')[0]).toBe('right');
  expect(ofJacobian).not.toEqual(ofProduct);
  expect(of('np.diag(s) - np.outer(s, s)')[0]).toBe('softmax-derivative');
});
