import { describe, expect, test } from 'vitest';
import { inOurLetters } from '../src/aliases.js';
import { commuted } from '../src/commuted.js';
import { nearest } from '../src/nearest.js';
import { normalised } from '../src/spelling.js';

describe('the spelling of an expression', () => {
  test.each([
    // Assignments, spaces, semicolons and quotation marks.
    ['dx = s - y', 's-y'],
    ['dL/dx = s - y', 's-y'],
    ['∂L/∂x = s - y', 's-y'],
    ['dZ = A - Y', 's-y'],
    ['return s - y;', 's-y'],
    ['tf.reduce_sum(J, axis=1)', 'J.sum(axis=1)'],
    ['tf.reduce_mean(J, axis=1)', 'J.mean(axis=1)'],
    ['const dx = s - y;', 's-y'],
    ['let dx = s - y;;', 's-y'],
    ['self.dx = s - y', 's-y'],
    ['const { loss, gradient } = crossEntropy(logits, target);', '(s-y)/n'],
    ['s == y', 's==y'],
    ['einsum("ij", J)', "einsum('ij',J)"],
    // Libraries.
    ['np.exp(x)', 'exp(x)'],
    ['numpy.exp(x)', 'exp(x)'],
    ['jnp.exp(x)', 'exp(x)'],
    ['jax.numpy.exp(x)', 'exp(x)'],
    ['torch.exp(x)', 'exp(x)'],
    ['tf.exp(x)', 'exp(x)'],
    ['J.np.exp(x)', 'J.np.exp(x)'],
    // Functions as methods, arguments as keywords.
    ['np.sum(J, axis=1)', 'J.sum(axis=1)'],
    ['np.sum(a=J, axis=1)', 'J.sum(axis=1)'],
    ['torch.sum(input=J, dim=1)', 'J.sum(axis=1)'],
    ['np.mean(s * g, 1)', '(g*s).mean(axis=1)'],
    ['J.sum(1)', 'J.sum(axis=1)'],
    ['J.sum(-1)', 'J.sum(axis=2)'],
    ['J.sum(0)', 'J.sum(axis=0)'],
    ['J.sum(1, True)', 'J.sum(axis=1,keepdims=True)'],
    ['J.sum(axis=1, keepdims=1)', 'J.sum(axis=1,keepdims=True)'],
    ['J.sum(axis=1, keepdim=True)', 'J.sum(axis=1,keepdims=True)'],
    ['J.sum(axis=1, keepdims=False)', 'J.sum(axis=1,keepdims=False)'],
    ['sum(mean(J, 0), 1)', 'J.mean(axis=0).sum(axis=1)'],
    ['sum(J[0], 1)', 'J[0].sum(axis=1)'],
    ['sum(f(s), 1)', 'f(s).sum(axis=1)'],
    ['sum((s), 1)', 's.sum(axis=1)'],
    ['sum(J', 'sum(J'],
    // Sums and maps of JavaScript arrays.
    ['J.map(row => row.reduce((a, b) => a + b, 0))', 'J.sum(axis=1)'],
    ['J?.map((row) => row.reduce((sum, entry) => sum + entry, 0));', 'J.sum(axis=1)'],
    ['const dx = J[0].map((row) => row.reduce((sum, p) => p + sum))', 'J.sum(axis=1)'],
    ['(await J.array()).map((matrix) => matrix.map((row) => row.reduce((a, b) => a + b, 0)))', 'J.sum(axis=2)'],
    ['J.map((row) => row.reduce((a, b) => a + 2 * b, 0))', 'J.reduce((s,b)=>s+2*b,0)'],
    ['probs.map((row, i) => row.map((p, j) => p - (j === labels[i] ? 1 : 0)))', 's-y'],
    ['s.map((row, i) => row.map((p, j) => p - y[i][j]))', 's-y'],
    ['s.map((row, i) => row.map((p, j) => p - y[j][i]))', 's.map((s,j)=>s-y[j][i])'],
    ['Array.from(s.dataSync(), (p) => p * (1 - p))', '(1-s)*s'],
    ['[...s].map((p) => p * (1 - p))', '(1-s)*s'],
    // Operators.
    ['np.dot(J, g)', 'J@g'],
    ['np.matmul(J, s - y)', 'J@(s-y)'],
    ['J.dot(g)', 'J@g'],
    ['J.matmul(g)', 'J@g'],
    ['s.mul(g)', 'g*s'],
    ['np.multiply(s, 1 - s)', '(1-s)*s'],
    ['np.dot(J)', 'dot(J)'],
    // A product of a function is one operand of what follows it.
    ['np.matmul(J, g).sum(axis=0)', '(J@g).sum(axis=0)'],
    ['np.dot(J, g)[0]', '(J@g)[0]'],
    ['np.matmul(J, g[..., None]).squeeze(-1)', "einsum('ijk,ik->ij',J,g)"],
    ['np.matmul(J, g[:, :, np.newaxis])[..., 0]', "einsum('ijk,ik->ij',J,g)"],
    ['torch.matmul(J, g.unsqueeze(-1)).squeeze(-1)', "einsum('ijk,ik->ij',J,g)"],
    ['J @ g[..., None].squeeze(-1)', 'J@g[...,None].squeeze(-1)'],
    // Axes of a diagonal.
    ['J.diagonal(axis1=1, axis2=2)', 'diagonal(J,axis1=1,axis2=2)'],
    ['torch.diagonal(J, dim1=1, dim2=2)', 'diagonal(J,axis1=1,axis2=2)'],
    ['J.diagonal(dim1=1, dim2=2)', 'diagonal(J,axis1=1,axis2=2)'],
    // Numbers and shapes.
    ['1. - s', '1-s'],
    ['1.0 - s', '1-s'],
    ['1.00 - s', '1-s'],
    ['1.5 - s', '1.5-s'],
    ['s.shape[-1]', 's.shape[1]'],
    ['s.ravel()', 's.flatten()'],
    ['s.reshape(-1)', 's.flatten()'],
    ['((s - y))', 's-y'],
    ['(s - y) / (n)', '(s-y)/(n)'],
    // What is spelled out.
    ['softmax(x)', 's'],
    ['softmax(x, axis=-1)', 's'],
    ['softmax(x, axis=1)', 's'],
    ['softmax(x, -1)', 's'],
    ['softmax(x, axis=0)', 'softmax(x,axis=0)'],
    ['x.softmax(1)', 's'],
    ['x.softmax()', 's'],
    ['logits.softmax(dim=-1)', 's'],
    ['my.softmax(x)', 'my.softmax(x)'],
    ['log_softmax(x)', 'log(s)'],
    ['(s - y) / s.shape[0]', '(s-y)/n'],
    ['(s - y) / y.shape[0]', '(s-y)/n'],
    ['(s - y) / len(x)', '(s-y)/n'],
    ['(s - y) / np.size(y)', '(s-y)/n'],
    ['(s - y) / (s.size / s.shape[1])', '(s-y)/n'],
    ['one_hot(y, 10)', 'y'],
    ['one_hot(s, 10)', 'one_hot(s,10)'],
    ['to_categorical(labels)', 'y'],
    ['np.eye(10)[y]', 'y'],
    ['np.identity(s.shape[-1])[target]', 'y'],
    ['np.eye(10)[s]', 'eye(10)[s]'],
    ['np.roll(s, i)', 'roll(s,k)'],
    ['(k == 0) - np.roll(s, k)', 'delta-roll(s,k)'],
    ['range(s.shape[1])', 'range(f)'],
    ['for i in range(s.shape[1])', 'forkinrange(f)'],
    // The name t of the target, lists of axes, and the subtraction of 1 at the target.
    ['p-t', 's-y'],
    ['p  -  t', 's-y'],
    ['s.sum(axis=[1])', 's.sum(axis=1)'],
    ['s.sum([1])', 's.sum(axis=1)'],
    ['s.max((1,))', 's.max(axis=1)'],
    ['s.mean(dim=[-1])', 's.mean(axis=1)'],
    ['dx = s.copy(); dx[np.arange(n), y] -= 1', 's[arange(n),y]-=1'],
    ['dx = s.clone()\ndx[range(n), y] -= 1', 's[arange(n),y]-=1'],
    ['dx = s;dx[np.arange(n),y]-=1;dx/=n', '(s-y)/n'],
    ['dx = s.copy() ; dx [np.arange(n) , y] -= 1 ; dx /=  len(y) ;', '(s-y)/n'],
    [' dx = s.at[jnp.arange(n), y].add( -1 ) ', 's[arange(n),y]-=1'],
    ['s.at[np.arange(n), y].subtract(1.)', 's[arange(n),y]-=1'],
    ['x.at[y].add(-1.0)', 'x[y]-=1'],
    ['s[i,y[i]] -= 1', 's[arange(n),y]-=1'],
    ['s[ i ][ y[ i ] ] -= 1', 's[arange(n),y]-=1'],
    ['s[i,y[j]] -= 1', 's[i,y[j]]-=1'],
    ['s[i,y[i]] -= 10', 's[i,y]-=10'],
    ['g * nn.Softmax(dim=1)(x)', 'g*s'],
    ['my.Softmax(dim=1)(x)', 'my.Softmax(axis=1)(x)'],
    // Loops and element functions.
    ['s[i] - (1 if i == label else 0)', 's-y'],
    ['s[i] - ( 1  if  i==label  else  0 )', 's-y'],
    ['s[i] - ( i  ===  label  ?  1  :  0 )', 's-y'],
    ['s[i]-(i==label?1:0)', 's-y'],
    ['s[i] - y[j]', 's[i]-y[j]'],
    ['p.map(p => p - y)', 's-y'],
    ['p.map((v) => 2 * v)', '2*s'],
    ['p.map((v, k) => v - y[k])', 's-y'],
    ['s.map((p, i) => p - t[i]);', 's-y'],
    // Arithmetic as methods, each operator.
    ['s.sub(y)', 's-y'],
    ['s.subtract(y)', 's-y'],
    ['tf.subtract(s, y)', 's-y'],
    ['s.minus(y)', 's-y'],
    ['s.add(y)', 's+y'],
    ['s.plus(y)', 's+y'],
    ['s.times(g)', 'g*s'],
    ['s.div(n)', 's/n'],
    ['s.divide(n)', 's/n'],
    ['s.neg()', '-s'],
    ['s.mul(g)+s.sub()', 'g*s+s.sub()'],
    ['s.dot(g)+s.sub()', 's@g+s.sub()'],
    // The specification of an einsum, with one comma, two or none; prefixed strings are left alone.
    ["np.einsum('nij,nj->ni', J, g)", "einsum('ijk,ik->ij',J,g)"],
    ["np.einsum('nij,nj,nk->ni', J, g, y)", "einsum('ijk,ik,il->ij',J,g,y)"],
    ["np.einsum(r'ij', J)", "einsum(r'ij',J)"],
  ])('%s is %s', (expression, spelling) => {
    expect(normalised(expression)).toBe(spelling);
  });
});

