import type { Backend, CrossEntropyParameters, HostArray } from '../src/index.js';
import { delegate, wrapped } from './delegate.js';
import { missingMembers } from './structure.js';

/** A call into a backend: data transfer or a kernel. */
export type TracedCall =
  | { readonly kind: 'write' | 'read'; readonly buffer: string; readonly values: HostArray }
  | { readonly kind: 'kernel'; readonly name: string; readonly arguments: string; readonly declined: boolean };

/**
 * A backend that records its calls in order: buffers are named b1, b2, … as they are allocated. `calls` grows until
 * `clear` empties it.
 */
export interface Traced {
  readonly backend: Backend;
  readonly calls: readonly TracedCall[];
  clear(): void;
}

/**
 * Records all data transfers and kernel calls of a backend, for a report that others can follow. An incomplete backend is returned
 * unchanged, because the suite has to report what it lacks.
 *
 * @example
 * const { backend, calls } = traced(await cpu.open());
 * softmax(tensor([[1, 2, 3]], { backend }));
 * calls.map(({ kind }) => kind); // ['write', 'kernel']
 */
export function traced(backend: Backend): Traced {
  const calls: TracedCall[] = [];
  const names = new Map<unknown, string>();
  const nameOf = (buffer: unknown) => names.get(buffer) ?? 'an unknown buffer';
  const record = (kind: 'write' | 'read', buffer: unknown, values: HostArray) =>
    calls.push({ kind, buffer: nameOf(buffer), values: values.slice() });
  const kernel = <A extends readonly unknown[], R>(name: string, call: (...args: A) => R) => {
    return (...args: A): R => {
      const result = call(...args);
      const text = args.map((arg) => describe(arg, names)).join(', ');
      calls.push({ kind: 'kernel', name, arguments: text, declined: result === false });
      return result;
    };
  };
  const clear = () => {
    calls.length = 0;
  };
  if (missingMembers(backend).length > 0) return { backend, calls, clear };
  const { readSync, basis, kernels } = backend;
  let allocated = 0;
  const recording = delegate(backend, {
    alloc(length, dtype, use) {
      const buffer = backend.alloc(length, dtype, use);
      names.set(buffer, `b${++allocated}`);
      return buffer;
    },
    write(buffer, host) {
      record('write', buffer, host);
      backend.write(buffer, host);
    },
    async read(buffer) {
      const values = await backend.read(buffer);
      record('read', buffer, values);
      return values;
    },
    ...(readSync && {
      readSync(buffer) {
        const values = readSync.call(backend, buffer);
        record('read', buffer, values);
        return values;
      },
    }),
    softmax: kernel('softmax', (...args) => backend.softmax(...args)),
    jacobian: kernel('jacobian', (...args) => backend.jacobian(...args)),
    vjp: kernel('vjp', (...args) => backend.vjp(...args)),
    ...(basis && { basis: wrapped(basis, kernel) }),
    ...(kernels && { kernels: wrapped(kernels, kernel) }),
  });
  return { backend: recording, calls, clear };
}

/** The members of a kernel's parameters. */
const parameters: ReadonlySet<string> = new Set<keyof CrossEntropyParameters<unknown>>([
  'temperature',
  'mask',
  'target',
  'weight',
  'labelSmoothing',
  'ignoreIndex',
  'scale',
]);

/** The members of their mask and of their target. */
const ofParameters: ReadonlySet<string> = new Set<keyof Mask | keyof Target>(['buffer', 'outer', 'kind']);

type Mask = NonNullable<CrossEntropyParameters<unknown>['mask']>;
type Target = CrossEntropyParameters<unknown>['target'];

/**
 * An argument of a kernel: the name of a buffer, or the members of an object. Core passes its own records as the parameters, the mask and the
 * target; kernels may use only the members that are listed.
 */
function describe(
  value: unknown,
  names: ReadonlyMap<unknown, string>,
  listed: ReadonlySet<string> | null = null,
): string {
  const name = typeof value === 'object' ? names.get(value) : undefined;
  if (name !== undefined) return name;
  if (Array.isArray(value)) return `[${value.map((one) => describe(one, names)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return typeof value === 'string' ? `'${value}'` : String(value);
  const inner = 'temperature' in value ? ofParameters : null;
  const own = inner === null ? listed : parameters;
  const members = Object.entries(value).filter(([key]) => own === null || own.has(key));
  return `{ ${members.map(([key, member]) => `${key}: ${describe(member, names, inner)}`).join(', ')} }`;
}
