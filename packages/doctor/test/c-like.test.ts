import { describe, expect, test } from 'vitest';
import { diagnoseCode } from '../src/code.js';
import { asPython, isOfNumbers } from '../src/interpreter/c-like.js';
import { CannotRun, type NdArray } from '../src/interpreter/nd-array.js';
import { runCode } from '../src/interpreter/program.js';
import { normal } from './random.js';

const verdictOf = (gradient: string) => diagnoseCode({ gradient }).verdict;

/** Right gradients as they are written in JavaScript, TypeScript, Java and C++, and what is wrong of each where one part of it is replaced. */
const cases: Readonly<
  Record<string, readonly [code: string, ...slips: (readonly [from: string, to: string, verdict: string])[]]>
> = {
  'a reduction and a map': [
    `function softmaxBackward(s, g) {
  const dot = s.reduce((sum, v, i) => sum + v * g[i], 0);
  return s.map((v, i) => v * (g[i] - dot));
}`,
    ['sum + v * g[i]', 'sum + g[i]', 'inner-product-wrong'],
    ['(g[i] - dot)', '(g[i] + dot)', 'outer-product-added'],
    ['v * (g[i] - dot)', 'g[i] - dot', 'probabilities-missing'],
    [', 0);', ', 1);', 'unknown'],
  ],
  'a Jacobian in an array that grows': [
    `function softmaxJacobian(s) {
  const n = s.length;
  const J = [];
  for (let i = 0; i < n; i++) {
    J[i] = [];
    for (let j = 0; j < n; j++) {
      J[i][j] = i === j ? s[i] * (1 - s[i]) : -s[i] * s[j];
    }
  }
  return J;
}`,
    [': -s[i]', ': s[i]', 'outer-product-added'],
    ['let j = 0', 'let j = i', 'unknown'],
    ['i === j ?', 'i !== j ?', 'unknown'],
  ],
  'sums in an array of zeros, with types': [
    `export const softmaxGrad = (s: number[], dout: readonly number[]): number[] => {
  const out = new Array<number>(s.length).fill(0);
  for (let i = 0; i < s.length; i++) {
    for (let j = 0; j < s.length; j++) {
      // The Kronecker delta.
      out[i]! += dout[j]! * s[j]! * ((i === j ? 1 : 0) - s[i]!);
    }
  }
  return out;
};`,
    ['out[i]! +=', 'out[i]! =', 'one-column'],
    ['- s[i]!', '- s[j]!', 'outer-product-wrong'],
  ],
  'a layer with its output in a field': [
    `class SoftmaxLayer {
  private output: number[] = [];

  backward(gradOutput: Float64Array): number[] {
    const n = this.output.length;
    const gradInput = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < n; j++) {
        const delta = i === j ? 1 : 0;
        sum += this.output[j] * (delta - this.output[i]) * gradOutput[j];
      }
      gradInput[i] = sum;
    }
    return gradInput;
  }
}`,
    ['sum += ', 'sum = ', 'one-column'],
    ['(delta - this.output[i])', 'delta', 'inner-product-missing'],
  ],
  'a softmax of its own': [
    `const maxVal = Math.max(...logits);
const exps = logits.map((x) => Math.exp(x - maxVal));
const sum = exps.reduce((a, b) => a + b, 0);
const probs = exps.map((e) => e / sum);
const dLogits = probs.map((p, i) => p - target[i]);`,
    ['e / sum', 'e', 'normalisation-missing'],
    ['p - target[i]', 'target[i] - p', 'sign-flipped'],
    ['- target[i]', '- 2 * target[i]', 'target-added'],
  ],
  'functions by their name, and a target in place': [
    `const exps = logits.map(Math.exp);
const sum = exps.reduce((a, b) => a + b);
const grad = exps.map((e) => e / sum);
grad[label] -= 1;
return grad;`,
    ['-= 1', '+= 1', 'target-added'],
    ['-= 1', '-= 2', 'target-added'],
  ],
  'a batch of nested arrays': [
    `function gradient(probs, labels) {
  const n = probs.length;
  return probs.map((row, i) => row.map((p, j) => (p - (j === labels[i] ? 1 : 0)) / n));
}`,
    [') / n', ') * n', 'batch-size'],
    ['labels[i]', '(labels[i] + 1) % row.length', 'labels-off-by-one'],
    ['(p - (', '(row[0] - (', 'unknown'],
  ],
  'loops over items': [
    `rows.forEach((row, k) => {
  const dot = row.reduce((a, p, i) => a + p * g[k][i], 0);
  row.forEach((p, i) => { dx[k][i] = p * (g[k][i] - dot); });
});`,
    ['- dot', '- dot / row.length', 'inner-product-wrong'],
  ],
  'loops over entries and indices': [
    `let dot = 0, scale = 1;
for (const [i, p] of s.entries()) dot += p * g[i];
for (const i in s) dx[i] = s[i] * (g[i] - dot) * scale;`,
    ['scale = 1', 'scale = s.length', 'scaled'],
  ],
  'a list that is pushed to, and a condition without braces': [
    `const dx = [];
for (let i = 0; i < s.length; ++i)
  if (i === target) dx.push(s[i] - 1);
  else dx.push(s[i]);`,
    ['s[i] - 1', 's[i] + 1', 'target-added'],
  ],
  'arrays of a length': [
    'const J = Array.from({ length: s.length }, (_, i) => Array.from(s, (q, j) => s[i] * (Number(i === j) - q)));',
    ['- q', '+ q', 'outer-product-added'],
    ['Number(i === j)', '1', 'kronecker-missing'],
  ],
  'an entry without its loops': ['s[i] * (+(i === j) - s[j])', ['- s[j]', '- s[i]', 'unknown']],
  'tensors of TensorFlow.js': [
    `const dx = tf.tidy(() => {
  const dot = s.mul(dy).sum(-1, true);
  return s.mul(dy.sub(dot));
});`,
    ['dy.sub', 'dy.add', 'outer-product-added'],
    ['.sum(-1', '.sum(0', 'wrong-axis'],
  ],
  'one-hot tensors of TensorFlow.js': [
    'const grad = tf.sub(probs, tf.oneHot(labels, 10)).div(tf.scalar(batchSize));',
    ['tf.sub(', 'tf.add(', 'target-added'],
  ],
  'a method of Java': [
    `public double[] backward(double[] probs, int target) {
    double[] grad = new double[probs.length];
    for (int i = 0; i < probs.length; i++) {
        grad[i] = probs[i];
    }
    grad[target] -= 1.0;
    return grad;
}`,
    ['-= 1.0', '-= 0.0', 'target-missing'],
  ],
  'a matrix of Java': [
    `double[][] J = new double[n][n];
for (int i = 0; i <= n - 1; i++)
    for (int j = 0; j <= n - 1; j++)
        J[i][j] = (i == j) ? s[i] * (1 - s[i]) : -s[i] * s[j];`,
    ['i <= n - 1', 'i < n - 1', 'unknown'],
  ],
  'vectors of C++': [
    `std::vector<double> softmax_backward(const std::vector<double>& s, const std::vector<double>& grad) {
    std::vector<double> dx(s.size(), 0.0);
    for (size_t i = 0; i < s.size(); ++i) {
        for (size_t j = 0; j < s.size(); ++j) {
            if (i == j) dx[i] += s[i] * (1 - s[i]) * grad[j];
            else dx[i] += -s[i] * s[j] * grad[j];
        }
    }
    return dx;
}`,
    ['else dx[i] += -s', 'else dx[i] += s', 'outer-product-added'],
    ['if (i == j)', 'if (i != j)', 'unknown'],
  ],
  'loops of C': [
    `float sum = 0.0f;
for (int i = 0; i < n; i++) {
    sum += s[i] * dy[i];
}
for (int i = 0; i < n; i++) {
    dx[i] = s[i] * (dy[i] - sum);
}`,
    ['- sum', '', 'inner-product-missing'],
  ],
  'conditions and logic': [
    `for (let i = 0; i < s.length; i++) {
  const isTarget = i >= target && !(i > target) || false;
  dx[i] = s[i] - (isTarget && true ? 1 : 0);
}`,
    ['&& !(', '|| !(', 'target-indexing'],
  ],
  'the rows of a batch one after the other': [
    `for (let b = 0; b < rows; b++) {
  for (let c = 0; c < cols; c++) {
    dx[b * cols + c] = probs[b * cols + c] - (c === labels[b] ? 1 : 0);
  }
}`,
    ['- (c ===', '+ (c ===', 'target-added'],
    ['dx[b * cols + c]', 'dx[c * rows + b]', 'transposed'],
  ],
  'the product, row by row': [
    `for (let row = 0; row < batch; row++) {
  const offset = row * numClasses;
  let dot = 0;
  for (let i = 0; i < numClasses; i++) dot += gradOutput[offset + i] * output[offset + i];
  for (let i = 0; i < numClasses; i++) gradInput[offset + i] = output[offset + i] * (gradOutput[offset + i] - dot);
}`,
    ['let dot = 0;\n', 'dot = dot || 0;\n', 'unknown'],
    ['- dot', '', 'inner-product-missing'],
  ],
  'a sum by forEach, without braces': [
    `export function gradientOf(logits, oneHot) {
  const exponentials = logits.map((value) => Math.exp(value));
  let total = 0;
  exponentials.forEach((value) => total += value);
  return exponentials.map((value, i) => value / total - oneHot[i]);
}`,
    ['total += value', 'total += value * value', 'unknown'],
    ['let total = 0', 'let total = 1', 'unknown'],
  ],
  'a matrix class of C++': [
    `matrix backward(const matrix &softmax_out, const matrix &dOut) {
    matrix dScores(softmax_out.rows, softmax_out.cols);
    for (int i = 0; i < softmax_out.rows; i++) {
        double dot = 0.0;
        for (int j = 0; j < softmax_out.cols; j++) dot += dOut(i,j) * softmax_out(i,j);
        for (int j = 0; j < softmax_out.cols(); j++) dScores(i,j) = softmax_out(i,j) * (dOut(i,j) - dot);
    }
    return dScores;
}`,
    ['double dot = 0.0;', 'double dot = dOut(i,0);', 'unknown'],
    ['(dOut(i,j) - dot)', '(dOut(i,j) + dot)', 'outer-product-added'],
  ],
  'a vector whose logits have a name of their own': [
    `float sum = 0.0f;
for (unsigned int i = 0; i < vec.GetSize(); ++i) {
    retV[i] = exp(vec[i]);
    sum += retV[i];
}
for (unsigned int i = 0; i < retV.GetSize(); ++i) {
    retV[i] = retV[i] / sum - target[i];
}`,
    ['retV[i] / sum - target[i]', 'retV[i] / sum - (retV[i] / sum) * (retV[i] / sum)', 'diagonal'],
  ],
  'a method of an object': [
    `backward: function (target) {
  const dx = [];
  for (let i = 0; i < this.probs.length; i++) {
    const indicator = i === target ? 1.0 : 0.0;
    dx[i] = -(indicator - this.probs[i]);
  }
  return dx;
},`,
    ['-(indicator', '(indicator', 'sign-flipped'],
  ],
  'the error, and the slope of a sigmoid that does not belong there': [
    `const errors = targets.map((t, i) => outputs[i] - t);
const gradients = errors.map((e, i) => e);`,
    ['=> e)', '=> e * outputs[i] * (1 - outputs[i]))', 'diagonal'],
    ['outputs[i] - t', '(t - outputs[i]) * outputs[i] * (1 - outputs[i])', 'diagonal'],
  ],
  'attention, with scores divided by the root of the size of a head': [
    `function attentionBackward(scores: number[], dAttn: number[], dk: number): number[] {
  const scaled = scores.map((x) => x / Math.sqrt(dk));
  const e = scaled.map((x) => Math.exp(x));
  const z = e.reduce((a, b) => a + b, 0);
  const w = e.map((x) => x / z);
  const dot = w.reduce((a, p, i) => a + p * dAttn[i], 0);
  return w.map((p, i) => p * (dAttn[i] - dot) / Math.sqrt(dk));
}`,
    ['- dot) / Math.sqrt(dk)', '- dot)', 'temperature'],
    ['- dot) / Math.sqrt(dk)', '- dot) * Math.sqrt(dk)', 'temperature'],
    ['- dot) / Math.sqrt(dk)', '- dot) / dk', 'temperature'],
  ],
  'a public class with a field without a value': [
    `public class Softmax {
    private double[] output;
    public double[] backward(double[] grad) {
        double[] result = new double[grad.length];
        double dot = 0;
        for (int i = 0; i < grad.length; i++) dot += grad[i] * output[i];
        for (int i = 0; i < grad.length; i++) {
            result[i] = output[i] * (grad[i] - dot);
        }
        return result;
    }
}`,
    ['(grad[i] - dot)', 'grad[i] * (1.0 - output[i])', 'diagonal'],
  ],
  'a loss and its gradient': [
    `function loss(logits, target) {
  const e = logits.map((x) => Math.exp(x)), total = e.reduce((a, b) => a + b, 0);
  const dx = e.map((v, i) => v / total - target[i]);
  return { loss: -Math.log(e[0] / total), dx };
}`,
    ['total - target', 'total + target', 'target-added'],
  ],
};

