import { describe, expect, test } from 'vitest';
import { diagnoseCode } from '../src/code.js';
import { type DiagnoseInput, diagnose, knownExpressions } from '../src/index.js';

const verdictOf = (gradient: string, more: Omit<DiagnoseInput, 'gradient'> = {}) =>
  diagnoseCode({ ...more, gradient }).verdict;

/**
 * Code of questions and bug reports, as it was written there, each with its address; `diagnose` alone knows none of it. What is right in them is the
 * code of an answer.
 */
const asked: readonly (readonly [
  source: string,
  verdict: string,
  code: string,
  more?: Omit<DiagnoseInput, 'gradient'>,
])[] = [
  [
    'https://stackoverflow.com/questions/36279904',
    'row-sum',
    `np.multiply( signal, 1 - signal ) + sum(
            # handle the off-diagonal values
            - signal * np.roll( signal, i, axis = 1 )
            for i in xrange(1, signal.shape[1] )
        )`,
  ],
  [
    'https://stackoverflow.com/questions/40575841, the loop that overwrites, with the logits in it',
    'logits-for-probabilities',
    `for i in range(len(self.value)):
    for j in range(len(self.input)):
        if i == j:
            self.gradient[i] = self.value[i] * (1 - self.input[i])
        else:
            self.gradient[i] = -self.value[i] * self.input[j]`,
  ],
  [
    'https://stackoverflow.com/questions/45949141, loops over both indices',
    'right',
    `def softmax_grad(s):
    # input s is softmax value of the original input x. Its shape is (1,n)
    jacobian_m = np.diag(s)
    for i in range(len(jacobian_m)):
        for j in range(len(jacobian_m)):
            if i == j:
                jacobian_m[i][j] = s[i] * (1-s[i])
            else:
                jacobian_m[i][j] = -s[i]*s[j]
    return jacobian_m`,
  ],
  [
    'https://offlinew.com/q/q/3383959922, the softmax of the upstream gradient',
    'softmax-of-upstream',
    `def softmax_backward(dA, Z):
    x, _ =softmax(dA)
    s=x.reshape(-1,1)

    return (np.diagflat(s) - np.dot(s, s.T))`,
  ],
  [
    'https://stackoverflow.com/questions/75378819',
    'probabilities-twice',
    `delta = self.NN_Output - expected
change = np.multiply(delta, self.hiddenLayer2.fin_outputs)`,
  ],
  [
    'https://github.com/Apiquet/DeepLearningFrameworkFromScratchCpp/issues/1',
    'diagonal',
    'dout.array() * (mForwardInputWithSoftmaxApplied.array() * (1.f - mForwardInputWithSoftmaxApplied.array()).array()).array()',
  ],
  [
    'https://github.com/Lightning-Universe/lightning-bolts/issues/654',
    'softmax-twice',
    'loss = F.nll_loss(F.log_softmax(F.softmax(self.linear(x))), y)',
  ],
  [
    'https://github.com/bkitano/llama-from-scratch/issues/5',
    'softmax-twice',
    `a = self.linear(x)
logits = F.softmax(a, dim=-1)
loss = F.cross_entropy(logits, targets)`,
  ],
  [
    'https://github.com/jindongwang/Deep-learning-activity-recognition/issues/10',
    'softmax-twice',
    `criterion = nn.CrossEntropyLoss()
loss = criterion(nn.Softmax(dim=1)(model(x)), target)
loss.backward()`,
  ],
  [
    'https://github.com/jaehong31/CGES/issues/1',
    'softmax-twice',
    `y_conv = tf.nn.softmax(output)
ff_loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=y_conv, labels=y_))`,
  ],
  [
    'https://github.com/AnubhavGupta3377/Text-Classification-Models-Pytorch/issues/9',
    'logarithm-missing',
    'loss = nn.NLLLoss()(nn.Softmax(dim=1)(net(x)), y)',
  ],
  [
    'https://github.com/RubixML/ML/pull/480, the sum over the batch',
    'ambiguous',
    `prod = output * dLoss
return prod - output * prod.sum(axis=0)`,
  ],
  [
    'https://github.com/eriklindernoren/ML-From-Scratch/pull/135, the gradient of the weights',
    'right',
    '-(y - y_pred).dot(X)',
  ],
  [
    'https://discuss.pytorch.org/t/efficient-implementation-of-jacobian-of-softmax/125369',
    'right',
    "torch.diag_embed (S) - torch.einsum ('ij, ik -> ijk', S, S)",
  ],
  [
    'https://github.com/BoltzmannEntropy/interviews.ai/issues/15, the logits in the slope',
    'logits-for-sigmoid',
    `def backward(self, grad):
    grad_input = self.x*(1-self.x) * grad
    return grad_input`,
    { layer: 'sigmoid' },
  ],
  [
    'https://github.com/mlpack/mlpack/issues/2360',
    'upstream-sum-missing',
    'g = arma::exp(output) + gy',
    { layer: 'log-softmax' },
  ],
  [
    'https://github.com/davidrmiller/neural2d/issues/40, the slope of tanh at the output',
    'tanh',
    '1.0 - tanh(output) * tanh(output)',
  ],
  ['https://math.stackexchange.com/questions/2503428', 'binary-cross-entropy', '-1*(y/yhat + (1-y)/(1-yhat))'],
];

