import { softmax, tensor } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase } from '../case.js';
import { assert, assertThrows } from '../check.js';
import { liveBuffers } from '../counted.js';

/** The last case: nothing is left alive, the backend closes for good, and core refuses what lived on it. */
export const close: ConformanceCase = defineKernelCase('lifecycle/close', {}, async (backend) => {
  const [dtype] = backend.supports.dtypes;
  assert(liveBuffers(backend) === 0, `${liveBuffers(backend)} buffers are alive after all cases`);
  const x = tensor([[1, 2]], { backend, dtype });
  x.dispose();
  assert(!backend.closed, 'closed is true before close was called');
  const y = tensor([[1, 2]], { backend, dtype });
  await backend.close();
  assert(backend.closed, 'closed is false after close');
  await backend.close();
  await assertThrows('softmax of a tensor of a closed backend', 'ERR_DISPOSED', () => softmax(y));
  await assertThrows('data of a tensor of a closed backend', 'ERR_DISPOSED', () => y.data());
  await assertThrows('a new tensor on a closed backend', 'ERR_DISPOSED', () => tensor([1], { backend, dtype }));
  y.dispose();
});
