import {
  type Backend,
  bufferOf,
  byteSize,
  crossEntropy,
  type DType,
  fromBuffer,
  isSoftgradError,
  relu,
  scope,
  softmax,
  tensor,
} from '../../src/index.js';
import { type ConformanceCase, defineCase, defineKernelCase, firstDType } from '../case.js';
import { assert, assertClose, assertSame, assertThrows } from '../check.js';
import { isSame, liveBuffers, openAgain } from '../counted.js';
import { exact } from '../exact.js';
import { upload } from '../kernel.js';
import { within } from '../limit.js';
import { operationPrecision } from '../precision.js';
import { longBuffer } from './storage.js';

/** Tensors from creation to disposal. */
export const lifecycle: readonly ConformanceCase[] = [
  defineKernelCase('lifecycle/dispose', {}, async (backend) => {
    const before = liveBuffers(backend);
    const x = tensor([1, 2, 3], { backend, dtype: firstDType(backend) });
    assert(liveBuffers(backend) === before + 1, 'a tensor does not have exactly one buffer');
    x.dispose();
    x.dispose();
    assert(x.disposed, 'disposed is false after dispose');
    assert(liveBuffers(backend) === before, 'dispose did not free the buffer');
    await assertThrows('data of a disposed tensor', 'ERR_DISPOSED', () => x.data());
  }),
  defineKernelCase('lifecycle/scope', {}, async (backend) => {
    const before = liveBuffers(backend);
    const dtype = firstDType(backend);
    const kept = scope(() => {
      const s = softmax(tensor([[0, 0]], { backend, dtype }));
      return softmax.vjp(s, tensor([[1, 1]], { backend, dtype }));
    });
    assert(liveBuffers(backend) === before + 1, 'a scope keeps tensors that it does not return');
    assert((await kept.data()).length === 2, 'a tensor that a scope returns cannot be read');
    kept.dispose();
  }),
  defineKernelCase('lifecycle/move', {}, async (backend) => {
    const dtype = firstDType(backend);
    const other = await exact.open();
    const values = [1, -2, 0.5];
    const there = tensor(values, { backend: other, dtype });
    const here = await there.to(backend);
    const back = await here.to(other);
    assertSame('a tensor moved to this backend', await here.data(), values);
    assertSame('a tensor moved to this backend and back', await back.data(), values);
    for (const x of [there, here, back]) x.dispose();
    await other.close();
  }),
  defineKernelCase('lifecycle/adopt-buffer', {}, async (backend) => {
    const dtype = firstDType(backend);
    const buffer = upload(backend, { values: [1, 2], dtype });
    const x = fromBuffer(backend, buffer, [1, 2], dtype);
    assert(bufferOf(backend, x) === buffer, 'bufferOf returns another buffer than the one given to fromBuffer');
    assertSame('an adopted buffer', await x.data(), [1, 2]);
    x.dispose();
    await assertKnowsBuffers(backend);
  }),
  defineKernelCase('lifecycle/memory', {}, async (backend) => {
    for (const dtype of [...backend.supports.dtypes, 'int32', 'bool'] as const) assertCountsMemory(backend, dtype);
  }),
  defineKernelCase('lifecycle/failure-frees', {}, async (backend) => {
    const dtype = firstDType(backend);
    const before = liveBuffers(backend);
    const x = tensor([[1, 2]], { backend, dtype });
    const out = tensor([[1, 2, 3]], { backend, dtype });
    await assertThrows('softmax into an out of another shape', 'ERR_SHAPE', () => softmax(x, { out }));
    assert(liveBuffers(backend) === before + 2, 'an operation that throws leaves a buffer allocated');
    x.dispose();
    out.dispose();
  }),
  defineCase('cross-entropy/one-pass', { kernel: null }, (backend) => crossEntropyInOnePass(backend)),
  defineCase('cross-entropy/one-pass:out=target', { kernel: null }, (backend) => crossEntropyIntoItsTarget(backend)),
  defineCase('cross-entropy/one-pass:out=logits', { kernel: null }, (backend) => crossEntropyIntoItsLogits(backend)),
  defineCase('cross-entropy/nothing-counted', { kernel: null, features: ['nonFinite: ieee'] }, async (backend) => {
    const dtype = firstDType(backend);
    const x = tensor([[1, 2, 3]], { backend, dtype });
    const { loss, gradient } = crossEntropy(x, Int32Array.of(-100));
    assertSame('the mean over rows that are all ignored', await loss.data(), [Number.NaN]);
    assertSame('its gradient', await gradient.data(), [0, 0, 0]);
    // A class as the only option: a kernel may have declined all cases in which another index is combined with other options.
    const one = crossEntropy(x, Int32Array.of(1), { ignoreIndex: 1, reduction: 'none' });
    assertSame('the loss of a row that is ignored because of ignoreIndex: 1', await one.loss.data(), [0]);
    assertSame('its gradient', await one.gradient.data(), [0, 0, 0]);
    for (const y of [loss, gradient, one.loss, one.gradient]) y.dispose();
    x.dispose();
  }),
];

