import { describe, expect, test } from 'vitest';
import { diagnose, knownExpressions } from '../src/index.js';

describe('clipping, one row of J, and a ReLU on the logits', () => {
  test.each<[string, string]>([
    ...[
      'torch.clamp((probs - onehot) / n, min=-1, max=1)',
      '(s - y).clip(-1, 1)',
      'np.clip(s * (g - (s * g).sum(axis=-1, keepdims=True)), -5, 5)',
      'np.clip(grad, -c, c)',
      'gradient = np.clip(gradient, -1, 1)',
      'tf.clip_by_value(s - y, -1.0, 1.0)',
      'nn.utils.clip_grad_norm_(net.parameters(), max_norm=0.5)',
    ].map((code): [string, string] => [code, 'gradient-clipped']),
    // What is wrong without the clipping stays wrong.
    ['np.clip(s * (1 - s), -1, 1)', 'diagonal'],
    ['np.clip(J.sum(axis=1), -1, 1)', 'row-sum'],
    ['jacobian[:, -1]', 'one-row'],
    ['J[:, k, :]', 'one-row'],
    ['J[np.arange(n), probs.argmax(1)]', 'one-row'],
    ['J[np.arange(n), labels]', 'upstream-missing'],
    ...[
      'F.softmax(F.relu(x), dim=1) - y',
      '(softmax(np.maximum(0, logits)) - onehot) / n',
      'softmax(np.maximum(logits, 0)) - y',
      'torch.softmax(x.relu(), dim=-1) - y',
      'softmax(torch.clamp(x, min=0)) - y',
      'softmax(x.clamp(min=0), -1) - y',
    ].map((code): [string, string] => [code, 'relu-on-logits']),
  ])('%s: %s', (gradient, id) => {
    expect(diagnose({ gradient }).verdict).toBe(id);
  });

  test.each([
    'np.clip(s, 1e-7, 1)',
    'x.clip(0)',
    'np.clip(unknown, -1, 1)',
    'np.clip()',
    'np.clip(s - y, -1, 1) + s',
    'np.clip(s - y, -1, 1) + np.clip(s, 0, 1)',
    'J[:, target]',
  ])('%s is not known', (gradient) => {
    expect(() => diagnose({ gradient })).toThrow('unknown expression');
  });
});