describe('code of questions', () => {
  const cases = asked.map(([source, verdict, code, more = {}]) => ({ source, verdict, code, more }));

  test.each(cases)('$source: $verdict', ({ verdict, code, more }) => {
    expect(verdictOf(code, more)).toBe(verdict);
    // What diagnose itself finds is what it finds in the last expression alone.
    const known = () => diagnose({ gradient: code, ...more });
    if (verdict !== 'logits-for-sigmoid' && verdict !== 'softmax-of-upstream')
      expect(known).toThrow('unknown expression');
  });
});

/** Right gradients as books, courses and libraries write them. */
const rightCode: Readonly<Record<string, string>> = {
  'a loop over rows': `def backward(self, dvalues):
    self.dinputs = np.empty_like(dvalues)
    for index, (single_output, single_dvalues) in \\
            enumerate(zip(self.output, dvalues)):
        single_output = single_output.reshape(-1, 1)
        jacobian_matrix = np.diagflat(single_output) - \\
                          np.dot(single_output, single_output.T)
        self.dinputs[index] = np.dot(jacobian_matrix,
                                     single_dvalues)`,
  'a loss that is passed the output': `def backward(self, dvalues, y_true):
    samples = len(dvalues)
    if len(y_true.shape) == 2:
        y_true = np.argmax(y_true, axis=1)
    self.dinputs = dvalues.copy()
    self.dinputs[range(samples), y_true] -= 1
    self.dinputs = self.dinputs / samples`,
  'y for the output and t for the target': `class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t = t
        self.y = softmax(x)
        return cross_entropy_error(self.y, self.t)
    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        if self.t.size == self.y.size:
            dx = (self.y - self.t) / batch_size
        else:
            dx = self.y.copy()
            dx[np.arange(batch_size), self.t] -= 1
            dx = dx / batch_size
        return dx`,
  'a loss and its gradient': `def softmax_loss(x, y):
    shifted_logits = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted_logits), axis=1, keepdims=True)
    log_probs = shifted_logits - np.log(Z)
    probs = np.exp(log_probs)
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx`,
  'the gradient of weights in loops': `for i in range(num_train):
    f_i = X[i].dot(W)
    f_i -= np.max(f_i)
    p = np.exp(f_i) / np.sum(np.exp(f_i))
    for j in range(num_classes):
        dW[:, j] += (p[j] - (j == y[i])) * X[i]
dW /= num_train`,
  'samples in columns': `m = Y.shape[1]
dZ2 = A2 - Y
dW2 = 1 / m * dZ2.dot(A1.T)`,
  'a list of products': `dx = []
for i in range(len(s)):
    J = np.diag(s[i]) - np.outer(s[i], s[i])
    dx.append(J @ g[i])
return np.array(dx)`,
  'a comprehension':
    'np.array([[p[i]*(1-p[i]) if i==j else -p[i]*p[j] for j in range(len(p))] for i in range(len(p))])',
  'a batch of Jacobians': "np.einsum('ij,jk->ijk', Y, np.eye(Y.shape[-1])) - np.einsum('ij,ik->ijk', Y, Y)",
  attention: 'D = (P * dP).sum(-1, keepdims=True)\ndS = P * (dP - D)',
  'names of TensorFlow': '(grad_softmax - tf.reduce_sum(grad_softmax * softmax, -1, keepdims=True)) * softmax',
  'a dimension by name': 'output * (grad_output - (grad_output * output).sum(dim, keepdim=True))',
  'the gradient of the loss first': `dL = np.zeros_like(s)
dL[np.arange(len(y)), y] = -1 / s[np.arange(len(y)), y]
dx = s * (dL - np.sum(dL * s, axis=1, keepdims=True))`,
  'a loss of log-probabilities': 'loss = -np.mean(np.log(probs[range(n), y]))',
  'types of parameters and of the result': `def softmax_derivative(x: list[float], axis: int = 0) -> list[list[float]]:
    x = np.array(x, dtype=float)
    # J = diag(s) - s s^T
    e = np.exp(x - np.max(x))
    s = e / np.sum(e)
    J = np.diag(s) - np.outer(s, s)
    return J.tolist()`,
  'an entry by its indices': `def softmax_derivative(z, i, j):
    s = softmax(z)
    if i == j:
        return s[i] * (1 - s[i])
    else:
        return -s[i] * s[j]`,
  'the gradient of b, named after it': `def softmax_backward(b, gb):
    jacobian = np.diag(b) - np.outer(b, b)
    return np.dot(gb.transpose(), jacobian)`,
  'the gradient of dist, named after it': `def softmax_backward(dist: np.ndarray, dL_ddist: np.ndarray) -> np.ndarray:
    inner = float(np.dot(dL_ddist, dist))
    return dist * (dL_ddist - inner)`,
  'the gradient in the probabilities by its name': `dL_dp = dL_dp * 1
grad = np.einsum('bi,bij->bj', dL_dp, np.einsum('bi,ij->bij', p, np.eye(p.shape[1])) - np.einsum('bi,bj->bij', p, p))`,
  'T for something else': `T = np.exp(Z)
A = T / np.sum(T, axis=1, keepdims=True)
dZ = A - Y`,
  'a softmax of its own': `exps = np.exp(x - np.max(x))
s = exps / np.sum(exps)
s = s.reshape(-1, 1)
J = np.diagflat(s) - s @ s.T
dx = J @ g`,
};