/** If the backend counts its memory, it counts short and long buffers of a dtype until they are freed. */
function assertCountsMemory(backend: Backend, dtype: DType): void {
  if (!backend.memory) return;
  const before = backend.memory();
  const lengths = [3, longBuffer(backend)];
  const buffers = lengths.map((length) => backend.alloc(length, dtype));
  const held = backend.memory();
  const least = before.bytes + lengths.reduce((sum, length) => sum + length * byteSize(dtype), 0);
  assert(
    held.buffers === before.buffers + 2,
    `memory counts ${held.buffers - before.buffers} buffers of ${dtype}, of 2 that are new`,
  );
  assert(
    held.bytes >= least,
    `memory counts ${held.bytes} bytes with 2 buffers of ${dtype}; expected at least ${least}`,
  );
  for (const buffer of buffers) backend.free(buffer);
  const after = backend.memory();
  const counts = ({ buffers, bytes }: typeof after) => `${buffers} buffers of ${bytes} bytes`;
  assert(
    counts(after) === counts(before),
    `memory counts ${counts(after)} once 2 buffers of ${dtype}, of ${lengths.join(' and ')} elements, are freed; expected ${counts(before)}`,
  );
}

/** If the backend can be asked about its buffers, it knows their lengths and dtypes, and core refuses any other to `fromBuffer`. */
async function assertKnowsBuffers(backend: Backend): Promise<void> {
  if (!backend.bufferInfo) return;
  for (const dtype of [...backend.supports.dtypes, 'int32', 'bool'] as const) {
    const buffer = backend.alloc(3, dtype);
    const info = backend.bufferInfo(buffer);
    const found = info && `${info.length} ${info.dtype}`;
    assert(found === `3 ${dtype}`, `bufferInfo of a buffer of 3 ${dtype} elements says ${found}`);
    backend.free(buffer);
  }
  const dtype = firstDType(backend);
  const buffer = backend.alloc(3, dtype);
  await assertThrows('fromBuffer of 3 elements for 2', 'ERR_SHAPE', () => fromBuffer(backend, buffer, [2], dtype));
  await assertThrows('fromBuffer of 3 elements for 4', 'ERR_SHAPE', () => fromBuffer(backend, buffer, [2, 2], dtype));
  const other = backend.alloc(3, 'int32');
  await assertThrows('fromBuffer of int32', 'ERR_DTYPE', () => fromBuffer(backend, other, [3], dtype));
  for (const foreign of [{}, null, undefined, 0, 'buffer', [1, 2, 3], new DataView(new ArrayBuffer(12))]) {
    await assertThrows(`fromBuffer of ${String(foreign)}, which is not a buffer`, 'ERR_VALUE', () =>
      fromBuffer(backend, foreign, [3], dtype),
    );
  }
  for (const own of [buffer, other]) backend.free(own);
}

/** The loss and the gradient computed together equal those computed separately, and are written into `out`. */
async function crossEntropyInOnePass(backend: Backend): Promise<void> {
  const dtype = firstDType(backend);
  const x = tensor(
    [
      [1, 2, 3],
      [0, -1, 4],
    ],
    { backend, dtype },
  );
  const target = Int32Array.of(2, 0);
  const { loss, gradient } = crossEntropy(x, target);
  const alone = { loss: crossEntropy.loss(x, target), gradient: crossEntropy.gradient(x, target) };
  const tolerance = new Float64Array(6).fill(64 * operationPrecision(backend.supports, dtype).unit);
  assertClose('the loss of both in one pass', await loss.data(), await alone.loss.data(), tolerance);
  assertClose('the gradient of both in one pass', await gradient.data(), await alone.gradient.data(), tolerance);
  const out = { loss: relu(loss), gradient: relu(gradient) };
  crossEntropy(x, target, { out });
  assertSame('the loss written into out', await out.loss.data(), await loss.data());
  assertSame('the gradient written into out', await out.gradient.data(), await gradient.data());
  for (const y of [x, loss, gradient, alone.loss, alone.gradient, out.loss, out.gradient]) y.dispose();
}

