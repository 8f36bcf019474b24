import type { Backend, Supports } from '../src/index.js';
import { defineKernelCase } from './case.js';
import { assert } from './check.js';
import { verbNames } from './members.js';

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

const optional = { lost: 'boolean' } satisfies Partial<Record<keyof Backend, Kind>>;

const announcements = {
  dtypes: 'array',
  inPlace: 'boolean',
  device: 'string',
  subnormals: 'string',
  nonFinite: 'string',
} satisfies Partial<Record<keyof Supports, Kind>>;

const limits = { elements: 'number', classes: 'number' } satisfies Record<keyof Supports['limits'], Kind>;
const expUlp = { base: 'number', slope: 'number' } satisfies Record<keyof Supports['expUlp'], Kind>;
const verbs = Object.fromEntries(verbNames.map((name) => [name, 'function' as const]));

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
    ...(backend.lost === undefined ? [] : missing('', backend, optional)),
    ...missing('supports.', supports, announcements),
    ...missing('supports.limits.', supports?.limits, limits),
    ...missing('supports.expUlp.', supports?.expUlp, expUlp),
    ...(basis === undefined ? [] : missing('basis.', basis, verbs)),
  ];
}

function missing(path: string, part: unknown, kinds: Readonly<Record<string, Kind>>): readonly string[] {
  if (typeof part !== 'object' || part === null) return [`${path.slice(0, -1)} (an object)`];
  const found = part as Readonly<Record<string, unknown>>;
  return Object.entries(kinds)
    .filter(([name, kind]) => (kind === 'array' ? !Array.isArray(found[name]) : typeof found[name] !== kind))
    .map(([name, kind]) => `${path}${name} (${kind === 'array' ? 'an array' : `a ${kind}`})`);
}
