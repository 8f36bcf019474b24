import { beforeAll, describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import {
  crossEntropy,
  empty,
  gradcheck,
  gradgradcheck,
  logSoftmax,
  logSumExp,
  relu,
  setBackend,
  sigmoid,
  softmax,
  softmin,
  tensor,
} from '../src/index.js';
import { failure } from './failure.js';

beforeAll(async () => {
  await setBackend(exact);
});

const x = () =>
  tensor([
    [1, 2],
    [3, 1],
  ]);

/** Outputs of softmax, softmin and sigmoid, and of logSoftmax, without a history. */
const probabilities = () => tensor(new Float32Array(4).fill(1 / 2), { shape: [2, 2] });
const logProbabilities = () => tensor(new Float32Array(4).fill(-Math.LN2), { shape: [2, 2] });

/** Every function with options, called with these. */
const calls: readonly (readonly [name: string, call: (options: never) => unknown])[] = [
  ...[softmax, softmin, logSoftmax].flatMap((f, i) => {
    const name = ['softmax', 'softmin', 'logSoftmax'][i];
    const output = i === 2 ? logProbabilities : probabilities;
    return [
      [name, (options: never) => f(x(), options)],
      [`${name}.jacobian`, (options: never) => f.jacobian(output(), options)],
      [`${name}.vjp`, (options: never) => f.vjp(output(), x(), options)],
      [`${name}.jvp`, (options: never) => f.jvp(output(), x(), options)],
      [`${name}.linearize`, (options: never) => f.linearize(x(), options)],
    ] as const;
  }),
  ['logSumExp', (options) => logSumExp(x(), options)],
  ['logSumExp.gradient', (options) => logSumExp.gradient(x(), options)],
  ['logSumExp.vjp', (options) => logSumExp.vjp(x(), tensor([1, 1]), options)],
  ['logSumExp.jvp', (options) => logSumExp.jvp(x(), x(), options)],
  ['logSumExp.linearize', (options) => logSumExp.linearize(x(), options)],
  ...[sigmoid, relu].flatMap((f, i) => {
    const name = ['sigmoid', 'relu'][i];
    return [
      [name, (options: never) => f(x(), options)],
      [`${name}.jacobian`, (options: never) => f.jacobian(probabilities(), options)],
      [`${name}.vjp`, (options: never) => f.vjp(probabilities(), x(), options)],
      [`${name}.jvp`, (options: never) => f.jvp(probabilities(), x(), options)],
      [`${name}.linearize`, (options: never) => f.linearize(x(), options)],
    ] as const;
  }),
  ['crossEntropy', (options) => crossEntropy(x(), [0, 1], options)],
  ['crossEntropy.loss', (options) => crossEntropy.loss(x(), [0, 1], options)],
  ['crossEntropy.gradient', (options) => crossEntropy.gradient(x(), [0, 1], options)],
  ['crossEntropy.vjp', (options) => crossEntropy.vjp(x(), [0, 1], tensor(1), options)],
  ['crossEntropy.jvp', (options) => crossEntropy.jvp(x(), [0, 1], x(), options)],
];

/** The options of a function. */
function optionsOf(name: string): readonly string[] {
  const softmaxOptions = ['axis', 'temperature', 'mask', 'out'];
  const all = name.startsWith('crossEntropy')
    ? ['axis', 'temperature', 'mask', 'labelSmoothing', 'weight', 'ignoreIndex', 'reduction', 'out']
    : /^(sigmoid|relu)\.(jacobian|linearize)$/.test(name)
      ? ['axis', 'out']
      : /^(sigmoid|relu)/.test(name)
        ? ['out']
        : softmaxOptions;
  return name.endsWith('linearize') ? all.filter((option) => option !== 'out') : all;
}

/** How an error lists them. */
function listOf(name: string): string {
  const options = optionsOf(name);
  return `expected ${options.length > 1 ? 'one of ' : ''}${options.join(', ')}`;
}

describe('an unknown option is an error', () => {
  test.for(calls)('%s says which, and which there are', ([name, call]) => {
    const meant = optionsOf(name).includes('axis') ? " (did you mean 'axis'?)" : '';
    expect(() => call({ dim: 0 } as never)).toThrow(
      expect.objectContaining({ code: 'ERR_VALUE', message: `${name}: unknown option 'dim'${meant}; ${listOf(name)}` }),
    );
    // A function of single entries has no axis.
    if (meant === '') expect(() => call({ axis: 7 } as never)).toThrow(`${name}: unknown option 'axis'; expected out`);
    else expect(() => call({ axis: 0 } as never)).not.toThrow();
  });

  test.for(calls)('%s takes options as an object only', ([name, call]) => {
    const known = optionsOf(name);
    const refused = (what: string) => `${name}: options are ${what}; expected an object with ${known.join(', ')}`;
    const message = (given: unknown) => failure(() => call(given as never))[1];
    const example = known.includes('axis') ? ', as in { axis: 1 }' : '';
    expect(message(1)).toBe(refused('1') + example);
    expect(message(x())).toBe(refused('a tensor'));
    expect(message('float64')).toBe(refused('the text "float64"'));
    expect(message([1, 2])).toBe(refused('an array of 2 entries'));
  });

  test('tensor and empty say where a shape and a dtype belong', () => {
    const message = (call: () => unknown) => failure(call)[1];
    const expected = 'expected an object with dtype, shape, backend, out';
    const numbers = Float32Array.of(1, 2, 3, 4);
    expect(message(() => tensor(numbers, [2, 2] as never))).toBe(
      `tensor: options are an array of 2 entries; ${expected}, as in { shape: [2, 2] }`,
    );
    expect(message(() => tensor(numbers, [2n] as never))).toContain('as in { shape: [2] }');
    expect(message(() => tensor(numbers, 'float64' as never))).toBe(
      `tensor: options are the text "float64"; ${expected}, as in { dtype: 'float64' }`,
    );
    const long = message(() => tensor(numbers, 'float64'.repeat(1000) as never));
    expect(long).toMatch(/, as in \{ dtype: 'float64float[a-z0-9]*… \}$/);
    expect(long.length).toBeLessThan(250);
    expect(message(() => tensor(numbers, [...Array(1000).keys()] as never)).length).toBeLessThan(250);
    for (const given of [1, null, x()]) expect(message(() => tensor(numbers, given as never))).toMatch(/, out$/);
    expect(message(() => empty([2, 2], 'float64' as never))).toMatch(
      /with dtype, backend, as in \{ dtype: 'float64' \}$/,
    );
  });

  test.for(calls)('%s lists the options that it has', ([name, call]) => {
    const known = optionsOf(name).join(', ');
    expect(() => call({ zeal: 1 } as never)).toThrow(
      expect.objectContaining({ message: `${name}: unknown option 'zeal'; ${listOf(name)}` }),
    );
    for (const [wrong, words] of [
      [null, 'null'],
      [[], 'an array of 0 entries'],
      ['axis', 'the text "axis"'],
    ]) {
      expect(() => call(wrong as never)).toThrow(`${name}: options are ${words}; expected an object with ${known}`);
    }
  });

  test.for(calls)('%s refuses an option that is null: a default is for one that is undefined', ([name, call]) => {
    for (const option of optionsOf(name)) {
      expect(() => call({ [option]: null } as never), option).toThrow(/\bnull\b/);
      expect(() => call({ [option]: undefined } as never)).not.toThrow();
    }
    if (!optionsOf(name).includes('temperature')) return;
    expect(() => call({ axis: null } as never)).toThrow(`${name}: axis is null; expected an integer`);
    expect(() => call({ temperature: null } as never)).toThrow(
      `${name}: temperature is null; expected a finite number above 0`,
    );
  });

  test.each([
    ['dim', 'axis'],
    ['where', 'mask'],
    ['dims', 'axis'],
    ['Dim', 'axis'],
    ['AXIS', 'axis'],
    ['axes', 'axis'],
    ['tau', 'temperature'],
    ['temp', 'temperature'],
    ['t', 'temperature'],
    ['T', 'temperature'],
    ['Mask', 'mask'],
    ['m-a-s-k', 'mask'],
    ['masks', 'mask'],
    ['temperatures', 'temperature'],
    ['temprature', 'temperature'],
    ['tempature', 'temperature'],
    ['temperture', 'temperature'],
    ['tmeperature', 'temperature'],
    ['temparature', 'temperature'],
    ['tempereature', 'temperature'],
    ['axs', 'axis'],
    ['axus', 'axis'],
    ['output', 'out'],
    ['labels', null],
    ['label', null],
    ['label_smoothing', null],
    ['device', null],
    ['dtype', null],
    ['type', null],
    ['data', null],
    ['top', null],
    ['kind', null],
    ['taxis', null],
    ['', null],
    ['é', null],
  ])('%s for softmax is %s', (given, meant) => {
    const hint = meant === null ? '' : ` (did you mean '${meant}'?)`;
    expect(() => softmax(x(), { [given]: 1 })).toThrow(
      expect.objectContaining({
        code: 'ERR_VALUE',
        message: `softmax: unknown option '${given}'${hint}; expected one of axis, temperature, mask, out`,
      }),
    );
  });

  test('tensor and empty refuse null', () => {
    const target = tensor([1]);
    for (const make of [(o: object) => tensor([1], o), (o: object) => empty([1], o)]) {
      expect(() => make({ dtype: null })).toThrow("unknown dtype 'null'; expected one of ");
      expect(() => make({ backend: null })).toThrow('the backend is null, expected an open one');
    }
    expect(() => tensor([1], { dtype: null, out: target } as never)).toThrow("unknown dtype 'null'");
    for (const option of ['shape', 'out']) expect(() => tensor([1], { [option]: null } as never)).toThrow();
  });

  test('tensor, empty and gradcheck list theirs', async () => {
    expect(() => tensor([1], { kind: 1 } as never)).toThrow(
      /^tensor: unknown option 'kind'; expected one of dtype, shape, backend, out$/,
    );
    expect(() => empty([1], { kind: 1 } as never)).toThrow(
      /^empty: unknown option 'kind'; expected one of dtype, backend$/,
    );
    await expect(gradcheck(softmax, x(), { kind: 1 } as never)).rejects.toThrow(
      /^gradcheck of softmax: unknown option 'kind'; expected one of axis, temperature, mask, cotangent, step, tolerance, entries$/,
    );
  });

  test('spellings of other libraries are recognised', () => {
    expect(() => crossEntropy(x(), [0, 1], { label_smoothing: 0.1 } as never)).toThrow(
      "did you mean 'labelSmoothing'?",
    );
    expect(() => crossEntropy(x(), [0, 1], { classWeights: [1, 2] } as never)).toThrow("did you mean 'weight'?");
    // It is the target elsewhere.
    expect(() => crossEntropy(x(), [0, 1], { label: [0, 1] } as never)).toThrow("unknown option 'label'; expected");
    for (const given of ['labelSmooth', 'label_smooth', 'lable_smoothing']) {
      expect(() => crossEntropy(x(), [0, 1], { [given]: 0.1 } as never)).toThrow("did you mean 'labelSmoothing'?");
    }
    expect(() => crossEntropy(x(), [0, 1], { ignore_index: 0 } as never)).toThrow("did you mean 'ignoreIndex'?");
    expect(() => crossEntropy(x(), [0, 1], { smoothing: 0.1 } as never)).toThrow("did you mean 'labelSmoothing'?");
    expect(() => crossEntropy(x(), [0, 1], { weights: [1, 1] } as never)).toThrow("did you mean 'weight'?");
    expect(() => softmax(x(), { T: 2 } as never)).toThrow("did you mean 'temperature'?");
    expect(() => softmax(x(), { zeal: 2 } as never)).toThrow(
      /unknown option 'zeal'; expected one of axis, temperature, mask, out$/,
    );
  });

  test.each([
    ['eps', " (did you mean 'step'?)"], // torch.autograd.gradcheck, jax.test_util.check_grads
    ['rtol', " (did you mean 'tolerance'?)"],
    ['tol', " (did you mean 'tolerance'?)"],
    ['atol', ''], // has no counterpart
  ])('%s of other libraries for gradcheck and gradgradcheck', async (given, hint) => {
    const message = `unknown option '${given}'${hint}; expected`;
    await expect(gradcheck(softmax, x(), { [given]: 1e-6 } as never)).rejects.toThrow(message);
    await expect(gradgradcheck(softmax, x(), { [given]: 1e-6 } as never)).rejects.toThrow(message);
  });

  test('the members of a linear operator, tensors and gradcheck have options too', async () => {
    expect(() => softmax.linearize(x()).vjp(x(), { axis: 0 } as never)).toThrow("unknown option 'axis'");
    expect(() => softmax.linearize(x(), { out: x() } as never)).toThrow("unknown option 'out'");
    expect(() => relu.linearize(x()).diagonal({ axis: 0 } as never)).toThrow("unknown option 'axis'");
    expect(() => tensor([1], { type: 'float64' } as never)).toThrow("tensor: unknown option 'type'");
    expect(() => empty([1], { shape: [2] } as never)).toThrow("empty: unknown option 'shape'");
    await expect(gradcheck(softmax, x(), { dim: 0 } as never)).rejects.toThrow("did you mean 'axis'?");
  });

  test('the options of the forward pass can be handed on to its derivatives, and are looked at by name only', () => {
    const options = { axis: 0, temperature: 2, mask: [[true], [false]], out: undefined };
    expect(softmax.vjp(softmax(x(), options), x(), options).shape).toEqual([2, 2]);
    expect(softmax(x(), Object.create({ dim: 0 })).shape).toEqual([2, 2]);
    expect(softmax(x(), undefined).shape).toEqual([2, 2]);
  });
});

describe('a text as an option is reported as text, and is not converted to a number', () => {
  test.each([
    [{ axis: '0' }, 'ERR_AXIS', 'crossEntropy: axis is the text "0"; expected an integer'],
    [{ temperature: '2' }, 'ERR_VALUE', 'crossEntropy: temperature is the text "2"; expected a finite number above 0'],
    [{ labelSmoothing: '0.1' }, 'ERR_VALUE', 'crossEntropy: labelSmoothing is the text "0.1"; expected 0 to 1'],
    [{ ignoreIndex: '1' }, 'ERR_VALUE', 'crossEntropy: ignoreIndex is the text "1"; expected an integer'],
  ])('%o', (options, code, message) => {
    expect(() => crossEntropy(x(), [0, 1], options as never)).toThrow(expect.objectContaining({ code, message }));
  });
});
