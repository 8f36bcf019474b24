import { type Backend, byteSize, type DType, isFloat } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase, firstDType, floatDTypes, type Requirements } from '../case.js';
import { assert, assertClose, assertSame } from '../check.js';
import { cotangents, cycled, rounded } from '../inputs.js';
import { garbage, hostOf, plain, upload } from '../kernel.js';

/** What `alloc`, `write`, `read`, `readSync`, `view`, `free` and `sync` promise, for every dtype. */
export const storage: readonly ConformanceCase[] = [...floatDTypes, 'int32' as const, 'bool' as const].flatMap(
  (dtype) => {
    const requires: Requirements = isFloat(dtype) ? { dtype } : {};
    const parameter = `dtype=${dtype}`;
    return [
      defineKernelCase(`storage/round-trip:${parameter}`, requires, (backend) => roundTrip(backend, dtype)),
      lengthsCase(`storage/write-copies:${parameter}`, requires, async (backend, length) => {
        const values = sample(dtype, length);
        const host = hostOf({ values, dtype });
        const buffer = backend.alloc(length, dtype);
        backend.write(buffer, host);
        assertSame('the host array after write', host, values);
        host.fill(1);
        assertSame('written values, after the host array changed', await backend.read(buffer), values);
        backend.free(buffer);
      }),
      lengthsCase(`storage/read-copies:${parameter}`, requires, async (backend, length) => {
        const values = sample(dtype, length);
        const buffer = upload(backend, { values, dtype });
        const first = await backend.read(buffer);
        first.fill(1);
        assertSame('a second read, after the first array changed', await backend.read(buffer), values);
        backend.write(buffer, garbage(length, dtype));
        assert(
          first.every((value) => value === 1),
          'a write changed an array that was read before',
        );
        backend.free(buffer);
      }),
      lengthsCase(
        `storage/read-sync:${parameter}`,
        { ...requires, features: ['readSync'] },
        async (backend, length) => {
          const values = sample(dtype, length);
          const buffer = upload(backend, { values, dtype });
          assert(backend.readSync !== undefined, 'the backend has no readSync');
          assertSame('readSync', backend.readSync(buffer), values);
          const first = backend.readSync(buffer);
          first.fill(1);
          assertSame('a second readSync, after the first array changed', backend.readSync(buffer), values);
          assert(
            first.every((value) => value === 1),
            'a second readSync changed the array of the first',
          );
          backend.free(buffer);
        },
      ),
      lengthsCase(`storage/view:${parameter}`, { ...requires, features: ['view'] }, async (backend, length) => {
        const values = sample(dtype, length);
        const buffer = upload(backend, { values, dtype });
        assert(backend.view !== undefined, 'the backend has no view');
        assertSame('view', backend.view(buffer), values);
        backend.view(buffer).fill(1);
        assertSame('values written through the view', await backend.read(buffer), new Array(length).fill(1));
        backend.free(buffer);
      }),
    ];
  },
);

/** A case for a short buffer, and for one so long that a backend may share its memory where it copies a short one. */
function lengthsCase(
  id: string,
  requires: Requirements,
  run: (backend: Backend, length: number) => Promise<void>,
): ConformanceCase {
  return defineKernelCase(id, requires, async (backend) => {
    for (const length of [33, longBuffer(backend)]) await run(backend, length);
  });
}