describe('products', () => {
  test.each([
    ['s*g', 'g*s'],
    ['g*s', 'g*s'],
    ['s*(1-s)*g', '(1-s)*g*s'],
    ['(s*g)+(g*s)', '(g*s)+(g*s)'],
    ['b*a-d*c,f*e', 'a*b-c*d,e*f'],
    ['b*a==d*c', 'a*b==c*d'],
    ['b*a<d*c>f*e', 'a*b<c*d>e*f'],
    ['b*a:d*c', 'a*b:c*d'],
    ['b*a!=d*c', 'a*b!=c*d'],
    ['s**2', 's**2'],
    ['s**2*g', 'g*s**2'],
    // A division, a matrix product and a remainder keep their order; what is within them does not matter.
    ['s*g/n', 's*g/n'],
    ['n/s*g', 'n/s*g'],
    ['J@s*g', 'J@s*g'],
    ['s*g%n', 's*g%n'],
    ['s*g/n+s*g', 's*g/n+g*s'],
    ['(s*g)/n', '(g*s)/n'],
    ['f(s*g)[b*a]{d*c}', 'f(g*s)[a*b]{c*d}'],
    // The sign of an exponent ends no number.
    ['2e-3*a', '2e-3*a'],
    ['b*2.e+3', '2.e+3*b'],
    ['b*1E-3', '1E-3*b'],
    ['b*e-3', 'b*e-3'],
    // A star without two sides stays where it is, and so does a parenthesis that nothing closes.
    ['*b*a', '*b*a'],
    ['b*a*', 'b*a*'],
    ['(b*a', '(b*a'],
    ['[b*(a]', '[b*(a]'],
    ['', ''],
  ])('%s have their factors in one order: %s', (text, ordered) => {
    expect(commuted(text)).toBe(ordered);
  });
});