describe('right code', () => {
  test.each(Object.entries(rightCode))('%s', (_, code) => {
    expect(verdictOf(code)).toBe('right');
  });

  test('with one slip in it is not right', () => {
    const slips: readonly (readonly [name: string, from: string, to: string, verdict: string])[] = [
      ['a loop over rows', '.T)', '.T) * 0', 'inner-product-missing'],
      ['a loss that is passed the output', '-= 1', '+= 1', 'target-added'],
      ['y for the output and t for the target', '(self.y - self.t)', '(self.t - self.y)', 'sign-flipped'],
      ['a loss and its gradient', 'keepdims=True)\n    log', 'keepdims=True) * 2\n    log', 'unknown'],
      ['the gradient of weights in loops', '(j == y[i])', '2 * (j == y[i])', 'target-added'],
      ['samples in columns', 'A2 - Y', 'Y - A2', 'sign-flipped'],
      ['a list of products', '- np.outer', '+ np.outer', 'outer-product-added'],
      ['a comprehension', 'else -p', 'else p', 'outer-product-added'],
      ['types of parameters and of the result', 'np.diag(s) -', 'np.diag(s) +', 'outer-product-added'],
      ['an entry by its indices', 'return -s', 'return s', 'outer-product-added'],
      ['the gradient of b, named after it', '- np.outer', '+ np.outer', 'outer-product-added'],
      ['the gradient of dist, named after it', '- inner', '+ inner', 'outer-product-added'],
      ['T for something else', 'A - Y', 'Y - A', 'sign-flipped'],
      ['attention', '.sum(-1', '.mean(-1', 'inner-product-wrong'],
      ['the gradient of the loss first', 'dx = s * (dL - np.sum', 'dx = s * (dL + np.sum', 'outer-product-added'],
      ['a loss of log-probabilities', 'np.log(probs[range(n), y])', 'probs[range(n), y]', 'ambiguous'],
      ['a softmax of its own', 's @ s.T', 's * s', 'no known one'],
    ];
    for (const [name, from, to, verdict] of slips) {
      const code = rightCode[name] ?? '';
      expect(code, name).toContain(from);
      const found = () => verdictOf(code.replace(from, to));
      if (verdict === 'unknown') expect(found, name).toThrow('unknown expression');
      else expect(found(), name).toBe(verdict === 'no known one' ? 'unknown' : verdict);
    }
  });
});

/** Right of one row, or of one row as a column. */
const rightOfRow: Readonly<Record<string, string>> = {
  'probabilities by another name, changed in place': `def softmaxBackward(Y: int, YGama):
    YGama[Y] -= 1
    return YGama`,
  'a function of a class, and a copy of the logits': `def softmax_backward(dA, cache):
    Z = cache
    s = Activations.softmax(Z)
    dZ = np.zeros_like(s)
    for i in range(dA.shape[1]):
        dZ[:, i] = np.dot(np.diag(s[:, i]), dA[:, i]) - np.outer(s[:, i], s[:, i]) @ dA[:, i]
    return dZ`,
};

