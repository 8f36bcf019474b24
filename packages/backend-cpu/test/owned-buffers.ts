import { type Backend, fromBuffer } from '@softgrad/core';
import { expect } from 'vitest';

/**
 * Checks that `fromBuffer` takes only buffers of its own backend, of the right length, and if the backend can tell, only those that were not freed.
 *
 * @returns the error for a buffer that `first` or `second`, which have one name, does not know
 */
export function expectOwnBuffers<B>(first: Backend<B>, second: Backend<B>, { tellsFreed = true } = {}): Error {
  const end = `, allocated by this ${first.name} and not freed`;
  const refused: Error = expect.objectContaining({
    code: 'ERR_VALUE',
    message: expect.toSatisfy(
      (message: string) => /^fromBuffer: the buffer is an object ./.test(message) && message.endsWith(end),
    ),
  });
  const buffer = first.alloc(3, 'float32');
  expect(() => fromBuffer(second, buffer, [3], 'float32')).toThrow(refused);
  expect(() => fromBuffer(first, buffer, [2], 'float32')).toThrow(
    'fromBuffer: the buffer is 3 float32, expected 2 float32 for shape (2,)',
  );
  fromBuffer(first, buffer, [3], 'float32').dispose();
  if (tellsFreed) expect(() => fromBuffer(first, buffer, [3], 'float32')).toThrow(refused);
  return refused;
}