/** The gradient may overwrite the target, which the loss needs as well. */
async function crossEntropyIntoItsTarget(backend: Backend): Promise<void> {
  const dtype = firstDType(backend);
  const values = [1, 2, 3, 0, -1, 4];
  const x = tensor(values, { shape: [2, 3], backend, dtype });
  const target = tensor([0.25, 0.25, 0.5, 0, 0.75, 0.25], { shape: [2, 3], backend, dtype });
  const apart = crossEntropy(x, target);
  const into = crossEntropy(x, target, { out: { gradient: target } });
  const tolerance = new Float64Array(6).fill(64 * operationPrecision(backend.supports, dtype).unit);
  assertClose('the loss', await into.loss.data(), await apart.loss.data(), tolerance);
  assertClose('the gradient written over the target', await target.data(), await apart.gradient.data(), tolerance);
  assertSame('the logits after crossEntropy', await x.data(), values);
  for (const y of [x, target, apart.loss, apart.gradient, into.loss]) y.dispose();
}

/** The gradient may overwrite the logits, which the loss needs as well. */
async function crossEntropyIntoItsLogits(backend: Backend): Promise<void> {
  const dtype = firstDType(backend);
  const values = [1, 2, 3, 0, -1, 4];
  const tolerance = new Float64Array(6).fill(64 * operationPrecision(backend.supports, dtype).unit);
  for (const target of [
    Int32Array.of(2, 0),
    { data: Float64Array.of(0.25, 0.25, 0.5, 0, 0.75, 0.25), shape: [2, 3] },
  ]) {
    for (const reduction of ['none', 'mean'] as const) {
      const x = tensor(values, { shape: [2, 3], backend, dtype });
      const apart = crossEntropy(x, target, { reduction });
      const into = crossEntropy(x, target, { reduction, out: { gradient: x } });
      assertClose('the loss', await into.loss.data(), await apart.loss.data(), tolerance);
      assertClose('the gradient written over the logits', await x.data(), await apart.gradient.data(), tolerance);
      for (const y of [x, apart.loss, apart.gradient, into.loss]) y.dispose();
    }
  }
}

/** The last case: no buffer is left allocated, the backend closes permanently and alone, and core refuses its tensors. */
export const close: ConformanceCase = defineKernelCase('lifecycle/close', {}, async (backend) => {
  const dtype = firstDType(backend);
  try {
    assert(liveBuffers(backend) === 0, `${liveBuffers(backend)} buffers are still allocated after all cases`);
    assert(!backend.closed, 'closed is true before close was called');
    assert(!backend.lost, 'lost is true on a device that works');
    await assertIndependent(backend);
  } catch (error) {
    await backend.close();
    throw error;
  }
  const x = tensor([[1, 2]], { backend, dtype });
  await backend.close();
  assert(backend.closed, 'closed is false after close');
  await during('a second close, which must change nothing', () => backend.close());
  await assertThrows('softmax of a tensor of a closed backend', 'ERR_DISPOSED', () => softmax(x));
  await assertThrows('data of a tensor of a closed backend', 'ERR_DISPOSED', () => x.data());
  await assertThrows('a new tensor on a closed backend', 'ERR_DISPOSED', () => tensor([1], { backend, dtype }));
  x.dispose();
});

/** A second backend of the same provider is another one: closing it leaves the first as it was. A device that only one backend can use is unavailable to a second. */
async function assertIndependent(backend: Backend): Promise<void> {
  const second = await during('opening the provider again', () => openAgain(backend));
  if (second === null) return;
  assert(
    !isSame(backend, second),
    'open returned the backend that is open already; expected another one, which is closed by itself',
  );
  await assertStores('a second backend of the provider', second);
  await closeWhileReading(second);
  assert(!backend.closed, 'closed is true after another backend of the provider was closed');
  await assertStores('the backend after another one of the provider was closed', backend);
}

/** Closes a backend during a read, which must settle: with its data, or because the backend was closed. */
async function closeWhileReading(backend: Backend): Promise<void> {
  const outcome = tensor([0.5], { backend, dtype: firstDType(backend) })
    .data()
    .then(
      () => null,
      (error: unknown) => error,
    );
  await backend.close();
  const what = 'a read that waited when the backend was closed';
  const error = await within(what, 2_000, outcome, true);
  const isExpected = error === null || (isSoftgradError(error) && /^ERR_(DISPOSED|DEVICE_LOST)$/.test(error.code));
  assert(isExpected, `${what}: expected its data, ERR_DISPOSED or ERR_DEVICE_LOST, got ${String(error)}`);
}

/** A number that is written is read again. Kernels are left to other cases, which would not be the only ones to fail. */
async function assertStores(what: string, backend: Backend): Promise<void> {
  const x = await during(what, () => tensor([0.5], { backend, dtype: firstDType(backend) }));
  assertSame(`data of ${what}`, await during(what, () => x.data()), [0.5]);
  x.dispose();
}

/** What `action` results in. @throws Error saying during what it throws */
async function during<T>(what: string, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
