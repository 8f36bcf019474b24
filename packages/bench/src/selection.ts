import { type FloatDType, SoftgradError } from '@softgrad/core';
import { backendSource } from './backend-contender.js';
import { backends } from './backends.js';
import type { ContenderSource } from './contender.js';
import { peers } from './peers.js';
import { type BenchOp, type BenchShape, benchOps, jacobianShapes, standardShapes, type Workload } from './workloads.js';

/** What to run, in words; everything has a default. */
export interface Selection {
  readonly ops?: readonly string[] | undefined;
  /** `4096x10` or `4096×10`. */
  readonly shapes?: readonly string[] | undefined;
  readonly dtypes?: readonly FloatDType[] | undefined;
  /** Small shapes only. */
  readonly quick?: boolean | undefined;
}

/** The shapes of a quick run: one short row, many short ones, rows in cache. */
const quickShapes: readonly BenchShape[] = [
  [64, 10],
  [4096, 10],
  [256, 1000],
];
const quickJacobianShapes: readonly BenchShape[] = [
  [4096, 10],
  [64, 128],
];

/** Every op at every shape in every dtype; the Jacobian at shapes of its own unless shapes are given. @throws ERR_VALUE */
export function selectWorkloads({ ops, shapes, dtypes = ['float32'], quick = false }: Selection): readonly Workload[] {
  const given = shapes?.map(parseShape);
  return (ops ?? benchOps).map(parseOp).flatMap((op) => {
    const standard = op === 'jacobian' ? [jacobianShapes, quickJacobianShapes] : [standardShapes, quickShapes];
    return (given ?? standard[quick ? 1 : 0]).flatMap((shape) => dtypes.map((dtype) => ({ op, shape, dtype })));
  });
}

/** Backends, each fused and if asked for composed, and peers. @throws ERR_VALUE for an unknown name */
export function selectContenders(
  backendNames: readonly string[],
  peerNames: readonly string[],
  composed = false,
): readonly ContenderSource[] {
  const sources = backendNames.flatMap((name) => {
    if (!(name in backends)) throw unknown('backend', name, Object.keys(backends));
    return composed ? [backendSource(name), backendSource(name, true)] : [backendSource(name)];
  });
  return [
    ...sources,
    ...peerNames.map((name) => {
      if (!(name in peers)) throw unknown('peer', name, Object.keys(peers));
      return peers[name];
    }),
  ];
}

function parseOp(name: string): BenchOp {
  const op = benchOps.find((known) => known === name);
  if (op === undefined) throw unknown('op', name, benchOps);
  return op;
}

function parseShape(text: string): BenchShape {
  const match = /^(\d+)[x×](\d+)$/.exec(text);
  const [rows, classes] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (rows > 0 && classes > 0) return [rows, classes];
  throw new SoftgradError('ERR_VALUE', `shape '${text}': expected rows and classes, like 4096x10`);
}

function unknown(what: string, name: string, known: readonly string[]): SoftgradError {
  return new SoftgradError('ERR_VALUE', `there is no ${what} '${name}'; expected ${known.join(', ')}`);
}
