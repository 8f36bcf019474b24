import type { Backend, FloatDType, KernelName } from '../src/index.js';
import { isRequired } from '../src/ops/evaluate.js';

/** One statement about a backend: data that any test runner, the CLI or a page can show and run. */
export interface ConformanceCase {
  /** `section/what:parameter=value;…`: stable, can be cited. float32 where no dtype is named. */
  readonly id: string;
  readonly section: string;
  /** What a backend must announce for the case to apply to it. */
  readonly requires: Requirements;
  /** False for what a backend does the same with and without fused kernels, which is run once. */
  readonly composable: boolean;
  /** Resolves where the backend does what the case says. @throws Error naming the element, both values and the bound */
  run(backend: Backend): Promise<void>;
}

export interface Requirements {
  readonly dtype?: FloatDType;
  /** All of these. */
  readonly features?: readonly Feature[];
  /** Without a basis, this kernel; null: nothing but a basis will do. A required one is always there, and may decline. */
  readonly kernel?: KernelName | null;
  /** The reverse of `kernel`: the case is about what happens without it. */
  readonly lacks?: KernelName | null;
  /** The reverse of `dtype`. */
  readonly lacksDType?: FloatDType;
  /** The reverse of `features`: the case is about a declared weakness. */
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

/** Why a case does not apply to a backend, or null where it does. */
export function unmet(requires: Requirements, backend: Backend): string | null {
  const { dtype, kernel, lacks, weakness, classes = 0, elements = 0 } = requires;
  const { dtypes, limits } = backend.supports;
  const missing = requires.features?.find((feature) => !announces[feature](backend));
  if (missing) return `does not announce ${missing}`;
  if (dtype && !dtypes.includes(dtype)) return `has no ${dtype}`;
  if (kernel !== undefined && !backend.basis && !(kernel && hasKernel(backend, kernel))) {
    return kernel ? `has neither kernels.${kernel} nor a basis` : 'has no basis';
  }
  if (lacks !== undefined && (backend.basis || (lacks && hasKernel(backend, lacks)))) {
    return lacks && hasKernel(backend, lacks) ? `has kernels.${lacks}` : 'has a basis';
  }
  if (requires.lacksDType && dtypes.includes(requires.lacksDType)) return `has ${requires.lacksDType}`;
  if (weakness && announces[weakness](backend)) return `announces ${weakness}`;
  if (classes > limits.classes) return `${classes} classes are more than its limit of ${limits.classes}`;
  if (elements > limits.elements) return `${elements} elements are more than its limit of ${limits.elements}`;
  return null;
}

/** Whether core finds the kernel: it may still decline. */
function hasKernel(backend: Backend, name: KernelName): boolean {
  return isRequired(name) || backend.kernels?.[name] !== undefined;
}

/** The first dtype that a backend announces. @throws Error where it announces none */
export function firstDType({ name, supports }: Backend): FloatDType {
  const [dtype] = supports.dtypes;
  if (dtype === undefined) throw new Error(`supports.dtypes of ${name} is empty`);
  return dtype;
}

/** A case that is run fused and composed. */
export function defineCase(
  id: string,
  requires: Requirements,
  run: (backend: Backend) => Promise<void>,
  composable = true,
): ConformanceCase {
  return { id, section: id.slice(0, id.indexOf('/')), requires, composable, run };
}

/** A case about what fused kernels have no part in: storage, the basis, the three required kernels. */
export function defineKernelCase(
  id: string,
  requires: Requirements,
  run: (backend: Backend) => Promise<void>,
): ConformanceCase {
  return defineCase(id, requires, run, false);
}

/** The dtype as a parameter of a case's id; float32 goes without saying. */
export function dtypeSuffix(dtype: FloatDType): string {
  return dtype === 'float32' ? '' : `;dtype=${dtype}`;
}

/** The dtype as the only parameter of a case's id. */
export function dtypeOnly(dtype: FloatDType): string {
  return dtype === 'float32' ? '' : `:dtype=${dtype}`;
}

export const floatDTypes: readonly FloatDType[] = ['float32', 'float64', 'float16'];