describe('code for one row', () => {
  test.each(Object.entries(rightOfRow))('%s', (_, code) => {
    expect(diagnoseCode({ gradient: code }).matches.map(({ id }) => id)).toContain('right');
    const slip = code.replace('-= 1', '+= 1').replace('- np.outer', '+ np.outer');
    expect(slip).not.toBe(code);
    let ids: readonly string[] = [];
    try {
      ids = diagnoseCode({ gradient: slip }).matches.map(({ id }) => id);
    } catch {}
    expect(ids).not.toContain('right');
  });
});

describe('what is run', () => {
  test('says of every known expression what the catalogue does, if it says anything', () => {
    let found = 0;
    for (const { expression, id } of knownExpressions()) {
      // The bounds are no smaller than any s − y.
      if (expression === 'np.clip(s - y, -1, 1)') continue;
      // A factor that no known expression has.
      const code = `one = 1\nresult = (${expression}) * one`;
      let ids: readonly string[];
      try {
        ids = diagnoseCode({ gradient: code }).matches.map((match) => match.id);
      } catch {
        continue;
      }
      // The s2 of a softmax of probabilities is the one name in it that is not known.
      if (/\bs2\b/.test(expression)) expect(ids).toEqual(['right']);
      else expect(ids, expression).toContain(id);
      found++;
    }
    expect(found).toBeGreaterThan(70);
  });

  test('is code that is not known: of known code, the answer is that of diagnose', () => {
    for (const gradient of ['J.sum(axis=1)', 's * (1 - s)', 's - y', 'np.diag(s) - np.outer(s, s)', 'dx = dout']) {
      expect(diagnoseCode({ gradient })).toEqual(diagnose({ gradient }));
    }
  });

  test('is the whole of it, where the last expression alone would be right', () => {
    const code = 's = softmax(s)\ndx = s - y';
    expect(diagnose({ gradient: code }).verdict).toBe('right');
    expect(verdictOf(code)).toBe('softmax-twice');
    const twice = 'A = softmax(x)\ndA = A - Y\nreturn A * (dA - np.sum(A * dA, axis=1, keepdims=True))';
    expect(verdictOf(twice, { layer: 'cross-entropy' })).toBe('jacobian-twice');
  });

  test('is the whole of it, of which nothing is said where the last expression alone would be right', () => {
    const code = 'q = s * s\nJ = np.diag(s) - np.outer(q, s)\ndx = J @ g';
    expect(diagnose({ gradient: code }).verdict).toBe('right');
    const { verdict, evidence, text } = diagnoseCode({ gradient: code });
    expect(verdict).toBe('unknown');
    expect(evidence.notes[0]).toContain('made-up numbers');
    expect(text).toContain('No known mistake gives these numbers');
  });

  test('with a batch first, and what is right of one row or of a column is not called a mistake alone', () => {
    const of = (gradient: string) => {
      const { verdict, matches, evidence } = diagnoseCode({ gradient });
      return [verdict, matches.map(({ id }) => id).join(), evidence.notes.slice(0, 2).join(' ')] as const;
    };
    const [verdict, ids, notes] = of('q = s.reshape(-1, 1)\nnp.diagflat(q) - q @ q.T');
    expect([verdict, ids]).toEqual(['ambiguous', 'flattened-batch,right']);
    expect(notes).toContain('Of one row alone, of shape (f,), the code is right.');
    expect(notes).toContain('a batch of the shape (5, 4)');
    expect(of('np.diag(s) - s @ s.T')[0]).toBe('outer-product-wrong');
    const ofColumn = of('one = 1\nnp.diagflat(s) - np.dot(s, one * s.T)');
    expect(ofColumn.slice(0, 2)).toEqual(['ambiguous', 'outer-product-wrong,right']);
    expect(ofColumn[2]).toContain('as a column, of shape (f, 1)');
    expect(of('e = np.exp(x)\ne / e.sum() - y').slice(0, 2)).toEqual(['ambiguous', 'wrong-axis,right']);
    expect(of('s * 1.0 * (1 - s)')[0]).toBe('diagonal');
    // In code for one row, n is the number of classes.
    expect(of('one = 1\nnp.eye(n) * s - np.outer(s, one * s)')[0]).toBe('right');
    expect(of('one = 1\nnp.where(np.eye(n) == one, s * (1 - s), -s * s.T)').slice(0, 2)).toEqual([
      'ambiguous',
      'outer-product-wrong,right',
    ]);
  });

  test('for the axis, the temperature, the layer and the reduction that are said', () => {
    const byRows = 'e = np.exp(x)\ne / e.sum(axis=1, keepdims=True) - y';
    expect(verdictOf(byRows)).toBe('right');
    expect(verdictOf(byRows, { axis: 0 })).toBe('wrong-axis');
    expect(verdictOf('0.5 * (softmax(x / 2) - y)', { temperature: 2 })).toBe('right');
    expect(verdictOf('a = 1\na * (softmax(x / T) - y)')).toBe('temperature');
    expect(verdictOf('a = 1\na * (softmax(x / T) - y) / T')).toBe('right');
    const slope = 'a = s\na * (1 - a)';
    expect([verdictOf(slope), verdictOf(slope, { layer: 'sigmoid' })]).toEqual(['diagonal', 'right']);
    const divided = 'd = s - y\nd /= len(d)\nd';
    expect([verdictOf(divided), verdictOf(divided, { reduction: 'sum' })]).toEqual(['right', 'batch-size']);
  });

  test('with class indices where the code needs them', () => {
    expect(verdictOf('d = np.zeros_like(s)\nd[np.arange(len(y)), y] = 1\ns - d')).toBe('right');
    expect(verdictOf('d = s.copy()\nfor i in range(len(y)): d[i, y[i]] -= 1\nreturn d')).toBe('right');
    expect(verdictOf('d = s.copy()\nfor i in range(len(y)): d[i, y[i]] += 1\nreturn d')).toBe('target-added');
    expect(verdictOf('p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)\np - np.eye(K)[labels]')).toBe('right');
  });

  test('of the gradient of weights, the gradient of the logits in it', () => {
    const cs231n = `scores = X.dot(W)
exp_scores = np.exp(scores)
probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
dscores = probs
dscores[range(num_examples),y] -= 1
dscores /= num_examples
dW = np.dot(X.T, dscores)
dW += reg*W`;
    expect(verdictOf(cs231n)).toBe('right');
    expect(diagnoseCode({ gradient: cs231n }).evidence.notes.join(' ')).toContain('the gradient of the weights');
    expect(verdictOf(cs231n.replace('-= 1', '+= 1'))).toBe('target-added');
    expect(verdictOf(cs231n.replace('axis=1, keepdims=True', 'axis=0'))).toBe('wrong-axis');
    expect(verdictOf(cs231n.replace('dscores /= num_examples\n', ''), { reduction: 'mean' })).toBe('batch-size');
    const columns = 'A = np.exp(Z) / np.sum(np.exp(Z), axis=0)\ndW = np.dot(Y - A, A_prev.T)';
    expect(verdictOf(columns)).toBe('sign-flipped');
    expect(diagnoseCode({ gradient: columns }).evidence.notes.join(' ')).toContain('classes along axis 0');
  });

  test('of a loss, its derivative', () => {
    expect(verdictOf('-np.sum(y * np.log(softmax(x)))')).toBe('right');
    expect(verdictOf('-np.mean(np.sum(y * np.log(s), axis=1))')).toBe('right');
    expect(verdictOf('np.mean((s - y) ** 2)')).toBe('right');
    expect(verdictOf('F.cross_entropy(logits, target)')).toBe('right');
    expect(verdictOf('F.cross_entropy(probs, target)')).toBe('softmax-twice');
    expect(verdictOf('np.sum(y * np.log(s))')).toBe('sign-flipped');
    // Logits have no logarithms.
    expect(() => verdictOf('-np.sum(y * np.log(x))')).toThrow('unknown expression');
  });

  test('in loops over i and j, if it is given without them', () => {
    expect(verdictOf('q[i] * ((i == j) - q[j])')).toBe('right');
    expect(verdictOf('q[i] * ((i == j) + q[j])')).toBe('outer-product-added');
    expect(verdictOf('self.value[i] * (1 - self.input[i])')).toBe('logits-for-probabilities');
  });

  test('has a target that is not its own reversal', () => {
    expect(verdictOf('d = y[::-1]\ns - d')).toBe('rows-shifted');
  });

  test('is preferred to its last expression, which the code before it may have changed', () => {
    const code = 's = softmax(s)\ndx = s * (1 - s)';
    expect(diagnose({ gradient: code }).verdict).toBe('diagonal');
    expect(() => diagnose({ gradient: 'Eigen::MatrixXd jac = f(s);\nreturn jac * grad;' })).toThrow(
      'unknown expression',
    );
    expect(verdictOf('p = s * 2\nq = p / 2\ndx = p * (1 - p)')).toBe('diagonal');
  });

  test('never begins with what it should compute', () => {
    // What is assigned to the diagonal alone leaves zeros beside it, whatever the array is called.
    expect(verdictOf('for i in range(len(s)):\n    J[i][i] = s[i] * (1 - s[i])\nreturn J')).toBe('diagonal');
    expect(verdictOf('for i in range(len(s)):\n    dx[i] = s[i] * (1 - s[i])')).toBe('diagonal');
  });
});