describe('code of JavaScript, TypeScript, Java and C++', () => {
  const all = Object.entries(cases).map(([name, [code, ...slips]]) => ({ name, code, slips }));

  test.each(all)('$name', ({ code, slips }) => {
    expect(verdictOf(code), asPython(code)).toBe('right');
    for (const [from, to, verdict] of slips) {
      expect(code).toContain(from);
      const changed = code.replace(from, to);
      const found = () => diagnoseCode({ gradient: changed });
      if (verdict === 'unknown') expect(found, to).toThrow('unknown expression');
      else
        expect(
          found().matches.map(({ id }) => id),
          asPython(changed),
        ).toContain(verdict);
    }
  });

  test('of an array of one dimension, the diagonal alone is not the sum along another axis', () => {
    for (const code of [
      'for (int i = 0; i < n; i++) dx[i] = g[i] * s[i] * (1 - s[i]);',
      'const dx = s.map((p, i) => g[i] * p * (1 - p));',
    ])
      expect(verdictOf(code), code).toBe('diagonal');
  });

  test('takes numbers as the operands of operators, so that what is meant for one row is not taken for a batch', () => {
    expect([isOfNumbers('s.map((p) => p * 2)'), isOfNumbers('s * 2')]).toEqual([true, false]);
    expect([isOfNumbers('double a = 1; y = s.array() * g'), isOfNumbers('auto d = arma::exp(x) - y')]).toEqual([
      false,
      false,
    ]);
    expect(() => diagnoseCode({ gradient: 'const q = s * s;\nconst dx = q / s - y;' })).toThrow('unknown expression');
  });
});

