import type { Backend, BackendProvider, Supports } from '../src/index.js';
import { defineKernelCase } from './case.js';
import { assert } from './check.js';
import { kernelNames, verbNames } from './members.js';

type Kind = 'function' | 'boolean' | 'number' | 'string' | 'array';

const members = {
  name: 'string',
  closed: 'boolean',
  alloc: 'function',
  write: 'function',
  read: 'function',
  free: 'function',
  sync: 'function',
  close: 'function',
  softmax: 'function',
  jacobian: 'function',
  vjp: 'function',
} satisfies Partial<Record<keyof Backend, Kind>>;

const optional = {
  lost: 'boolean',
  readSync: 'function',
  view: 'function',
  bufferInfo: 'function',
  memory: 'function',
} satisfies Partial<Record<keyof Backend, Kind>>;

const provider = { name: 'string', unavailable: 'function', open: 'function' } satisfies Record<
  keyof BackendProvider,
  Kind
>;

const announcements = {
  dtypes: 'array',
  inPlace: 'boolean',
  device: 'string',
  subnormals: 'string',
  nonFinite: 'string',
} satisfies Partial<Record<keyof Supports, Kind>>;

const limits = { elements: 'number', classes: 'number' } satisfies Record<keyof Supports['limits'], Kind>;
const expUlp = { base: 'number', slope: 'number' } satisfies Record<keyof Supports['expUlp'], Kind>;
const verbs = functions(verbNames);
const kernels = functions(kernelNames);

function functions(names: readonly string[]): Readonly<Record<string, Kind>> {
  return Object.fromEntries(names.map((name) => [name, 'function' as const]));
}

/** The first case of the suite: the others call the functions that it checks. */
export const completeCase = defineKernelCase('supports/complete', {}, async (backend) => {
  const lacking = missingMembers(backend);
  assert(lacking.length === 0, `the backend lacks ${lacking.join(', ')}`);
});

/** The members that a backend lacks, or that have another type: `jacobian (a function)`. */
export function missingMembers(backend: Backend): readonly string[] {
  const { supports, basis } = backend;
  return [
    ...missing('', backend, members),
    ...missing('', backend, given(backend, optional)),
    ...missing('supports.', supports, announcements),
    ...missing('supports.limits.', supports?.limits, limits),
    ...missing('supports.expUlp.', supports?.expUlp, expUlp),
    ...(basis === undefined ? [] : missing('basis.', basis, verbs)),
    ...(backend.kernels === undefined ? [] : missing('kernels.', backend.kernels, given(backend.kernels, kernels))),
  ];
}

/** The members that a provider lacks, or that have another type. */
export function missingOfProvider(target: object): readonly string[] {
  return missing('', target, provider);
}

/** Those members that are there, whatever their type. */
function given(part: unknown, kinds: Readonly<Record<string, Kind>>): Readonly<Record<string, Kind>> {
  const found = Object(part) as Readonly<Record<string, unknown>>;
  return Object.fromEntries(Object.entries(kinds).filter(([name]) => found[name] !== undefined));
}

function missing(path: string, part: unknown, kinds: Readonly<Record<string, Kind>>): readonly string[] {
  if (typeof part !== 'object' || part === null) return [`${path.slice(0, -1)} (an object)`];
  const found = part as Readonly<Record<string, unknown>>;
  return Object.entries(kinds)
    .filter(([name, kind]) => (kind === 'array' ? !Array.isArray(found[name]) : typeof found[name] !== kind))
    .map(([name, kind]) => `${path}${name} (${kind === 'array' ? 'an array' : `a ${kind}`})`);
}