describe('what people say they did', () => {
  test.each<[string, string]>([
    ['probs[range(n), y] -= 1', 'right'],
    ['dscores[range(num_examples), y] -= 1', 'right'],
    ['p[np.arange(len(y)), labels] -= 1', 'right'],
    ['probs[i][y[i]] -= 1', 'right'],
    ['p[i, labels[i]] -= 1', 'right'],
    ['probs.at[jnp.arange(n), y].add(-1)', 'right'],
    ['dx = probs.copy(); dx[np.arange(N), y] -= 1; dx /= N', 'right'],
    ['dscores = probs\ndscores[range(num_examples), y] -= 1\ndscores /= num_examples', 'right'],
    ['torch.softmax(x, dim=-1) - F.one_hot(y, num_classes=10).float()', 'right'],
    ['nn.Softmax(dim=1)(x) - y.astype(np.float32)', 'right'],
    ['y * (1 - y)', 'diagonal'],
    ['dy * y * (1 - y)', 'diagonal'],
    ...[
      ...[
        'softmax',
        'sm',
        'S',
        'smax',
        'softmaxed',
        'Softmax',
        'softmax_out',
        'softmaxOutput',
        'my_softmax',
        'soft_max',
      ],
      ...['probs', 'PROBS', 'proba', 'Probs', 'y_prob', 'yHat', 'ŷ', 'y_pred', 'pred', 'self.softmax', 'softmax(x)'],
      ...['softmax(logits, axis=-1)', 'F.softmax(x, dim=1)', 'self.softmax(x)', 'stable_softmax(x)', 'softmax_fn(z)'],
    ].map((s): [string, string] => [`${s} * (1 - ${s})`, 'diagonal']),
    ['softmax - onehot', 'right'],
    ['softmax * (dout - (softmax * dout).sum(axis=1, keepdims=True))', 'right'],
    ['softmax.vjp(sm, dout)', 'right'],
    ['const dx = softmax.vjp(logits, dout);', 'logits-for-probabilities'],
    ['gradOut * Softmax * (1 - Softmax)', 'diagonal'],
    ['self.y - self.t', 'right'],
    ['(self.y - self.t) / batch_size', 'right'],
    ['y - t', 'right'],
    ['output * (1 - output)', 'diagonal'],
    ["np.einsum('bij,bj->bi', J, g)", 'right'],
    ["np.einsum('...ij,...j->...i', J, g)", 'right'],
    ["np.einsum('bj,bij->bi', dout, jac)", 'right'],
    ["np.einsum('bij,bi->bi', J, g)", 'row-sum'],
    ['J.sum()', 'row-sum'],
    ['jac.map((row) => row.reduce((a, b) => a + b, 0))', 'row-sum'],
    ['const rowSums = J?.map((row) => row.reduce((sum, entry) => sum + entry, 0));', 'row-sum'],
    ['(await J.array()).map((matrix) => matrix.map((row) => row.reduce((sum, entry) => sum + entry, 0)))', 'row-sum'],
    ['probs.map((row) => row.map((p) => p * (1 - p)))', 'diagonal'],
    ['probs.map((row, i) => row.map((p, j) => p - (j === labels[i] ? 1 : 0)))', 'right'],
    ['np.exp(x)/np.sum(np.exp(x))', 'wrong-axis'],
    ['np.exp(x) / np.exp(x).sum(axis=1)', 'keepdims-missing'],
    ['s * (g - (s * g).sum(axis=1))', 'keepdims-missing'],
    ['softmax(x) - onehot', 'right'],
    ['F.softmax(logits, dim=1) - F.one_hot(target, 10)', 'right'],
    ['probs.sub(onehot)', 'right'],
    ['tf.softmax(logits).sub(tf.oneHot(labels, 10))', 'right'],
    ['probs.mul(dout.sub(probs.mul(dout).sum(-1, true)))', 'right'],
    ['s.mul(tf.scalar(1).sub(s))', 'diagonal'],
    ['s.mul(s.neg().add(1))', 'diagonal'],
    ['torch.matmul(J, g)', 'right'],
    ['torch.bmm(J, g.unsqueeze(2)).squeeze(2)', 'right'],
    ['(J @ g[..., None])[..., 0]', 'right'],
    ['torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)', 'right'],
    ['p.map((v, i) => v - y[i])', 'right'],
    ['s[i] - (i === label ? 1 : 0)', 'right'],
    ['s[i] * (1 - s[i])', 'diagonal'],
    ['Math.exp(x[i]) - y[i]', 'normalisation-missing'],
    ['s - y / n', 'partly-averaged'],
    ['s - np.eye(f)[y - 1]', 'labels-off-by-one'],
    ["np.einsum('kij,kj->ki', jac, grad)", 'right'],
    ['p - t', 'right'],
    ['(probs - t) / n', 'right'],
    ['probs[np.arange(N), y] -= 1; probs /= N', 'right'],
    ['exps / np.sum(exps)', 'wrong-axis'],
    ['exp_scores / np.sum(exp_scores, axis=1)', 'keepdims-missing'],
    ['np.exp(x - x.max()) / np.exp(x - x.max()).sum()', 'wrong-axis'],
    ['np.exp(x - np.max(x)) / np.sum(np.exp(x - x.max()))', 'wrong-axis'],
    ['(s - y).mean(axis=0)', 'batch-contracted'],
    ['np.mean(s - y, axis=0)', 'batch-contracted'],
    ['np.average(s - y, axis=0)', 'batch-contracted'],
    ['(p - t).mean(0)', 'batch-contracted'],
    ['(s - y).sum(axis=0) / n', 'batch-contracted'],
    ['((s - y) / n).sum(axis=0)', 'batch-contracted'],
    ['(self.y - self.t).mean(axis=0)', 'batch-contracted'],
    ['torch.mean(probs - labels, dim=0)', 'batch-contracted'],
    ['(F.softmax(logits, dim=1) - F.one_hot(target, 10)).sum(dim=0, keepdim=True)', 'batch-contracted'],
    ['torch.sum(s - y, 0) / len(y)', 'batch-contracted'],
    ['jnp.mean(jax.nn.softmax(x) - y, axis=0)', 'batch-contracted'],
    ['tf.mean(tf.sub(probs, onehot), 0)', 'batch-contracted'],
    ['s.sub(y).mean(0)', 'batch-contracted'],
    ['math.mean(math.subtract(s, y), 0)', 'batch-contracted'],
    ['(s * (g - (s * g).sum(axis=1, keepdims=True))).sum(axis=0)', 'batch-contracted'],
    ['db = np.sum(dscores, axis=0, keepdims=True)', 'batch-contracted'],
    ['dx.mean(axis=0)', 'batch-contracted'],
    ['(s - y).sum(axis=1)', 'row-sum'],
    ['(s - y).mean(dim=-1)', 'row-sum'],
    ['(s - y).sum()', 'row-sum'],
    ['(s - y).mean()', 'row-sum'],
    // Axes as JavaScript, NumPy and PyTorch take them.
    ['s.sub(y).mean({ axis: 0 })', 'batch-contracted'],
    ['J.sum({ axis: 1 })', 'row-sum'],
    ['s.mul(g.sub(s.mul(g).sum({ axis: -1, keepDims: true })))', 'right'],
    ['(s - y).mean(axis=(0, 1))', 'batch-contracted'],
    ['(s - y).sum((0, 1))', 'batch-contracted'],
    ['np.sum(s - y, (0, 1), keepdims=True)', 'batch-contracted'],
    ['(s - y).mean(dim=[0, 2, 3])', 'batch-contracted'],
    ['s.sub(y).sum([0, 1])', 'batch-contracted'],
    ['(s - y).sum(axis=(-2, -1))', 'row-sum'],
    ['(s - y).sum(axis=[0])', 'batch-contracted'],
    ['(s - y).mean(axis=(1,))', 'row-sum'],
    ['J.sum(axis=(1, 2))', 'row-sum'],
    ['J.mean()', 'row-sum'],
    ['J.mean(axis=2)', 'row-sum'],
    ['J.mean(axis=0)', 'batch-jacobian'],
    // The axis that a sum lost, put back.
    ['s * (g - (s * g).sum(-1)[:, None])', 'right'],
    ['s * (g - np.sum(s * g, axis=1)[..., np.newaxis])', 'right'],
    ['s * (g - (s * g).sum(dim=-1).unsqueeze(-1))', 'right'],
    ['s * (g - (s * g).sum(1).reshape(-1, 1))', 'right'],
    ['s.mul(g.sub(s.mul(g).sum(-1).expandDims(-1)))', 'right'],
    // One row.
    ['s * (g - np.dot(s, g))', 'right'],
    ['(np.diag(s) - np.outer(s, s)) @ g', 'right'],
    ['np.dot(g, np.diag(s) - np.outer(s, s))', 'right'],
    ['(np.diagflat(s) - np.dot(s, s.T)) @ g', 'right'],
    ['(np.diagflat(s) - np.outer(s, s)) @ g', 'right'],
    ['np.sum(np.diag(s) - np.outer(s, s), axis=0)', 'row-sum'],
    ['np.sum(np.diagflat(s) - np.outer(s, s), axis=1)', 'row-sum'],
    ['(np.diagflat(s) - np.dot(s, s.T)).sum(axis=0)', 'row-sum'],
    ['(np.diag(p) - np.outer(p, p)).mean(axis=0, keepdims=True)', 'row-sum'],
    ['J.sum(axis=-2)', 'row-sum'],
    ['s * (np.identity(n) - s.T)', 'right'],
    ['tmp = (np.eye(len(s)) - s.T) * s', 'right'],
    ['np.dot((np.identity(n) - self.output.T) * self.output, output_gradient)', 'right'],
    ['np.sum((np.identity(n) - self.output.T) * self.output, axis=0)', 'row-sum'],
    ['np.diagflat(single_output) - np.dot(single_output, single_output.T)', 'right'],
    ['self.dinputs[index] = np.dot(jacobian_matrix, single_dvalues)', 'right'],
    ['self.dinputs[range(samples), y_true] -= 1', 'right'],
    ['dZ2 = A2 - one_hot_Y', 'right'],
    ['delta = a3 - y', 'right'],
    ['probs - one_hot_labels', 'right'],
    ['output_gradient * output * (1 - output)', 'diagonal'],
    ['torch.diag(s) - torch.ger(s, s)', 'right'],
    ['np.diag(s) - s[:, None] * s[None, :]', 'right'],
    ['np.diag(s) - s.reshape(-1, 1) @ s.reshape(1, -1)', 'right'],
    ['(np.diag(s) - np.outer(s, s)).sum(axis=1)', 'row-sum'],
    ['np.exp(x) / np.sum(np.exp(x), axis=0)', 'wrong-axis'],
    ['e_x / e_x.sum(axis=0)', 'wrong-axis'],
    ['-(y / s)', 'jacobian-skipped'],
    ['-np.divide(y, s)', 'jacobian-skipped'],
  ])('%s is %s', (gradient, id) => {
    expect(diagnose({ gradient }).verdict).toBe(id);
  });

  test.each([
    ['s - y / n', 'crossEntropy('],
    ['np.exp(x) - y', 'crossEntropy('],
    ['J.sum()', 'softmax.vjp('],
    ['g * s * (1 - s)', 'softmax.vjp('],
  ])('instead of %s: %s', (gradient, line) => {
    expect(diagnose({ gradient }).instead.typescript).toContain(line);
  });

  test('sums over the batch are right for a bias; where the classes are along axis 0 they are sums over the classes', () => {
    const { evidence, instead } = diagnose({ gradient: '(s - y).mean(axis=0)' });
    expect(evidence.notes.join()).toContain('right gradient of a bias');
    expect(instead.typescript).toContain('crossEntropy(');
    expect(diagnose({ gradient: '(s - y).mean(axis=0)', axis: 0 }).verdict).toBe('row-sum');
    const overBatch = diagnose({ gradient: '(s - y).mean(axis=1)', axis: 0 });
    expect(overBatch.verdict).toBe('batch-contracted');
    expect(overBatch.evidence.notes.join()).toContain('right gradient of a bias');
  });

  test('the largest number that a known expression gives is that of its own shape', () => {
    const known = {
      logits: [
        [1, 2, 3],
        [3, 1, 2],
      ],
      target: [0, 2],
      upstream: [
        [1, 0, 0],
        [0, 1, 0],
      ],
    };
    for (const { expression } of knownExpressions()) {
      const { evidence } = diagnose({ ...known, gradient: expression });
      expect(evidence.largest, expression).not.toBeNaN();
    }
    const s = [
      [0.09003057, 0.24472847, 0.66524096],
      [0.66524096, 0.09003057, 0.24472847],
    ];
    const sums = [0, 1, 2].map((i) => (s[0]?.[i] ?? 0) + (s[1]?.[i] ?? 0) - (i === 1 ? 0 : 1));
    const { evidence } = diagnose({ logits: known.logits, target: known.target, gradient: '(s - y).sum(axis=0)' });
    expect(evidence.largest).toBeCloseTo(Math.max(...sums.map(Math.abs)), 7);
  });

  test.each([
    ['s * (g - (s * g).sum(axis=0, keepdims=True))', 'right'],
    ['s * (g - (s * g).sum(axis=0))', 'right'],
    ['s * (g - (s * g).sum(axis=1, keepdims=True))', 'wrong-axis'],
    ['s * (g - (s * g).sum(axis=1))', 'wrong-axis'],
    ['s * (g - (s * g).sum())', 'wrong-axis'],
    ['np.exp(x) / np.sum(np.exp(x), axis=0)', 'missing-max-shift'],
    ['np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True)', 'wrong-axis'],
    ["np.einsum('nij,nj->ni', J, g)", 'right'],
    ['J.sum(axis=1)', 'row-sum'],
  ])('of classes along axis 0, %s is %s', (gradient, id) => {
    const { verdict, evidence } = diagnose({ gradient, axis: 0 });
    expect(verdict).toBe(id);
    expect(evidence.notes.join()).not.toContain('axis 0');
  });

  test('sums over several axes are sums over the classes where that of the classes is among them', () => {
    const cube = { data: Float64Array.from({ length: 24 }, (_, k) => Math.sin(k)), shape: [2, 3, 4] };
    const of = (gradient: string, axis = -1) => diagnose({ gradient, logits: cube, axis }).verdict;
    expect([of('(s - y).sum(axis=(0, 1))'), of('(s - y).sum(axis=(1, 2))')]).toEqual(['batch-contracted', 'row-sum']);
    expect([of('(s - y).sum(axis=(0, 2))', 1), of('(s - y).sum(axis=(0, -2))', 1)]).toEqual([
      'batch-contracted',
      'row-sum',
    ]);
    const { evidence } = diagnose({ gradient: '(s - y).mean(axis=(0, 1))' });
    expect(evidence.notes.join()).toContain('Where one of the axes is that of the classes, it is 0 instead.');
  });

  test("beside a layer's own derivative stand the layer's lines", () => {
    const { verdict, instead } = diagnose({
      gradient: 'g - s * g.sum(axis=-1, keepdims=True)',
      layer: 'log-softmax',
    });
    expect(verdict).toBe('right');
    expect(instead.typescript).toBe('const dx = logSoftmax.vjp(logSoftmax(logits), g);');
    const slopes = diagnose({ gradient: 'g * s * (1 - s)', layer: 'sigmoid' });
    expect([slopes.verdict, slopes.instead.numpy]).toEqual(['right', 'dx = g * s * (1 - s)']);
  });

  test.each([
    's.sub()',
    'sub(s)',
    'p.map(',
    "np.einsum('ij', J, g)",
    'y - t - s',
    's[i] - y[j]',
    'x - t',
    's - t[0]',
    's * (g - (s * g).sum(axis=0)[:, None])',
    'np.exp(s)[0, 1]',
    'log_softmax * (1 - log_softmax)',
    'd_softmax * (1 - d_softmax)',
    'log_softmax(x) * (1 - log_softmax(x))',
  ])('%s is none of them', (gradient) => {
    expect(() => diagnose({ gradient })).toThrow('unknown expression');
  });
});

