import { createHash, type Hash } from 'node:crypto';
import { delegate } from '../conformance/delegate.js';
import type { Backend, HostArray } from '../src/index.js';

/** The scalar members of a kernel's arguments. */
const scalars = ['outer', 'classes', 'inner', 'temperature', 'labelSmoothing', 'ignoreIndex', 'scale', 'kind'] as const;

/** Its members that are objects. */
const objects = ['target', 'mask', 'weight', 'extent', 'loss', 'gradient'] as const;

/** A backend that records a digest of what is written to it and computed by it, and that can give one wrong number. */
export interface Recording {
  readonly backend: Backend;
  /** The length of each array that was read since the start. */
  readonly reads: readonly number[];
  /**
   * Starts anew. If `wrongRead` is given, the read with that index gives a wrong number at the position drawn by `draw`, and no digest is recorded: what is
   * written and computed is the same as without it.
   */
  start(wrongRead?: number, draw?: number): void;
  /** What was written and computed since the start. @throws Error if nothing is recorded */
  digest(): string;
}

export function recording(right: Backend): Recording {
  let hash: Hash | null;
  let reads: number[];
  let wrong: { readonly read: number; readonly draw: number };
  const start = (wrongRead = -1, draw = 0) => {
    hash = wrongRead < 0 ? createHash('sha256') : null;
    reads = [];
    wrong = { read: wrongRead, draw };
  };
  start();
  const given = (host: HostArray) => {
    if (reads.push(host.length) - 1 === wrong.read) spoil(host, wrong.draw % host.length);
    return host;
  };
  const watched =
    <A extends readonly unknown[], R>(name: string, call: (...args: A) => R) =>
    (...args: A): R => {
      hash?.update(`${name}(${args.map((value) => textOf(value, 0)).join()})`);
      return call(...args);
    };
  const each = <T extends object>(members: T): T =>
    Object.fromEntries(Object.entries(members).map(([name, member]) => [name, watched(name, member)])) as T;
  const { basis, kernels, readSync } = right;
  const backend = delegate(right, {
    alloc(length, dtype, use) {
      hash?.update(`alloc ${length} ${dtype}`);
      return right.alloc(length, dtype, use);
    },
    write(buffer, host) {
      hash?.update(`write ${host.length}`).update(bytesOf(host));
      right.write(buffer, host);
    },
    read: async (buffer) => given(await right.read(buffer)),
    ...(readSync && { readSync: (buffer) => given(readSync(buffer)) }),
    softmax: watched('softmax', right.softmax),
    jacobian: watched('jacobian', right.jacobian),
    vjp: watched('vjp', right.vjp),
    ...(basis && { basis: each(basis) }),
    ...(kernels && { kernels: each(kernels) }),
  });
  return {
    backend,
    get reads() {
      return reads;
    },
    start,
    digest() {
      if (hash === null) throw new Error('no digest is recorded with a wrong number');
      return hash.copy().digest('base64url').slice(0, 8);
    },
  };
}

/** An error of at least a quarter. */
function spoil(host: HostArray, at: number): void {
  const value = host[at];
  if (!Number.isFinite(value)) host[at] = 0;
  else if (host instanceof Float32Array || host instanceof Float64Array)
    host[at] = value < 0 ? value / 2 - 0.25 : value * 1.5 + 0.25;
  else host[at] = value ^ 1;
}

/** The upper 44 bits of each number, so that a last bit of an exponential does not matter. */
function bytesOf(host: HostArray): Uint8Array {
  const words = new Uint32Array(new Float64Array(host).buffer);
  for (let low = 0; low < words.length; low += 2) words[low] &= 0xfffff000;
  return new Uint8Array(words.buffer);
}

/** The numbers and names in a kernel's argument. */
function textOf(value: unknown, depth: number): string {
  if (Array.isArray(value)) return `[${value.map((one) => textOf(one, depth)).join()}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const members = value as Readonly<Record<string, unknown>>;
  let text = '';
  for (const name of scalars) if (name in members) text += `,${name}:${textOf(members[name], depth)}`;
  for (const name of depth < 2 ? objects : []) {
    if (name in members) text += `,${name}:${textOf(members[name], depth + 1)}`;
  }
  return `{${text.slice(1)}}`;
}