describe('what Python does not have is left out or written as Python has it', () => {
  test.each([
    ['const a = s as number[];', 'a = s'],
    ['double a = (double)s[0];', 'a = s[0]'],
    ['const a = await s;', 'a = s'],
    ['const a = Math.max.apply(null, s);', 'a = max( s)'],
    ['const a = s?.length;', 'a = s.length'],
    ['const a = f(...s);', 'a = f(s)'],
    ['const a = s[0] ?? 1;', 'a = s[0] or 1'],
  ])('%s', (code, python) => {
    expect(asPython(code)).toBe(python);
  });
});

describe('what is Python stays as it is', () => {
  test.each([
    'def f(s):\n    return s * (1 - s)',
    'f = lambda s: s if s.sum() > 0 else 0',
    'import numpy as np\nfor i in range(3): s[i] = 0',
    's * (g - (s * g).sum(axis=1, keepdims=True))',
    'x = {1: 2}\nif x == 3:\n    y = 1',
  ])('%j', (code) => {
    expect(asPython(code)).toBe(code);
  });
});

test('any text is translated in the end, and what is not run is an error of the interpreter', () => {
  const next = normal(23);
  const one = <T>(from: readonly T[]): T => from[Math.floor(Math.abs(next()) * 1e6) % from.length] as T;
  const tokens = [
    ...[
      'for (',
      'let i = 0; ',
      'if (',
      'else ',
      'const a = ',
      'return ',
      '=>',
      '(p, i) => ',
      '{',
      '}',
      '(',
      ')',
      '[',
      ']',
    ],
    ...[
      's',
      'x',
      'g[i]',
      's.map(',
      '.forEach(',
      'new Array(',
      'Math.max(',
      '...',
      '?',
      ':',
      ';',
      '\n',
      ',',
      '++',
      '===',
      '- ',
      '+= ',
    ],
    ...[
      'function f(',
      'class A ',
      'double[] ',
      'std::vector<double> b(',
      'Array.from({ length: 3 }, ',
      '!',
      '&& ',
      '1',
    ],
  ];
  const s: NdArray = { shape: [3], data: [0.2, 0.3, 0.5] };
  let ran = 0;
  for (let k = 0; k < 4000; k++) {
    const code = Array.from({ length: 2 + (k % 24) }, () => one(tokens)).join('');
    try {
      runCode(
        asPython(code),
        (name) => ('sxg'.includes(name) ? s : undefined),
        () => s,
        isOfNumbers(code),
      );
      ran++;
    } catch (error) {
      expect(error, code).toBeInstanceOf(CannotRun);
    }
  }
  expect(ran).toBeGreaterThan(60);
});