test('x (1 − x) after a sigmoid is right where x is its output, as in the sigmoid_derivative(x) of many tutorials', () => {
  // https://github.com/PacktPublishing/Neural-Network-Projects-with-Python/issues/4
  for (const gradient of [
    'x * (1.0 - x)',
    'return x*(1-x)',
    'def sigmoid_derivative(x):\n    return x * (1 - x)',
    'g * x * (1 - x)',
  ]) {
    const { verdict, matches, evidence } = diagnose({ gradient, layer: 'sigmoid' });
    expect([verdict, matches.map(({ id }) => id).join()], gradient).toEqual(['ambiguous', 'right,logits-for-sigmoid']);
    expect(evidence.notes.join()).toContain('Right only where `x` is the output of the sigmoid');
  }
  for (const gradient of ['z * (1 - z)', 'logits * (1 - logits)', 'self.x * (1 - self.x) * grad'])
    expect(diagnose({ gradient, layer: 'sigmoid' }).verdict).toBe('logits-for-sigmoid');
  expect(diagnose({ gradient: 'x * (1 - x)' }).verdict).toBe('logits-for-probabilities');
});

describe('a target that is subtracted as it is', () => {
  const same = 'Nothing to change; the same in one line';

  test.each(['labels', 'label', 'idx', 'classes', 'class_idx', 'labels.astype(float)'])(
    'by the name %s may hold class indices',
    (name) => {
      for (const gradient of [`s - ${name}`, `(probs - ${name}) / n`, `softmax(x) - ${name}`]) {
        const { verdict, matches, evidence, text } = diagnose({ gradient });
        expect(verdict, gradient).toBe('ambiguous');
        expect(matches.map(({ id }) => id)).toEqual(['right', 'class-index-subtracted']);
        expect(evidence.notes[0]).toContain(`Right only where \`${name.split('.')[0]}\` is one-hot`);
        expect(text).not.toContain(same);
      }
    },
  );

  test.each(['s - target', 's - t', 'p - y', 'y - t', '(s - Y) / n', 'probs.sub(targets)', 'np.subtract(s, target)'])(
    'makes %s right on a condition',
    (gradient) => {
      const { verdict, evidence, text } = diagnose({ gradient });
      expect(verdict).toBe('right');
      expect(evidence.notes[0]).toContain('is one-hot or holds probabilities, with the shape of s; for class indices');
      expect(text).toContain('Nothing to change on that condition; the same in one line');
    },
  );

  test.each([
    's - onehot',
    's - np.eye(10)[labels]',
    'F.softmax(x, dim=1) - F.one_hot(target, 10)',
    's[np.arange(n), labels] -= 1',
    's[i] - (i === label ? 1 : 0)',
    "const { loss, gradient } = crossEntropy(logits, target, { reduction: 'sum' });",
  ])('needs no condition if the name or the code says that it is one-hot: %s', (gradient) => {
    const { verdict, evidence, text } = diagnose({ gradient });
    expect(verdict).toBe('right');
    expect(evidence.notes.join()).not.toContain('Right only where');
    expect(text).toContain(same);
  });

  test('of a sigmoid, labels are 0 and 1', () => {
    expect(diagnose({ gradient: 's - labels', layer: 'sigmoid' }).verdict).toBe('right');
  });
});

