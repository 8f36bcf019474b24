import type { Backend, FloatDType, KernelName } from '../src/index.js';
import { hasKernel } from '../src/ops/evaluate.js';
import { limitedClasses, limitedElements } from './exceeded.js';

/** One statement about a backend, as data that any test runner, the CLI or a page can show and run. */
export interface ConformanceCase {
  /** `section/what:parameter=value;…`: stable, so that it can be cited. The dtype is float32 if none is given. */
  readonly id: string;
  readonly section: string;
  /** The features that a backend must announce for the case to apply to it. */
  readonly requires: Requirements;
  /** False if the case is the same with and without fused kernels, so that it runs once. */
  readonly composable: boolean;
  /** Resolves if the backend does what the case says. @throws Error naming the element, both values and the bound */
  run(backend: Backend): Promise<void>;
}

export interface Requirements {
  readonly dtype?: FloatDType;
  /** All of these features. */
  readonly features?: readonly Feature[];
  /** The kernel that is needed unless there is a basis; null if a basis is required. The required kernels always exist but may decline. */
  readonly kernel?: KernelName | null;
  /** Another kernel that is needed unless there is a basis. */
  readonly alsoKernel?: KernelName;
  /** The opposite of `kernel`: the case applies only to backends without it. */
  readonly lacks?: KernelName | null;
  /** The opposite of `dtype`. */
  readonly lacksDType?: FloatDType;
  /** The opposite of `features`: the case tests an announced weakness. */
  readonly weakness?: Feature;
  /** Classes of the longest row. */
  readonly classes?: number;
  /** Elements of the largest buffer. */
  readonly elements?: number;
}

export type Feature =
  | 'basis'
  | 'kernels'
  | 'readSync'
  | 'view'
  | 'inPlace'
  | 'nonFinite: ieee'
  | 'subnormals: preserve'
  | 'range: full';

const announces: Record<Feature, (backend: Backend) => boolean> = {
  basis: ({ basis }) => basis !== undefined,
  kernels: ({ kernels }) => kernels !== undefined,
  readSync: ({ readSync }) => readSync !== undefined,
  view: ({ view }) => view !== undefined,
  inPlace: ({ supports }) => supports.inPlace,
  'nonFinite: ieee': ({ supports }) => supports.nonFinite === 'ieee',
  'subnormals: preserve': ({ supports }) => supports.subnormals === 'preserve',
  'range: full': ({ supports }) => supports.range !== 'ordinary',
};

/** Why a case does not apply to a backend, or null if it does. */
export function unmet(requires: Requirements, backend: Backend): string | null {
  const { dtype, kernel, alsoKernel, lacks, weakness, classes = 0, elements = 0 } = requires;
  const { dtypes, limits } = backend.supports;
  const missing = requires.features?.find((feature) => !announces[feature](backend));
  if (missing) return `does not announce ${missing}`;
  if (dtype && !dtypes.includes(dtype)) return `has no ${dtype}`;
  if (kernel !== undefined && !backend.basis && !(kernel && hasKernel(backend, kernel))) {
    return kernel ? `has neither kernels.${kernel} nor a basis` : 'has no basis';
  }
  if (alsoKernel && !backend.basis && !hasKernel(backend, alsoKernel)) {
    return `has neither kernels.${alsoKernel} nor a basis`;
  }
  if (lacks !== undefined && (backend.basis || (lacks && hasKernel(backend, lacks)))) {
    return lacks && hasKernel(backend, lacks) ? `has kernels.${lacks}` : 'has a basis';
  }
  if (requires.lacksDType && dtypes.includes(requires.lacksDType)) return `has ${requires.lacksDType}`;
  if (weakness && announces[weakness](backend)) return `announces ${weakness}`;
  if (classes > limits.classes) return limitedClasses(limits.classes);
  if (elements > limits.elements) return limitedElements(limits.elements);
  return null;
}

/** The first dtype that a backend announces. @throws Error if it announces none */
export function firstDType({ name, supports }: Backend): FloatDType {
  const [dtype] = supports.dtypes;
  if (dtype === undefined) throw new Error(`supports.dtypes of ${name} is empty`);
  return dtype;
}

/**
 * A case that runs fused and composed.
 *
 * @param requires what it requires, or a function that computes that on first use
 */
export function defineCase(
  id: string,
  requires: Requirements | (() => Requirements),
  run: (backend: Backend) => Promise<void>,
  composable = true,
): ConformanceCase {
  let known = typeof requires === 'function' ? undefined : requires;
  return {
    id,
    section: id.slice(0, id.indexOf('/')),
    get requires() {
      known ??= typeof requires === 'function' ? requires() : requires;
      return known;
    },
    composable,
    run,
  };
}

/** A case that does not depend on fused kernels: storage, the basis, the three required kernels. */
export function defineKernelCase(
  id: string,
  requires: Requirements | (() => Requirements),
  run: (backend: Backend) => Promise<void>,
): ConformanceCase {
  return defineCase(id, requires, run, false);
}

/** The dtype as a parameter of a case's id; omitted for float32. */
export function dtypeSuffix(dtype: FloatDType): string {
  return dtype === 'float32' ? '' : `;dtype=${dtype}`;
}

/** The dtype as the only parameter of a case's id. */
export function dtypeOnly(dtype: FloatDType): string {
  return dtype === 'float32' ? '' : `:dtype=${dtype}`;
}

export const floatDTypes: readonly FloatDType[] = ['float32', 'float64', 'float16'];
