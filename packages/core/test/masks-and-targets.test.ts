import { beforeAll, describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import { logSumExp, setBackend, softmax, tensor } from '../src/index.js';

beforeAll(async () => {
  await setBackend(exact);
});

describe('a mask', () => {
  test('of no entries fits logits of none, though nothing says that it is of booleans', async () => {
    const x = tensor([[], []]);
    expect(softmax(x, { mask: [[], []] }).shape).toEqual([2, 0]);
    expect(await logSumExp(x, { mask: [[], []] }).array()).toEqual([-Infinity, -Infinity]);
  });
});
