import {
  type Backend,
  type BackendProvider,
  byteSize,
  type DType,
  hostArray,
  type Operand,
  SoftgradError,
} from '../../src/index.js';
import { delegate } from '../delegate.js';
import { type ExactBuffer, exact } from '../exact.js';
import { cycled } from '../inputs.js';
import { type Fault, fault } from './fault.js';

// Every runtime has it, but core is compiled without the types of any runtime.
declare function structuredClone<T>(value: T, options: { readonly transfer: readonly unknown[] }): T;

/** Mistakes about storage, the order of execution, and the basis. */
export const faultyStorage: readonly Fault[] = [
  fault(
    'write-keeps-the-host-array',
    'keeps the array that it was given instead of copying it.',
    'storage/write-copies:dtype=float32',
    () => {
      const kept = new WeakMap<ExactBuffer, ArrayLike<number>>();
      return {
        write(buffer, host) {
          kept.set(buffer, host);
          buffer.data.set(host);
        },
        async read(buffer) {
          const data = buffer.data.slice();
          data.set(kept.get(buffer) ?? data);
          return data;
        },
      };
    },
  ),
  fault(
    'write-keeps-long-host-arrays',
    'copies a short array and keeps a long one.',
    'storage/write-copies:dtype=float32',
    () => ({
      write(buffer, host) {
        if (host.length > 4096) Object.assign(buffer, { data: host });
        else buffer.data.set(host);
      },
    }),
  ),
  fault(
    'write-detaches-the-host-array',
    'transfers the memory of the array to its device, which leaves the array empty.',
    'storage/write-copies:dtype=float32',
    () => ({
      write(buffer, host) {
        buffer.data.set(structuredClone(host, { transfer: [host.buffer] }));
      },
    }),
  ),
  fault('read-gives-its-own-memory', 'returns its own memory.', 'storage/read-copies:dtype=float32', () => ({
    read: async (buffer) => buffer.data,
  })),
  fault(
    'long-reads-give-its-own-memory',
    'copies what it returns only if that is short.',
    'storage/read-copies:dtype=float32',
    () => ({ read: async ({ data }) => (data.length > 4096 ? data : data.slice()) }),
  ),
  fault(
    'long-sync-reads-give-its-own-memory',
    'copies what it returns without waiting only if that is short.',
    'storage/read-sync:dtype=float32',
    () => ({ readSync: ({ data }) => (data.length > 4096 ? data : data.slice()) }),
  ),
  fault(
    'sync-reads-share-an-array',
    'returns one array each time, with what is read last.',
    'storage/read-sync:dtype=float32',
    () => {
      const scratch = new Float32Array(2 ** 16);
      return {
        readSync({ data }) {
          scratch.set(data);
          return scratch.subarray(0, data.length);
        },
      };
    },
  ),
  fault('read-sync-waits', 'returns a promise.', 'storage/read-sync:dtype=float32', ({ read }) => ({
    readSync: read as never,
  })),
  fault('read-sync-gives-its-own-memory', 'returns its own memory.', 'storage/read-sync:dtype=float32', () => ({
    readSync: (buffer) => buffer.data,
  })),
  fault('view-is-a-copy', 'returns a copy instead of a view.', 'storage/view:dtype=float32', () => ({
    view: (buffer) => buffer.data.slice(),
  })),
  fault('view-of-much-is-a-copy', 'returns a copy of a long buffer.', 'storage/view:dtype=float32', () => ({
    view: ({ data }) => (data.length > 4096 ? data.slice() : data),
  })),
  fault('view-waits', 'returns a promise.', 'storage/view:dtype=float32', ({ read }) => ({ view: read as never })),
  fault('int32-through-float32', 'stores integers as float32.', 'storage/round-trip:dtype=int32', () => ({
    write: (buffer, host) => buffer.data.set(host.map(Math.fround)),
  })),
  fault('reads-before-the-work', 'reads without waiting for what is enqueued.', 'storage/order', (right) => ({
    softmax(out, logits, rows, parameters) {
      Promise.resolve().then(() => right.softmax(out, logits, rows, parameters));
    },
  })),
  fault(
    'frees-before-the-work',
    'frees a buffer that enqueued work still reads.',
    'storage/free-while-enqueued',
    enqueuing,
  ),
  fault('never-frees', 'keeps every buffer; its device has 64 MiB.', 'storage/free:bytes=4GiB', (right) => {
    let bytes = 0;
    return {
      alloc(length, dtype, use) {
        bytes += length * byteSize(dtype);
        if (bytes > 2 ** 26) throw new SoftgradError('ERR_OUT_OF_MEMORY', 'the device has 64 MiB');
        return right.alloc(length, dtype, use);
      },
    };
  }),
  fault('knows-no-buffer', 'does not know its own buffers.', 'lifecycle/adopt-buffer', () => ({
    bufferInfo: () => null,
  })),
  fault('memory-counts-what-is-freed', 'counts buffers that were freed.', 'lifecycle/memory', (right) => {
    let [buffers, bytes] = [0, 0];
    return {
      alloc(length, dtype, use) {
        buffers += 1;
        bytes += length * byteSize(dtype);
        return right.alloc(length, dtype, use);
      },
      memory: () => ({ buffers, bytes }),
    };
  }),
  fault('memory-keeps-long-buffers', 'counts long buffers that were freed.', 'lifecycle/memory', (right) =>
    countingMemory(right, {
      bytesOf: (length, dtype) => length * byteSize(dtype),
      isCounted: (length) => length <= 4096,
    }),
  ),
  fault('memory-of-four-bytes', 'counts four bytes for an element of any dtype.', 'lifecycle/memory', (right) =>
    countingMemory(right, { bytesOf: (length) => 4 * length, isCounted: () => true }),
  ),
  fault('closes-once', 'throws when it is closed again.', 'lifecycle/close', (right) => ({
    close() {
      if (right.closed) throw new Error('it is closed');
      return right.close();
    },
  })),
  {
    ...fault('opens-one-backend', 'opens the backend that is open already.', 'lifecycle/close', () => ({})),
    provider: providerOf('opens-one-backend', (open) => open[0]),
  },
  {
    ...fault(
      'closes-every-backend',
      'closes all backends of the provider with one of them.',
      'lifecycle/close',
      () => ({}),
    ),
    provider: providerOf('closes-every-backend', (open, right) =>
      delegate(right, {
        async close() {
          for (const one of open.splice(0)) await one.close();
        },
      }),
    ),
  },
  fault('leaves-reads-waiting', 'never settles a read that waits when it is closed.', 'lifecycle/close', (right) => ({
    async read(buffer) {
      await right.sync();
      return right.closed ? new Promise(() => {}) : right.read(buffer);
    },
  })),
  fault('alloc-gives-nothing', 'returns no buffer.', 'storage/round-trip:dtype=float32', () => ({
    alloc: () => undefined as never,
  })),
  fault('reads-nothing', 'returns nothing.', 'storage/round-trip:dtype=float32', () => ({
    read: async () => undefined as never,
  })),
  fault('never-closes', 'does nothing when it is closed.', 'lifecycle/close', () => ({ close: () => {} })),
  fault('always-lost', 'says that its device is lost.', 'lifecycle/close', () => ({ lost: true })),
  fault(
    'broadcasts-by-cycling',
    'repeats a smaller operand instead of broadcasting it.',
    'basis/binary:op=add;operands=row',
    (right) => ({
      basis: {
        ...required(right.basis),
        binary(out, op, a, b, extent) {
          const size = out.data.length;
          const whole = (operand: Operand<ExactBuffer>): Operand<ExactBuffer> => {
            if (typeof operand === 'number') return operand;
            const { dtype, data } = operand.buffer;
            return { buffer: { dtype, data: hostArray(size, dtype).map((_, i) => cycled(data, i)) }, extent };
          };
          required(right.basis).binary(out, op, whole(a), whole(b), extent);
        },
      },
    }),
  ),
  fault(
    'selects-by-multiplying',
    'computes c a + (1 − c) b, which propagates a NaN that was not selected.',
    'basis/select:values=non-finite',
    (right) => ({
      basis: {
        ...required(right.basis),
        select(out, condition, a, b, extent) {
          const { binary } = required(right.basis);
          const scratch = () => ({ dtype: out.dtype, data: out.data.slice() });
          const [chosen, rest, left, other] = [scratch(), scratch(), scratch(), scratch()];
          binary(chosen, 'max', condition, 0, extent);
          binary(rest, 'sub', 1, { buffer: chosen, extent }, extent);
          binary(left, 'mul', { buffer: chosen, extent }, a, extent);
          binary(other, 'mul', { buffer: rest, extent }, b, extent);
          binary(out, 'add', { buffer: left, extent }, { buffer: other, extent }, extent);
        },
      },
    }),
  ),
  fault('transposes-nothing', 'copies where it should transpose.', 'basis/transpose:rows=2x3x4', (right) => ({
    basis: { ...required(right.basis), transpose: (out, x) => out.data.set(x.data) },
  })),
  fault(
    'reduces-in-blocks',
    'reduces whole blocks of 64 and omits the rest.',
    'basis/reduce:op=sum;rows=1x67x9',
    (right) => ({
      basis: {
        ...required(right.basis),
        reduce(out, op, x, rows) {
          const whole = rows.classes - (rows.classes % 64) || rows.classes;
          const data = x.data.filter((_, i) => Math.floor(i / rows.inner) % rows.classes < whole);
          required(right.basis).reduce(out, op, { dtype: x.dtype, data }, { ...rows, classes: whole });
        },
      },
    }),
  ),
];

