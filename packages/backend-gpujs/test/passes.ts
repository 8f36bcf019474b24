import { softmax, tensor } from '@softgrad/core';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { GpujsBackend } from '../src/index.js';

/**
 * How many passes over a row kernels take, in mode webgl2.
 *
 * @param backendOf gives the backend, which stays open
 */
export function testPasses(backendOf: () => Promise<GpujsBackend>): void {
  describe('passes', () => {
    afterEach(() => {
      vi.restoreAllMocks();
    });

    const { prototype } = WebGL2RenderingContext;
    /** Draw calls of softmax and vjp: the largest class, the sum or the two means, and the elements; each reduction needs one more for up to 256 blocks. */
    test.each([
      [3, 3, 4],
      [256, 3, 4],
      [257, 5, 7],
      [65536, 5, 7],
      [65537, 7, 10],
    ])(
      'a row of %i classes takes %i passes for softmax and %i for its vjp, and nothing is read back',
      async (f, forward, back) => {
        const backend = await backendOf();
        const x = tensor(new Float32Array(f).fill(1), { shape: [1, f], backend });
        softmax(x); // uploads
        const draw = vi.spyOn(prototype, 'drawArrays');
        const elements = vi.spyOn(prototype, 'scissor');
        const read = vi.spyOn(prototype, 'readPixels');
        const s = softmax(x);
        expect(draw).toHaveBeenCalledTimes(forward);
        // An element of a reduction processes at most 256 classes, so the number of passes bounds the work: O(f), not O(f²).
        const drawn = elements.mock.calls.reduce((sum, [, , width, height]) => sum + 4 * width * height, 0);
        expect(drawn).toBeLessThan(1.02 * f + 64);
        softmax.vjp(s, x);
        expect(draw).toHaveBeenCalledTimes(forward + back);
        expect(read).not.toHaveBeenCalled();
        expect((await s.data())[f - 1]).toBeCloseTo(1 / f, 6);
      },
    );
  });
}