/** Requirements that do not depend on the dtype. */
export const storageOrder: readonly ConformanceCase[] = [
  defineKernelCase('storage/order', {}, async (backend) => {
    const dtype = firstDType(backend);
    const rows = { outer: 1, classes: 2, inner: 1 };
    const x = upload(backend, { values: [0, 0], dtype });
    const s = backend.alloc(2, dtype);
    backend.softmax(s, x, rows, plain);
    const before = backend.read(s);
    backend.write(x, hostOf({ values: [0, Number.NEGATIVE_INFINITY], dtype }));
    backend.softmax(s, x, rows, plain);
    assertRow('the first result, read before a second was enqueued', await before, [0.5, 0.5]);
    assertRow('the result of the operation enqueued last', await backend.read(s), [1, 0]);
    backend.free(x);
    backend.free(s);
  }),
  defineKernelCase('storage/free-while-enqueued', {}, async (backend) => {
    const dtype = firstDType(backend);
    const x = upload(backend, { values: [0, Number.NEGATIVE_INFINITY], dtype });
    const s = backend.alloc(2, dtype);
    backend.softmax(s, x, { outer: 1, classes: 2, inner: 1 }, plain);
    backend.free(x);
    const other = upload(backend, { values: [3, 3], dtype });
    assertRow('the result of an operation whose input was freed after it was enqueued', await backend.read(s), [1, 0]);
    backend.free(other);
    backend.free(s);
  }),
  defineKernelCase('storage/sync', {}, async (backend) => {
    const dtype = firstDType(backend);
    const x = upload(backend, { values: [0, 0], dtype });
    const s = backend.alloc(2, dtype);
    backend.softmax(s, x, { outer: 1, classes: 2, inner: 1 }, plain);
    await backend.sync();
    assertRow('the result after sync', await backend.read(s), [0.5, 0.5]);
    backend.free(x);
    backend.free(s);
  }),
  defineKernelCase('storage/free:bytes=4GiB', {}, async (backend) => {
    const dtype = firstDType(backend);
    // Buffers so large that an allocator maps new pages for them. None of them is accessed, so no time is spent on clearing pages.
    const length = Math.min(2 ** 24, backend.supports.limits.elements);
    for (let bytes = 0; bytes < 2 ** 32; bytes += length * byteSize(dtype)) backend.free(backend.alloc(length, dtype));
    const buffer = upload(backend, { values: [1, 2, 3], dtype });
    assertSame('a buffer allocated after all the others', await backend.read(buffer), [1, 2, 3]);
    backend.free(buffer);
  }),
];

/** More elements than fit into a page of memory or a message that is sent by value. */
export function longBuffer({ supports }: Backend): number {
  return Math.min(20_000, supports.limits.elements);
}

/** These cases check which operations a result includes, not how accurate it is. */
function assertRow(what: string, actual: ArrayLike<number>, expected: readonly number[]): void {
  assertClose(what, actual, expected, [0.01, 0.01]);
}

async function roundTrip(backend: Backend, dtype: DType): Promise<void> {
  for (const length of [0, 1, 2, 3, 5, 64, 1025]) {
    const values = sample(dtype, length, backend.supports.nonFinite === 'ieee');
    const buffer = upload(backend, { values, dtype });
    const read = await backend.read(buffer);
    const found = Object(read).constructor;
    assert(found === hostOf({ values: [], dtype }).constructor, `read returns ${read && found.name} for ${dtype}`);
    assertSame(`${length} elements of ${dtype}`, read, values);
    backend.free(buffer);
  }
  if (dtype !== 'float16') return;
  const between = 1 + 2 ** -12; // between 1 and the next number in half precision, 1 + 2⁻¹⁰
  const buffer = upload(backend, { values: [between], dtype });
  const [stored] = await backend.read(buffer);
  assert(stored !== between, `float16 keeps ${between}, which half precision cannot represent`);
  backend.free(buffer);
}

/** Values that a dtype represents exactly, including ones that are easily lost. */
function sample(dtype: DType, length: number, nonFinite = false): ArrayLike<number> {
  if (dtype === 'bool') return Uint8Array.from({ length }, (_, i) => (i % 3 === 0 ? 1 : 0));
  if (dtype === 'int32') return Int32Array.from({ length }, (_, i) => cycled([-100, 2 ** 31 - 1, -(2 ** 31), i], i));
  const special = nonFinite ? [Number.NEGATIVE_INFINITY, Number.NaN, Number.POSITIVE_INFINITY] : [0, 6e4, -6e4];
  const values = cotangents(length, dtype, 100, 'storage');
  return values.map((value, i) => rounded(i % 7 === 3 ? cycled(special, i >> 3) : value, dtype));
}