describe('names', () => {
  test.each([
    ['probs', 's'],
    ['y_hat', 's'],
    ['P', 's'],
    ['logits', 'x'],
    ['Z', 'x'],
    ['dout', 'g'],
    ['dL_ds', 'g'],
    ['jac', 'J'],
    ['ds_dx', 'J'],
    ['labels', 'y'],
    ['one_hot', 'y'],
    ['batch_size', 'n'],
    ['m', 'n'],
    ['foo', 'foo'],
    ['p.q', 's.q'],
    ['q.p', 'q.p'],
    ["'p'", "'p'"],
    ['"p"', '"p"'],
    ['p(1)', 'p(1)'],
    ['p (1)', 'p (1)'],
    ['f(p=1)', 'f(p=1)'],
    ['f(p = 1)', 'f(p = 1)'],
    ['p == 1', 's == 1'],
    ['pp', 'pp'],
    ['p2', 'p2'],
    ['2p', '2p'],
    ['p⊙g · 2 − δ', 's*g * 2 - delta'],
    ['Jᵀ', 'J.T'],
    ['σ′', "σ'"],
    ['y - t', 's - y'],
    ['s * (y - t)', 's * (y - t)'],
    ['p * (y - t)', 's * (y - t)'],
  ])('%s is %s', (text, ours) => {
    expect(inOurLetters(text)).toBe(ours);
  });
});

test('what is near has more than half of its tokens in common, names three times as many as letters; the nearest comes first', () => {
  const near = (wanted: string, candidates: readonly string[]) => nearest(wanted, candidates, (text) => text);
  const sums = ['J.mean(axis=1)', 'J.sum(axis=1)', 's*g', 'J.sum(axis=2)'];
  expect(near('J.sum(axis=1)', sums)).toEqual(['J.sum(axis=1)', 'J.sum(axis=2)', 'J.mean(axis=1)']);
  // One token of two differs: that is half.
  expect([near('ab', ['ab']), near('s*', ['s-']), near('s*g', ['s-g'])]).toEqual([['ab'], [], ['s-g']]);
  // A name against another: 3 of 7 tokens differ; of 5, it is more than half.
  expect(near('abc(s+g)', ['xyz(s+g)'])).toEqual(['xyz(s+g)']);
  expect(near('abc(s)', ['xyz(s)'])).toEqual([]);
  expect([near('', []), near('', ['']), near('s', ['', 'ss'])]).toEqual([[], [''], []]);
  expect(near('a+b+c', ['a+c', 'b+a+c', 'a+b+c+s'])).toEqual(['a+b+c+s', 'a+c', 'b+a+c']);
});