describe('what is not found by running it', () => {
  test.each([
    // Whole numbers, of a condition or the target alone.
    's > 0.5',
    'y * 2',
    '(y == 1) * 1',
    // Constants.
    'np.ones(4)',
    'a = 1 / m',
    // Names that are something else, and two that are not known.
    'log_softmax * (1 - log_softmax)',
    'd_softmax * (1 - d_softmax)',
    'foo * (1 - bar)',
    's * (1 - foo)',
    'foo * (1 - s)',
    // No derivative of a softmax.
    's * np.exp(g) + 3',
    // Of code with another function, the derivative may be its.
    'def backward(x):\n    s = sigmoid(x)\n    return s * (1.0 - s)',
  ])('%s', (gradient) => {
    expect(() => diagnoseCode({ gradient })).toThrow('unknown expression');
  });

  test('errors of other arguments are those of diagnose', () => {
    expect(() => diagnoseCode({ gradient: 's * 1.0 * (1 - s)', temperature: -1 })).toThrow('temperature');
    expect(() => diagnoseCode({ gradient: 's - y', upstream: [[1]] })).toThrow('upstream is given without');
  });

  test('a loss of the argmax has no derivative, which the error says', () => {
    for (const gradient of ['np.mean(np.argmax(s, axis=1) == y)', 's.argmax(1) - y'])
      expect(() => diagnoseCode({ gradient })).toThrow('the argmax is constant wherever it has a derivative');
    expect(() => diagnoseCode({ gradient: 'np.eye(4)[s.argmax(1)] * q' })).not.toThrow('the argmax is constant');
  });

  test.each(['dW = X.T.dot(dscores)', 'np.dot(dZ, A_prev.T) / m'])(
    'of %s, the error says what is missing',
    (gradient) => {
      expect(() => diagnoseCode({ gradient })).toThrow('pass the code of that, too');
    },
  );
});

