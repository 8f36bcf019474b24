import { uniform } from '../random.js';
import { type BenchDType, type FloatArray, floatArray } from '../workloads.js';

/** What the target of a cross-entropy is: class indices, the same with `labelSmoothing`, or probabilities. */
export type TargetKind = 'indices' | 'smoothed' | 'probabilities';

/** `labelSmoothing` of the inputs with smoothed targets. */
export const smoothing = 0.1;

/** What the errors of an op are measured on. */
export interface AccuracyInput {
  /** In words: `±20`, `nearly one-hot`. */
  readonly name: string;
  readonly classes: number;
  readonly temperature: number;
  /** Whether two of three entries are kept by a mask, rather than all. */
  readonly masked: boolean;
  /** Whether competitors, which have no temperature and no mask, are measured too. */
  readonly plain: boolean;
  /** Whether ops are measured on it that have few inputs for rows of more than 1000 classes. */
  readonly isForAll: boolean;
  /** Of ops that take a target. Others are measured on the inputs with indices alone. */
  readonly target: TargetKind;
  /** Whether the logits are around 0, where functions of single entries differ from constants. */
  readonly around0: boolean;
  /** A logit of a row, before it is rounded to the dtype. */
  logit(row: number, column: number, random: () => number): number;
}

/** Classes of a row by default; the last is measured on fewer inputs. */
export const standardClasses: readonly number[] = [1, 2, 3, 10, 17, 128, 1000, 32_000, 128_256, 10_000_000];

/** Logits uniform in `offset ± range`. */
const uniformLogits = [
  { name: '±1', range: 1, offset: 0 },
  { name: '±20', range: 20, offset: 0 },
  { name: '±80', range: 80, offset: 0 },
  { name: '1e4 ± 8', range: 8, offset: 1e4 },
  { name: '1e6 ± 8', range: 8, offset: 1e6 },
] as const;

const temperatures = [0.01, 0.5, 2.87, 100] as const;

/** Rows up to this length are measured with everything; longer ones with uniform logits. */
const longestDetailed = 1000;
/** Longer rows repeat their entries, and one input has to do. */
const longestVaried = 2 ** 18;

/** The inputs that have other targets than indices, too; of rows that are longer, the first alone. */
const withOtherTargets = ['±20', '±1', '1e4 ± 8', 'nearly one-hot', '±20 T, T = 2.87', '±20, masked'];

const otherTargets = { smoothed: 'smoothed target', probabilities: 'soft target' } as const;

/** The inputs for rows of these lengths. */
export function accuracyInputs(classes: readonly number[] = standardClasses): readonly AccuracyInput[] {
  return classes.flatMap((f) => {
    if (f > longestVaried) return [{ ...plainOf(f), name: '±8', logit: within(8) }];
    const uniformInputs = uniformLogits.map(({ name, range, offset }) => ({
      ...plainOf(f),
      name,
      around0: offset === 0,
      isForAll: f <= longestDetailed || (offset === 0 && range <= 20),
      logit: within(range, offset),
    }));
    if (f === 1) return uniformInputs;
    const isDetailed = f <= longestDetailed;
    const inputs = isDetailed ? [...uniformInputs, ...detailed(f)] : uniformInputs;
    const repeated = withOtherTargets.slice(0, isDetailed ? undefined : 1);
    return [
      ...inputs,
      ...repeated.flatMap((name) => inputs.filter((one) => one.name === name).flatMap(ofOtherTargets)),
    ];
  });
}

function plainOf(classes: number) {
  return {
    classes,
    temperature: 1,
    masked: false,
    plain: true,
    around0: true,
    isForAll: true,
    target: 'indices',
  } as const;
}

/** The same input with the other kinds of targets, which competitors do not take. */
function ofOtherTargets(input: AccuracyInput): readonly AccuracyInput[] {
  return (['smoothed', 'probabilities'] as const).map((target) => ({
    ...input,
    name: `${input.name}, ${otherTargets[target]}`,
    plain: false,
    target,
  }));
}

function detailed(classes: number): readonly AccuracyInput[] {
  const plain = { ...plainOf(classes), around0: false };
  return [
    { ...plain, name: 'nearly one-hot', logit: nearlyOneHot(classes) },
    ...temperatures.map((temperature) => ({
      ...plain,
      plain: false,
      temperature,
      name: `±20 T, T = ${temperature}`,
      logit: within(20 * temperature),
    })),
    { ...plain, plain: false, masked: true, name: '±20, masked', logit: within(20) },
  ];
}