test.each([
  'dx = s - np.eye(10)[s.argmax(1)]',
  '(p - np.eye(10)[np.argmax(p, axis=-1)]) / n',
  'probs - F.one_hot(logits.argmax(dim=1), num_classes=10).float()',
  's[np.arange(n), s.argmax(1)] -= 1',
  'F.one_hot(s.argmax(axis=1)) - y',
])('the predicted class in place of the target or of the probabilities: %s', (gradient) => {
  expect(diagnose({ gradient }).verdict).toBe('predicted-class');
});

describe('the gradient of the sum of all outputs', () => {
  const spellings = [
    'torch.autograd.grad(s.sum(), x)',
    'torch.autograd.grad(F.softmax(x, dim=-1).sum(), x)[0]',
    'dx = torch.autograd.grad(torch.sum(probs), logits)',
    's.sum().backward()',
    'torch.softmax(x, dim=1).sum().backward(); x.grad',
    'F.softmax(logits, dim=0).sum().backward()',
    'jax.grad(lambda x: jax.nn.softmax(x).sum())(x)',
    'jax.grad(lambda z: jnp.sum(jax.nn.softmax(z, axis=-1)))(logits)',
    'tape.gradient(tf.reduce_sum(s), x)',
  ];

  test.each(spellings)('of a softmax is the row sum: %s', (gradient) => {
    expect(diagnose({ gradient }).verdict).toBe('row-sum');
  });

  test('of another layer is right for an upstream gradient of ones', () => {
    for (const layer of ['sigmoid', 'log-softmax'] as const) {
      const { verdict, evidence } = diagnose({ gradient: 's.sum().backward()', layer });
      expect(verdict).toBe('right');
      expect(evidence.notes).toEqual(['That is for an upstream gradient of ones.']);
    }
    expect(diagnose({ gradient: 'F.softmax(x, dim=-1).sum().backward()', layer: 'log-softmax' }).verdict).toBe(
      'row-sum',
    );
  });

  test.each([
    '(s * g).sum().backward()',
    'F.log_softmax(x, dim=-1).sum().backward()',
    's.sum(dim=0).backward()',
    'torch.autograd.grad(s.sum(), x, g)',
    'jax.grad(lambda x: (jax.nn.softmax(x) * g).sum())(x)',
  ])('is not %s', (gradient) => {
    expect(() => diagnose({ gradient })).toThrow(/unknown expression/);
  });
});

