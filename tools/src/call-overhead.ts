import { calibrate, interleave } from '@softgrad/bench';
import { type Backend, empty, softmax, tensor } from '@softgrad/core';
import { plain } from '@softgrad/core/conformance';
import { median, quantileSorted } from 'simple-statistics';

/** The overhead of the public API over a kernel. */
export interface CallOverhead {
  /** Median of the rounds' differences, in ms, with its first and third quartile. */
  readonly overheadMs: number;
  readonly quartilesMs: readonly [number, number];
  readonly callMs: number;
  readonly kernelMs: number;
}

/** Times softmax of (1, 10) through the public API with a reused output, and the backend's kernel on equal buffers. */
export async function measureCallOverhead(backend: Backend, rounds = 31): Promise<CallOverhead> {
  const values = Float32Array.from({ length: 10 }, (_, k) => k / 10);
  using x = tensor(values, { shape: [1, 10], backend });
  using out = empty([1, 10], { backend });
  const [from, to] = [backend.alloc(10, 'float32'), backend.alloc(10, 'float32')];
  try {
    backend.write(from, values);
    const rows = { outer: 1, classes: 10, inner: 1 };
    const publicCall = (calls: number) => {
      for (let k = 0; k < calls; k++) softmax(x, { out });
      return backend.sync();
    };
    const kernel = (calls: number) => {
      for (let k = 0; k < calls; k++) backend.softmax(to, from, rows, plain);
      return backend.sync();
    };
    const loops = [await calibrate(publicCall, 2, rounds), await calibrate(kernel, 2, rounds)];
    const [calls = [], kernels = []] = (await interleave(loops, rounds, () => {})).map((times) => times.map(Number));
    const added = calls.map((ms, round) => ms - (kernels[round] ?? Number.NaN)).sort((a, b) => a - b);
    return {
      overheadMs: median(added),
      quartilesMs: [quantileSorted(added, 0.25), quantileSorted(added, 0.75)],
      callMs: median(calls),
      kernelMs: median(kernels),
    };
  } finally {
    backend.free(from);
    backend.free(to);
  }
}
