import { expect, test } from 'vitest';
import { type DiagnoseInput, diagnose } from '../src/index.js';

/** Right gradients as somebody copies them from a terminal, with everything that belongs to them, and what they look like if the copies are taken for exact. */
const copied: Readonly<Record<string, DiagnoseInput>> = {
  'times a factor, of small numbers': {
    logits: [
      [0.1029, -0.0334, 0.0396],
      [0.0091, 0.0009, 0.0817],
    ],
    upstream: [
      [0.0015, 0.021, 0.0149],
      [0.0093, -0.0025, 0.0084],
    ],
    gradient: [
      [-0.0037, 0.0028, 0.0009],
      [0.0013, -0.0025, 0.0011],
    ],
  },
  'times a factor, of a large upstream': {
    probabilities: [[0.179, 0.124, 0.133, 0.075, 0.489]],
    upstream: [[0, -8.097, 0, 0, 0]],
    gradient: [[0.179, -0.876, 0.133, 0.075, 0.489]],
  },
  'a soft target whose rounded sum is 1.0001': {
    probabilities: [
      [0.2412, 0.2392, 0.2433, 0.2763],
      [0.2741, 0.2366, 0.246, 0.2433],
    ],
    target: [
      [0.0784, 0.1503, 0.1745, 0.5969],
      [0.0497, 0.2247, 0.4011, 0.3246],
    ],
    gradient: [
      [0.0814, 0.0445, 0.0344, -0.1603],
      [0.1122, 0.006, -0.0776, -0.0406],
    ],
  },
  'a soft target whose rounded sum is 0.9999': {
    probabilities: [[0.3447, 0.117, 0.5383]],
    target: [[0.3451, 0.2773, 0.3775]],
    gradient: [[-0.0004, -0.1603, 0.1608]],
  },
  'clipped probabilities': {
    probabilities: [[0.8416, 0.0022, 0.0009, 0.0373, 0.1179]],
    target: [[0.2289, 0.4367, 0.2128, 0.1074, 0.0141]],
    gradient: [[0.6126, -0.4345, -0.2118, -0.0701, 0.1038]],
  },
  'a softmax that is applied twice': {
    logits: [
      [0.003, 0.067],
      [0.059, -0.072],
      [-0.043, -0.187],
    ],
    upstream: [
      [-0.237, -0.019],
      [0.117, -0.178],
      [0.085, -0.037],
    ],
    gradient: [
      [-0.054, 0.054],
      [0.074, -0.074],
      [0.03, -0.03],
    ],
  },
  'a softmax of the upstream, in 4 decimals': {
    logits: [
      [-0.0895, 0.0393],
      [-0.0727, 0.0025],
      [-0.0188, -0.082],
      [-0.0054, -0.0064],
    ],
    upstream: [
      [0.0047, -0.0206],
      [0.0145, 0.0008],
      [0.0039, 0.0049],
      [-0.0143, 0.007],
    ],
    gradient: [
      [0.0063, -0.0063],
      [0.0034, -0.0034],
      [-0.0003, 0.0003],
      [-0.0053, 0.0053],
    ],
  },
  'a softmax of the upstream, in 3 decimals': {
    logits: [
      [0.068, 0.038],
      [0.121, 0.031],
      [0.151, -0.099],
      [-0.015, 0.075],
      [0.005, 0.03],
      [0.06, -0.057],
    ],
    upstream: [
      [-0.006, 0.007],
      [0.011, 0.014],
      [-0.002, 0.015],
      [-0.006, 0],
      [-0.01, -0.005],
      [-0.01, 0.009],
    ],
    temperature: 0.5,
    gradient: [
      [-0.006, 0.006],
      [-0.001, 0.001],
      [-0.008, 0.008],
      [-0.003, 0.003],
      [-0.002, 0.002],
      [-0.01, 0.01],
    ],
  },
  'a contraction of the batch': {
    logits: [
      [-0.065, -0.134],
      [-0.176, 0.036],
      [-0.098, -0.061],
    ],
    upstream: [
      [0.001, 0.051],
      [-0.164, -0.09],
      [-0.003, 0.005],
    ],
    temperature: 0.5,
    gradient: [
      [-0.025, 0.025],
      [-0.036, 0.036],
      [-0.004, 0.004],
    ],
  },
  'one column': {
    probabilities: [[0.1112, 0.3106, 0.5783]],
    upstream: [[0, 0, -1.7293]],
    gradient: [[0.1112, 0.3106, -0.4217]],
  },
  'keepdims left out': {
    probabilities: [
      [0.1837, 0.1111, 0.2541, 0.4512],
      [0.2793, 0.5568, 0.1256, 0.0383],
      [0.2628, 0.1504, 0.2787, 0.3081],
      [0.7684, 0.0807, 0.0863, 0.0646],
    ],
    upstream: [
      [-1.3612, 0, 0, 0],
      [-0.8952, 0, 0, 0],
      [0, 0, 0, -0.8116],
      [0, 0, 0, -3.8715],
    ],
    gradient: [
      [-0.2041, 0.0278, 0.0635, 0.1128],
      [-0.1802, 0.1392, 0.0314, 0.0096],
      [0.0657, 0.0376, 0.0697, -0.173],
      [0.1921, 0.0202, 0.0216, -0.2339],
    ],
  },
  'times a factor, in 3 significant digits': {
    logits: [
      [0.00123, 0.299, -0.274],
      [-0.891, -0.455, -0.992],
      [0.0601, 1.34, -0.492],
      [-0.62, 0.49, 0.357],
    ],
    mask: [
      [1, 1, 0],
      [1, 1, 1],
      [1, 1, 1],
      [1, 0, 1],
    ],
    upstream: [
      [0.105, -0.93, -0.0293],
      [0.695, -1.34, -0.458],
      [-1.9, -1.29, -1.84],
      [-0.235, -1.27, 0.271],
    ],
    gradient: [
      [0.253, -0.253, 0],
      [0.352, -0.369, 0.0166],
      [-0.0835, 0.125, -0.0415],
      [-0.101, 0, 0.101],
    ],
  },
  'a binary cross-entropy, of numbers that are also of bfloat16': {
    logits: [
      [14.768, 1.586],
      [13.413, 0.36],
      [13.055, -0.109],
      [12.85, 1.523],
    ],
    upstream: [
      [530550.299, -530550.299],
      [466696.192, -466696.192],
      [520944.591, -520944.591],
      [-1, 1],
    ],
    target: [
      [0, 1],
      [0, 1],
      [0, 1],
      [1, 0],
    ],
    gradient: [
      [2, -2],
      [2, -2],
      [2, -2],
      [0, 0],
    ],
  },
  'a softmax of the upstream, with probabilities that are printed as 0 and 1': {
    probabilities: [[1, 0]],
    upstream: [[-1, 13.901592]],
    gradient: [[-0.000005, 0.000005]],
  },
  'nothing known, of a sigmoid': {
    logits: [[-0.3027, 0.1039]],
    upstream: [[-0.0158, -0.001]],
    layer: 'sigmoid',
    gradient: [[-0.0038, -0.0002]],
  },
};