describe('attention: the scale of the scores is a temperature', () => {
  const product = 'attn * (d_attn - np.sum(d_attn * attn, axis=-1, keepdims=True))';

  test.each(['d_k', 'dk', 'head_dim', 'self.head_size', 'd_head'])('the root of %s', (size) => {
    const forward = `attn = F.softmax(scores / np.sqrt(${size}), dim=-1)\n`;
    expect(verdictOf(`${forward}d_scores = ${product} / np.sqrt(${size})`)).toBe('right');
    expect(verdictOf(`${forward}scale = ${size} ** -0.5\nd_scores = ${product} * scale`)).toBe('right');
    expect(verdictOf(`${forward}d_scores = ${product}`)).toBe('temperature');
    expect(verdictOf(`${forward}d_scores = ${product} * np.sqrt(${size})`)).toBe('temperature');
  });

  test.each(['self.temperature', 'self.tau', 'temperature'])('%s, also of a field', (temperature) => {
    const forward = `attn = F.softmax(scores / ${temperature}, dim=-1)\n`;
    expect(verdictOf(`${forward}d_scores = ${product} / ${temperature}`)).toBe('right');
    expect(verdictOf(`${forward}d_scores = ${product}`)).toBe('temperature');
  });

  test('of probabilities by any name that is assigned a softmax, and of their gradient', () => {
    const renamed = product.replaceAll('attn', 'weights');
    for (const softmax of ['softmax', 'F.softmax', 'torch.nn.functional.softmax'])
      expect(verdictOf(`weights = ${softmax}(scores / np.sqrt(d_k))\nd_scores = ${renamed} / np.sqrt(d_k)`)).toBe(
        'right',
      );
    expect(() => diagnoseCode({ gradient: `weights = scores\nd_scores = ${renamed}` })).toThrow('unknown expression');
  });
});