function within(range: number, offset = 0): AccuracyInput['logit'] {
  return (_row, _column, random) => offset + range * (2 * random() - 1);
}

/** 1 − s of the largest probability is about 2⁻¹ in the first row, 2⁻⁶ in the second, and so on to 2⁻⁶¹. */
function nearlyOneHot(classes: number): AccuracyInput['logit'] {
  return (row, column, random) => {
    if (column === row % classes) return 0;
    return -Math.LN2 * (1 + 5 * (row % 13)) - Math.log(classes - 1) - random() / 2;
  };
}

/** Numbers of an input on the host, rows × period entries of the dtype; a row of the input is its `period` entries, `repeats` times. */
export interface AccuracyData {
  readonly rows: number;
  readonly period: number;
  readonly repeats: number;
  readonly logits: FloatArray;
  /** Multiples of 2⁻²⁰ in ±1, whose sums over a row are exact in float64: cotangents, or tangents of a first derivative. */
  readonly directions: FloatArray;
  /** The same for a second direction: tangents of a second derivative, or what is upstream of the vjp. */
  readonly tangents: FloatArray;
  /** One cotangent for each row: multiples of 2⁻²⁰ in ±1. */
  readonly rowCotangents: FloatArray;
  /** 1 = keep; null keeps all. */
  readonly mask: Uint8Array | null;
  /** Class indices. */
  readonly target: Int32Array;
  /** Targets that are probabilities, a row of them adding up to 1 as far as the dtype allows. */
  readonly softTarget: FloatArray;
}

/** Numbers for about `results` results of an op with `outputs` results per entry. */
export function accuracyData(
  { classes, masked, logit }: AccuracyInput,
  dtype: BenchDType,
  results: number,
): AccuracyData {
  const repeats = repeatsOf(classes);
  const period = classes / repeats;
  const rows = repeats > 1 ? 1 : Math.ceil(results / classes);
  const random = uniform(classes);
  const logits = floatArray(dtype, rows * period);
  const directions = floatArray(dtype, rows * period);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < period; column++) {
      logits[row * period + column] = logit(row, column, random);
      directions[row * period + column] = directionOf(random);
    }
  }
  const more = uniform(classes + 1);
  const tangents = floatArray(dtype, rows * period).map(() => directionOf(more));
  const rowCotangents = floatArray(dtype, rows).map(() => directionOf(more));
  const mask = masked ? Uint8Array.from(logits, (_, k) => (k % 3 === 1 ? 0 : 1)) : null;
  const target = targetsOf(logits, mask, period);
  const softTarget = softTargets(floatArray(dtype, rows * period), period, more);
  return { rows, period, repeats, logits, directions, tangents, rowCotangents, mask, target, softTarget };
}

function directionOf(random: () => number): number {
  return Math.round((2 * random() - 1) * 2 ** 20) / 2 ** 20;
}

/** Fills `into` with probabilities of different sizes, in every third row the same for all, whose sum has the same rounding error at many steps. */
function softTargets(into: FloatArray, period: number, random: () => number): FloatArray {
  for (let start = 0; start < into.length; start += period) {
    const shares = Array.from({ length: period }, () => (start % (3 * period) === 2 * period ? 1 : random() ** 3));
    const sum = shares.reduce((total, share) => total + share, 0);
    into.set(
      shares.map((share) => share / sum),
      start,
    );
  }
  return into;
}

/**
 * How often a row of so many classes repeats its entries: 1, or for very long rows the largest power of two up to 2¹³ that divides them. The
 * double-double reference of the repeated row then is that of the entries, scaled by a power of two, which is exact.
 */
export function repeatsOf(classes: number): number {
  if (classes <= longestVaried) return 1;
  let repeats = 1;
  while (repeats < 2 ** 13 && classes % (2 * repeats) === 0) repeats *= 2;
  return repeats;
}

/** The largest logit that is kept in every second row, which is then a confident one, and any other that is kept. */
function targetsOf(logits: FloatArray, mask: Uint8Array | null, period: number): Int32Array {
  return Int32Array.from({ length: logits.length / period }, (_, row) => {
    const kept = [...logits.subarray(row * period, (row + 1) * period)]
      .map((logit, c) => ({ logit, c }))
      .filter(({ c }) => mask?.[row * period + c] !== 0);
    const any = kept[(row * 7) % kept.length]?.c ?? 0;
    return row % 2 === 0 ? kept.reduce((best, one) => (one.logit > best.logit ? one : best)).c : any;
  });
}
