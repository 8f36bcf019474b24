import { createHash } from 'node:crypto';
import { delegate } from '../conformance/delegate.js';
import type { Backend } from '../src/index.js';

/** A buffer of the exact backend. */
interface Buffer {
  readonly data: Float64Array | Float32Array | Uint16Array | Int32Array | Uint8Array;
}

/** A backend whose kernels compute each call once: the same call on the same numbers takes its results from the first. */
export interface Remembering {
  readonly backend: Backend;
  forget(): void;
}

export function remembering(right: Backend): Remembering {
  const known = new Map<string, readonly Buffer['data'][]>();
  const once =
    <A extends readonly unknown[]>(name: string, kernel: (...args: A) => void) =>
    (...args: A): void => {
      const buffers: Buffer[] = [];
      const call = describe(args, buffers);
      const key = createHash('sha1').update(`${name} ${call}`);
      // An output may be an operand, so what it contains before the call counts.
      for (const { data } of buffers) key.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      const digest = key.digest('base64');
      const results = known.get(digest);
      if (results) {
        for (const [k, { data }] of buffers.entries()) data.set(results[k]);
        return;
      }
      kernel(...args);
      known.set(
        digest,
        buffers.map(({ data }) => data.slice()),
      );
    };
  const kernels = Object.entries(right.kernels ?? {}).map(([name, kernel]) => [name, once(name, kernel)]);
  const backend = delegate(right, {
    softmax: once('softmax', right.softmax),
    jacobian: once('jacobian', right.jacobian),
    vjp: once('vjp', right.vjp),
    kernels: Object.fromEntries(kernels),
  });
  return { backend, forget: () => known.clear() };
}

/** Every number and name in the arguments, and for a buffer its place in `buffers`, where each is listed once. */
function describe(value: unknown, buffers: Buffer[]): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (isBuffer(value)) {
    const known = buffers.indexOf(value);
    return `buffer ${known < 0 ? buffers.push(value) - 1 : known} of ${value.data.length}`;
  }
  let text = '';
  for (const [name, member] of Object.entries(value)) text += `,${name}:${describe(member, buffers)}`;
  return `{${text.slice(1)}}`;
}

function isBuffer(value: object): value is Buffer {
  return 'data' in value && ArrayBuffer.isView(value.data);
}