/** Counts memory in a wrong way: `bytesOf` a buffer, and whether it is counted that a buffer of this length was freed. */
function countingMemory(
  right: Backend<ExactBuffer>,
  { bytesOf, isCounted }: { bytesOf: (length: number, dtype: DType) => number; isCounted: (length: number) => boolean },
): Partial<Backend<ExactBuffer>> {
  const held = new Map<ExactBuffer, number>();
  return {
    alloc(length, dtype, use) {
      const buffer = right.alloc(length, dtype, use);
      held.set(buffer, bytesOf(length, dtype));
      return buffer;
    },
    free(buffer) {
      if (isCounted(buffer.data.length)) held.delete(buffer);
      right.free(buffer);
    },
    memory: () => ({ buffers: held.size, bytes: [...held.values()].reduce((sum, bytes) => sum + bytes, 0) }),
  };
}

/** A provider that has a list of its backends that are open, the new one last. */
function providerOf(
  name: string,
  opened: (open: Backend<ExactBuffer>[], right: Backend<ExactBuffer>) => Backend<ExactBuffer> | undefined,
): BackendProvider<ExactBuffer> {
  const all: Backend<ExactBuffer>[] = [];
  return {
    name,
    unavailable: async () => null,
    async open() {
      const right = await exact.open();
      all.splice(0, all.length, ...all.filter(({ closed }) => !closed), right);
      return required(opened(all, right));
    },
  };
}

/** Work runs when data is read or written; free clears the memory at once. */
function enqueuing(right: Backend<ExactBuffer>): Partial<Backend<ExactBuffer>> {
  const queue: (() => void)[] = [];
  const flush = () => {
    for (const work of queue.splice(0)) work();
  };
  const enqueue = (work: () => void) => {
    queue.push(work);
  };
  return {
    softmax: (out, x, rows, parameters) => enqueue(() => right.softmax(out, x, rows, parameters)),
    vjp: (out, s, g, rows, parameters) => enqueue(() => right.vjp(out, s, g, rows, parameters)),
    jacobian: (out, s, rows, parameters) => enqueue(() => right.jacobian(out, s, rows, parameters)),
    write(buffer, host) {
      flush();
      right.write(buffer, host);
    },
    async read(buffer) {
      flush();
      return right.read(buffer);
    },
    async sync() {
      flush();
    },
    free(buffer) {
      buffer.data.fill(0);
    },
  };
}

function required<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('the exact backend has a basis');
  return part;
}
