import { checkOptions, namesOf, registered, SoftgradError, shortened } from '@softgrad/core';
import { backendSource } from './backend-contender.js';
import { parseBackend } from './backend-options.js';
import type { ContenderSource } from './contender.js';
import { type BenchOp, benchOps, plainOps } from './ops.js';
import { peers } from './peers/all.js';
import {
  type BenchDType,
  type BenchShape,
  benchDTypes,
  jacobianShapes,
  outputSize,
  standardShapes,
  type Workload,
} from './workloads.js';

/** Which workloads to run, as strings; every option has a default. */
export interface WorkloadSelection {
  readonly ops?: readonly string[] | undefined;
  /** `4096x10` or `4096×10`. */
  readonly shapes?: readonly string[] | undefined;
  readonly dtypes?: readonly string[] | undefined;
  /** Small shapes only. */
  readonly quick?: boolean | undefined;
}

const selectionNames = namesOf<WorkloadSelection>({ ops: true, shapes: true, dtypes: true, quick: true });

/** The shapes of a quick run: few short rows, many short rows, rows that fit into the cache. */
const quickShapes: readonly BenchShape[] = [
  [64, 10],
  [4096, 10],
  [256, 1000],
];
const quickJacobianShapes: readonly BenchShape[] = [
  [4096, 10],
  [64, 128],
];

/**
 * Every op at every shape in every dtype. Defaults: `plainOps`, `standardShapes`, for the Jacobian `jacobianShapes`, and float32.
 *
 * @throws ERR_VALUE for an unknown op, dtype or option, and for a shape that is not written as rows and classes
 * @throws ERR_OUT_OF_MEMORY for a workload with more than 2³⁰ results
 * @example
 * selectWorkloads({ ops: ['softmax'], shapes: ['64x10'] }); // [{ op: 'softmax', shape: [64, 10], dtype: 'float32' }]
 */
export function selectWorkloads(selection: WorkloadSelection): readonly Workload[] {
  const { ops, shapes, dtypes, quick = false } = checkOptions('selectWorkloads', selection, selectionNames);
  const given = shapes?.map(parseShape);
  const wanted = (dtypes ?? ['float32']).map((name) => oneOf<BenchDType>('dtype', name, benchDTypes));
  return (ops ?? plainOps).flatMap((name) => {
    const op = oneOf<BenchOp>('op', name, benchOps);
    const [standard, few] = op === 'jacobian' ? [jacobianShapes, quickJacobianShapes] : [standardShapes, quickShapes];
    return (given ?? (quick ? few : standard)).flatMap((shape) => wanted.map((dtype) => ofSize({ op, shape, dtype })));
  });
}

/** No engine supports more: 4 GiB of float32. */
const mostElements = 2 ** 30;

function ofSize(workload: Workload): Workload {
  const size = outputSize(workload);
  if (size <= mostElements) return workload;
  const { op, shape } = workload;
  throw new SoftgradError(
    'ERR_OUT_OF_MEMORY',
    `${op} of shape ${shape.join('x')} has ${size} results; expected at most ${mostElements}`,
  );
}

/**
 * Backends by their registered names (core's `register`), followed by options for opening them (`wasm:threads=2`,
 * `gpujs:mode=webasm:kernels=8`), and peers by name. With `composed`, each backend is also included without its fused kernels.
 *
 * Nothing is opened: whether a contender can run is known after `open`.
 *
 * @throws ERR_VALUE for an unknown name, and for an option of a backend without a value or given twice
 * @example
 * const contenders = selectContenders(['cpu', 'wasm:threads=2'], ['naive']);
 * contenders.map(({ name }) => name); // ['cpu', 'wasm:threads=2', 'naive']
 */
export function selectContenders(
  backendNames: readonly string[],
  peerNames: readonly string[] = [],
  composed = false,
): readonly ContenderSource[] {
  const sources = backendNames.flatMap((text) => {
    const { name, options } = parseBackend(text);
    oneOf('backend', name, registered());
    const variant = { options, label: text };
    const fused = backendSource(name, variant);
    return composed ? [fused, backendSource(name, { ...variant, composed: true })] : [fused];
  });
  const chosen = peerNames.map((name) => oneOf('peer', name, Object.keys(peers)));
  return [...sources, ...chosen.flatMap((name) => peers[name] ?? [])];
}

function parseShape(text: string): BenchShape {
  const match = /^(\d+)[x×](\d+)$/.exec(text);
  const [rows, classes] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (rows > 0 && classes > 0) return [rows, classes];
  throw new SoftgradError('ERR_VALUE', `shape '${shortened(text)}': expected rows and classes, like 4096x10`);
}

function oneOf<T extends string>(what: string, name: string, known: readonly T[]): T {
  const found = known.find((candidate) => candidate === name);
  if (found !== undefined) return found;
  throw new SoftgradError('ERR_VALUE', `unknown ${what} '${shortened(name)}'; expected ${known.join(', ')}`);
}