test('what is near in the name of an option only is not offered, and one expression is one', () => {
  expect(() => diagnose({ gradient: 'F.softmax(x, dim=0)' })).toThrow(/unknown expression .*; s are the probabilities/);
  expect(() => diagnose({ gradient: 'J.total()' })).toThrow(/; the nearest is `J\.sum\(\)` \(row-sum\); s are/);
});

test('a whole program is refused at once, with what is expected', () => {
  const start = performance.now();
  for (const program of ['('.repeat(50_000), `${'x = f(y)\n'.repeat(10_000)}J.sum(axis=1)`]) {
    expect(() => diagnose({ gradient: program })).toThrow(
      `diagnose: an expression of ${program.length} characters; expected only the code that computes the gradient, at most 4000; or pass the numbers that it computes`,
    );
  }
  expect(performance.now() - start).toBeLessThan(1000);
  expect(diagnose({ gradient: `${' '.repeat(3987)}J.sum(axis=1)` }).verdict).toBe('row-sum');
  expect(() => diagnose({ gradient: `${' '.repeat(3988)}J.sum(axis=1)` })).toThrow('an expression of 4001 characters');
});

describe('calls of softgrad, of which the arguments decide', () => {
  test.each<[string, string]>([
    ['softmax.vjp(softmax(x), dout)', 'right'],
    ['softmax.vjp(logSoftmax(x), g)', 'logarithms-for-probabilities'],
    ['softmax.vjp(probs, probs.sub(onehot))', 'right,jacobian-twice'],
    ['logSoftmax.vjp(logSoftmax(logits), g)', 'right'],
    ['logSoftmax.vjp(y, g)', 'right'],
    ['logSoftmax.vjp(logProbs, dout)', 'right'],
    ['logSoftmax.vjp(s, g)', 'exponential-twice'],
    ['const dx = logSoftmax.vjp(softmax(logits), dout);', 'exponential-twice'],
    ['logSoftmax.vjp(logits, g)', 'normalisation-missing'],
    ['crossEntropy.gradient(logits, labels)', 'right'],
    ['crossEntropy.gradient(softmax(x), y)', 'softmax-twice'],
    ['const { loss, gradient } = crossEntropy(softmax(logits), target);', 'softmax-twice'],
    ["crossEntropy.gradient(probs, labels, { reduction: 'sum' })", 'softmax-twice'],
    ['crossEntropy(x, softmax(x))', 'predicted-class'],
  ])('%s: %s', (gradient, ids) => {
    const { matches } = diagnose({ gradient });
    expect(matches.map(({ id }) => id).join()).toBe(ids);
  });

  test('of which the reduction is that of the mean, unless another is said', () => {
    const of = (options: string) =>
      diagnose({ gradient: `crossEntropy.gradient(logits, labels${options})`, reduction: 'sum' }).verdict;
    expect([of(''), of(", { reduction: 'sum' }")]).toEqual(['batch-size', 'right']);
  });

  test('of log-softmax say the layer, unless another is said', () => {
    const of = (layer?: 'softmax' | 'sigmoid') => diagnose({ gradient: 'logSoftmax.vjp(y, g)', layer }).verdict;
    expect([of(), of('softmax'), of('sigmoid')]).toEqual(['right', 'log-softmax', 'log-softmax']);
    expect(diagnose({ gradient: 'logSoftmax.vjp(s, g)' }).instead.typescript).toBe(
      'const dx = logSoftmax.vjp(logSoftmax(logits), g);',
    );
  });

  test.each(['softmax.vjp(s)', 'crossEntropy.gradient(x, y, { weight })', 'logSoftmax.vjp(s, g, other)'])(
    '%s stays unknown',
    (gradient) => {
      expect(() => diagnose({ gradient })).toThrow('unknown expression');
    },
  );
});