test.each(Object.entries(copied))(
  'numbers that were printed with what belongs to them are right, though near to %s',
  (_, input) => {
    const { verdict, matches, text } = diagnose(input);
    expect(matches.map(({ id }) => id)).toContain('right');
    expect(['right', 'ambiguous', 'saturated']).toContain(verdict);
    expect(text).toMatch(/Of what is known, the (logits|probabilities) have [346] (decimals|significant digits)/);
  },
);

test('zeros of a printout may be right of an upstream that was printed too', () => {
  // s (g − ⟨s, g⟩) is 0.00075, which is no 0 of 3 decimals; of an upstream of 0.002 it would be 0.0005, which is one.
  const input = { probabilities: [[0.501, 0.499]], upstream: [[0.003, 0]] };
  const zeros = diagnose({ ...input, gradient: [[0, 0]] });
  expect(zeros.verdict).toBe('ambiguous');
  expect(zeros.matches.map(({ id }) => id)).toEqual(expect.arrayContaining(['right', 'row-sum']));
  const large = diagnose({ ...input, upstream: [[0.103, 0]], gradient: [[0, 0]] });
  expect(large.matches.map(({ id }) => id)).not.toContain('right');
});

test('digits beyond those of the printout tell a mistake from what is right', () => {
  const input = {
    probabilities: [
      [0.2412, 0.3388, 0.42],
      [0.1733, 0.2167, 0.61],
    ],
    target: [0, 2],
  };
  const right = [
    [0.2412 - 1, 0.3388, 0.42],
    [0.1733, 0.2167, 0.61 - 1],
  ];
  expect(diagnose({ ...input, gradient: right }).verdict).toBe('right');
  const within = right.map((row) => row.map((value) => value + 4e-5));
  expect(diagnose({ ...input, gradient: within }).verdict).toBe('right');
  const beyond = right.map((row) => row.map((value) => value * 1.01));
  expect(diagnose({ ...input, gradient: beyond }).verdict).not.toBe('right');
});

test('numbers without a third decimal are exact', () => {
  const input = {
    logits: [
      [1, 2, 0.5],
      [0.25, -1, 3],
    ],
    target: [0, 2],
    labelSmoothing: 0,
    reduction: 'sum' as const,
  };
  const x = input.logits.map((row) => row.map(Math.exp));
  const s = x.map((row) => row.map((value) => value / row.reduce((sum, one) => sum + one, 0)));
  const off = s.map((row, n) => row.map((value, i) => value * 1.002 - (i === input.target[n] ? 1 : 0)));
  expect(diagnose({ ...input, gradient: off }).text).not.toContain('Of what is known');
});
