import { expect, test } from 'vitest';
import { cotangents, cycledTo, type InputName, inputs, logits, masks, rounded } from '../conformance/inputs.js';
import { broadcast } from '../conformance/problem.js';

const dtypes = ['float32', 'float64', 'float16'] as const;
const names = Object.keys(inputs) as InputName[];

/** A hash of numbers as float32, in which engines agree whose logarithms differ in the last bit. */
function fingerprint(values: ArrayLike<number>): string {
  let hash = 0x811c9dc5;
  for (const character of Array.from(values, Math.fround).join())
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** Of 66 rows of 19 classes in float32, float64 and float16. */
const fingerprints: Readonly<Record<InputName, string>> = {
  ramp: '2b5e8f93 2b5e8f93 175f50ed',
  narrow: '7f203c20 7f203c20 b6efedb1',
  spread: '9b2ad51b 9b2ad51b c674e065',
  broad: '84a9a36b 84a9a36b 98221f3c',
  wide: '515e8aeb e99bd08d a4baf6e1',
  shifted: 'd544c9c6 d544c9c6 8b5526da',
  removed: '9044882d 9044882d 616d9b39',
  lowest: '8fa7fa66 a15b825a 9cc0e6d6',
  ties: '90671413 90671413 7fb35682',
  onehot: '7f78a14d c9de7395 53836b46',
  huge: '701dad21 701dad21 a4f10c89',
  displaced: '158fbc78 158fbc78 726d3bf0',
  dominated: 'a19a5765 73d6a889 9cfc04ac',
  halved: '0e5387f1 d58c249c 605c3446',
  confident: '2812b886 2812b886 957f952b',
  peaked: '0942b320 0942b320 296d244a',
  mixed: '904c3388 45804116 904c3388',
  last: 'eb131184 eb131184 c725a7cd',
  late: 'f7e5012b 8dbc606f f7e5012b',
  behind: '76e4584f 76e4584f f6b083b5',
  ending: '7b251caa 7b251caa 9b3ffc62',
  nan: '0a5f3c23 0a5f3c23 a21c106e',
  infinite: '2a8deca3 2a8deca3 6434d1e8',
  nothing: 'c608bcba c608bcba 5a4d8b3d',
};

// The id of a case names its input: other numbers need another name.
test('the numbers of each named input are unchanged', () => {
  const found = names.map((name) => {
    const hashes = dtypes.map((dtype) => fingerprint(logits(name, [66, 19], 1, dtype)));
    return [name, hashes.join(' ')];
  });
  expect(Object.fromEntries(found)).toEqual(fingerprints);
});

test('the numbers of cotangents, tangents and masks are unchanged', () => {
  expect(fingerprint(cotangents(100, 'float32'))).toBe('3121a3f6');
  expect(fingerprint(cotangents(40, 'float16', 5, 'tangent'))).toBe('5700b7e6');
  expect(fingerprint(masks([66, 19], 1))).toBe('575764e0');
});

test('rows along another axis are the same rows', () => {
  for (const name of names) {
    const rows = logits(name, [6, 5], 1, 'float32');
    const along = logits(name, [3, 5, 2], 1, 'float32');
    const first = logits(name, [5, 6], 0, 'float32');
    for (let row = 0; row < 6; row++) {
      const at = Array.from({ length: 5 }, (_, c) => (row >> 1) * 10 + c * 2 + (row % 2));
      expect(at.map((k) => along[k])).toEqual([...rows.subarray(row * 5, row * 5 + 5)]);
      expect(at.map((_, c) => first[c * 6 + row])).toEqual([...rows.subarray(row * 5, row * 5 + 5)]);
    }
  }
  const keep = masks([6, 5], 1);
  const along = masks([3, 5, 2], 1);
  expect(Array.from(along, (_, k) => keep[(Math.floor(k / 10) * 2 + (k % 2)) * 5 + (Math.floor(k / 2) % 5)])).toEqual([
    ...along,
  ]);
});

test('one logit of a row has only itself, which is never removed', () => {
  for (const name of ['removed', 'lowest'] as const)
    for (const value of logits(name, [9, 1], 1, 'float32')) expect(Math.abs(value)).toBeLessThanOrEqual(4);
  for (const name of ['ramp', 'wide'] as const)
    for (const value of logits(name, [9, 1], 1, 'float32')) expect(Number.isFinite(value)).toBe(true);
});

test('a mask is repeated along dimensions that it lacks or has once', () => {
  const shape = [2, 3, 4];
  const places = Array.from({ length: 24 }, (_, k) => [Math.floor(k / 12), Math.floor(k / 4) % 3, k % 4]);
  for (const own of [[2, 3, 4], [1, 3, 4], [2, 1, 4], [2, 3, 1], [3, 1], [4], [1], [], [2, 1, 1]]) {
    const size = own.reduce((a, b) => a * b, 1);
    const data = Uint8Array.from({ length: size }, (_, k) => ((k * k + k) % 3 === 0 ? 5 : 0));
    const expected = places.map((place) => {
      const at = own.reduce((k, length, d) => k * length + (length === 1 ? 0 : (place[3 - own.length + d] ?? 0)), 0);
      return data[at] === 0 ? 0 : 1;
    });
    expect([...broadcast({ data, shape: own }, shape)], `${own}`).toEqual(expected);
  }
});

test('numbers are rounded to the nearest float16, ties to even, and beyond the largest to infinity', () => {
  const step = 2 ** -10;
  for (const [value, nearest] of [
    [1 + step / 2, 1],
    [1 + 1.5 * step, 1 + 2 * step],
    [1 + 0.6 * step, 1 + step],
    [-1 - 0.4 * step, -1],
    [2 ** -24, 2 ** -24],
    [1.5 * 2 ** -24, 2 ** -23],
    [65519, 65504],
    [65520, Number.POSITIVE_INFINITY],
    [-65520, Number.NEGATIVE_INFINITY],
    [-0, -0],
    [Number.NaN, Number.NaN],
  ] as const)
    expect(rounded(value, 'float16')).toBe(nearest);
  expect(rounded(0.1, 'float32')).toBe(Math.fround(0.1));
  expect(rounded(0.1, 'float64')).toBe(0.1);
});

test.each([0, 1, 2, 3, 4, 9, 20])('a list of three, repeated up to a length of %i', (length) => {
  const repeated = Array.from({ length }, (_, i) => [5, -0, Number.NaN][i % 3]);
  expect([...cycledTo(length, [5, -0, Number.NaN])]).toEqual(repeated);
});