describe('a Jacobian on a gradient that is complete', () => {
  test.each([
    'J.T @ (s - y)',
    '(p - y) @ J',
    "np.einsum('bij,bi->bj', jac, probs - onehot)",
    's * ((s - y) - (s * (s - y)).sum(axis=1, keepdims=True))',
  ])('%s', (gradient) => {
    const of = (layer?: 'softmax' | 'cross-entropy' | 'log-softmax') =>
      diagnose({ gradient, layer })
        .matches.map(({ id }) => id)
        .join();
    expect([of(), of('softmax'), of('cross-entropy')]).toEqual(['right,jacobian-twice', 'right', 'jacobian-twice']);
    // Jᵀ (s − y) = s − y − s Σ (s − y) of a log-softmax, and the sum is 0.
    expect(of('log-softmax')).toBe(gradient.startsWith('s *') ? 'softmax-derivative,right' : 'right');
  });
});

test.each(['s * (g - s * g)', 'p*(dout - p*dout)', 'probs * dout - probs * probs * dout'])(
  'the product in place of its sum, %s, leaves the diagonal, which is right after a sigmoid',
  (gradient) => {
    const { verdict, evidence } = diagnose({ gradient });
    expect(verdict).toBe('diagonal');
    expect(evidence.notes.join()).toContain('(s * g).sum(axis=-1, keepdims=True) belongs in its place');
    expect(diagnose({ gradient, layer: 'sigmoid' }).verdict).toBe('right');
  },
);

test.each(['s - s', 'probs - softmax(x)', '(p - p.detach()) / n'])('a target that is the output: %s', (gradient) => {
  for (const layer of ['softmax', 'log-softmax', 'sigmoid'] as const) {
    const { verdict, evidence, instead } = diagnose({ gradient, layer });
    if (layer === 'sigmoid' && gradient.includes('softmax')) continue;
    expect(verdict).toBe('predicted-class');
    expect(evidence.notes.join()).toContain('identically 0');
    expect(instead).toEqual(diagnose({ gradient: 'y - s', layer }).instead);
  }
});
