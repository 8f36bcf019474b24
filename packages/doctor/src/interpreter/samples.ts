import { lettersOf } from '../aliases.js';
import type { HostValues } from '../arrays.js';
import { at } from '../at.js';
import { layerJacobian } from '../derivatives.js';
import type { DiagnoseInput } from '../diagnosis.js';
import { byIndex } from '../numbers.js';
import { readProblem } from '../problem.js';
import { asPython, isOfNumbers } from './c-like.js';
import { built, CannotRun, type NdArray, scalar, transposed } from './nd-array.js';
import { runCode } from './program.js';

/** The numbers that code computes of a sample. */
export interface OfSample {
  readonly values: HostValues;
  /** The sample, as far as the code makes use of it. */
  readonly input: Omit<DiagnoseInput, 'gradient'>;
  readonly isOneRow: boolean;
  /** The shape of the probabilities. */
  readonly shape: readonly number[];
  /** What the sample was, in words. */
  readonly notes: readonly string[];
}

/** One way in which the names and shapes of code can be meant. */
interface Meaning {
  /** The shape of the logits: that of a batch, of one row, or of one row as a column. */
  readonly shape: readonly [number, number];
  readonly axis: number;
  /** True for arrays of one dimension: of one row, or of all rows one after the other. */
  readonly flat: boolean;
  /** True if the target is class indices. */
  readonly indices: boolean;
  /** True if y, or the one name that is not known, is that of the probabilities. */
  readonly renamed: boolean;
  /** True if the code is about the weights: where the input of their layer is an identity, their gradient is that of the logits. */
  readonly weights: boolean;
}

/** The meanings, the most likely first. Of code for one row, a batch would be a mistake of its own. */
function meaningsOf(axis: number, ofNumbers: boolean): readonly Meaning[] {
  const plain = { flat: false, indices: false, renamed: false, weights: false };
  const batch: Meaning = { ...plain, shape: axis === 0 ? [4, 5] : [5, 4], axis };
  const row: Meaning = { ...plain, shape: [1, 7], axis: -1, flat: true };
  const column: Meaning = { ...plain, shape: [7, 1], axis: 0 };
  const rowsInLine: Meaning = { ...batch, flat: true };
  const ofWeights: readonly Meaning[] = [
    { ...batch, weights: true },
    { ...plain, shape: [4, 5], axis: 0, weights: true },
  ];
  const withTargets = [batch, row, column, ...(ofNumbers && axis !== 0 ? [rowsInLine] : []), ...ofWeights].flatMap(
    (one) => [one, { ...one, indices: true }],
  );
  return [
    ...withTargets,
    ...[batch, row, column].map((one) => ({ ...one, renamed: true })),
    ...[batch, row].map((one) => ({ ...one, renamed: true, indices: true })),
  ];
}

const weightsOfLayer = /^(?:[Ww]\d?|weights?|[tT]heta)$/;
const inputOfLayer = /^(?:X\w*|A_?prev|inputs?)$/;
const penalty = /^(?:reg\w*|lambda\w*|lambd|lam|l2\w*|weight_?decay)$/;
const classCount = /^(?:f|[KCkc]|n(?:um)?_?(?:classes|labels|outputs)|cols|out(?:put)?_?(?:size|depth)|vocab_?size)$/i;
const rowCount = /^(?:rows|n(?:um)?_?rows|batch)$/i;
/** A constant that keeps a logarithm or a quotient finite. */
const guard = /^(?:eps(?:ilon)?|EPS)$/;
const temperatureName = /(?<![\w.])(?:T|tau|temp|temperature)(?!\w)/;
/** The size of a head of attention, whose square root is a temperature. */
const headSize = /(?<![\w.])(?:d_?k|d_?head|head_?(?:dim|size))(?!\w)(?!\s*=[^=])/i;
/** A library's cross-entropy, and the part of it that takes log-probabilities: another loss is not meant. */
const ofLogLikelihood = /nll_?loss|cross_?entropy/i;
/** What is passed to a softmax, or to exp. */
const passedToSoftmax =
  /(?<!\bdef\s+\w*)(softmax(?!\w*(?:deriv|grad|back|prime|jac))\w*|(?<![\w.])exp)\(\s*(\w+)\s*[,)[-]/gi;

/** Names that are no probabilities, whatever else they are. */
const otherName = /^d(?!ist)|grad|log/i;

type LetterOf = (name: string) => string | undefined;

/** True for a name of the gradient in the probabilities: dL_dp, and d_weights of weights that are a softmax. */
function isGradientOfOutput(name: string, code: string, letterOf: LetterOf): boolean {
  const [, loss, output = ''] = /^(d[LEC][a-z]*_?)?d_?(\w+)$/.exec(name) ?? [];
  const isSoftmax = new RegExp(`(?<![\\w.])${output} = (?:\\w+\\.)*softmax\\(`).test(code);
  return isSoftmax || (loss !== undefined && (output === 's' || letterOf(output) === 's'));
}

/** True for a name of the gradient in something that the code has by a name that is not known: gb of b, dL_ddist of dist. */
function isGradientOfUnknown(name: string, code: string, letterOf: LetterOf): boolean {
  const [, of] = /^(?:\w*_)?(?:d|g|grad_?)(\w+)$/.exec(name) ?? [];
  return of !== undefined && letterOf(of) === undefined && new RegExp(`(?<![\\w.])${of}(?!\\w)`).test(code);
}

/** Code of entries i and j, or a function of i and j, in the loops over all of them, if it is given without them. */
function inLoops(code: string): string {
  const [, name, list = ''] = /^\s*def (\w+)\(([^)]*\bi\b[^)]*)\)/m.exec(code) ?? [];
  if (name !== undefined && !/\bfor\b/.test(code)) {
    const parameters = list.split(',').map((one) => one.replace(/[=:].*/, '').trim());
    const ofLoops = parameters.filter((one) => one === 'i' || one === 'j');
    const loops = ofLoops.map((one, depth) => `${' '.repeat(depth)}for ${one} in range(f):`);
    const call = `derivative[${ofLoops.join(', ')}] = ${name}(${parameters.join(', ')})`;
    return [code, ...loops, ' '.repeat(loops.length) + call].join('\n');
  }
  const indices = ['i', 'j'].filter((name) => new RegExp(`\\[(?:[^\\]]*,)?\\s*${name}\\b`).test(code));
  if (indices.length === 0 || /\bfor\b/.test(code)) return code;
  const isExpression = !/(?<![=!<>])=(?!=)/.test(code);
  const body = isExpression ? `derivative[${indices.join(', ')}] = ${code.trim()}` : code;
  const loops = indices.map((name, depth) => `${' '.repeat(depth)}for ${name} in range(f):`);
  return [...loops, body.replace(/^/gm, ' '.repeat(indices.length))].join('\n');
}

/** Numbers without a pattern, and with all their digits. */
const noise = (k: number): number => 2 * Math.sin(7 * k * k + k + 1);

/** The class of each row, in no order that a shift, a reversal or another number of classes would leave as it is. */
const targetClasses = [2, 0, 3, 1, 0];

/** The step of the central differences that differentiate a loss. */
const step = 1e-4;

/** What code computes; of a loss, a single number, its derivatives by the logits. Null if it cannot be run. */
function derivativeOf(
  run: (logits: Float64Array) => NdArray,
  { shape, data }: { readonly shape: readonly number[]; readonly data: Float64Array },
): NdArray | null {
  try {
    const values = run(data);
    if (values.shape.length > 0) return values;
    const lossAt = (k: number, value: number) => Number(run(data.with(k, value)).data[0]);
    const slopes = Array.from(data, (value, k) => (lossAt(k, value + step) - lossAt(k, value - step)) / (2 * step));
    return { shape, data: slopes };
  } catch (error) {
    if (error instanceof CannotRun) return null;
    throw error;
  }
}

/**
 * What code computes of samples, for each way in which it can be meant and runs. Of code that computes a loss, a single number, these are its derivatives by
 * the logits, from differences.
 */
export function* samplesOf(source: string, input: Omit<DiagnoseInput, 'gradient'>): Generator<OfSample> {
  const code = asPython(source).replace(/#.*|"""[\s\S]*?"""|\b(?:self|this)\./g, '');
  const ofNumbers = isOfNumbers(source);
  const { axis = -1, reduction } = input;
  const layer = input.layer ?? (ofLogLikelihood.test(code) ? 'cross-entropy' : undefined);
  const hasTemperature = (temperatureName.test(code) && !/^\s*T\s*=/m.test(code)) || headSize.test(code);
  const temperature = input.temperature ?? (hasTemperature ? 2 : 1);
  const letterOf = lettersOf(code);
  const looped = inLoops(code);
  const isOfTarget = /\bdvalues\b/.test(code) && /\by_true\b/.test(code);
  // What is passed to a softmax are logits, unless its name says otherwise.
  const logitsNames = new Set(
    [...code.matchAll(passedToSoftmax)].flatMap(([, of = '', name = '']) => {
      // exp is applied to log-probabilities, too.
      if (of === 'exp' && letterOf(name) !== undefined) return [];
      const [, copied = name] = new RegExp(`^\\s*${name} = (\\w+)$`, 'm').exec(code) ?? [];
      return [name, copied];
    }),
  );
  for (const { shape, axis: classes, flat, indices, renamed, weights } of meaningsOf(axis, ofNumbers)) {
    const size = shape[0] * shape[1];
    const used = new Set<string>();
    const notes: string[] = [];
    const given = { axis: classes, layer, temperature };
    const logits = { shape, data: Float64Array.from({ length: size }, (_, k) => noise(k)) };
    const upstream = { shape, data: Float64Array.from({ length: size }, (_, k) => noise(k + size)) };
    const { n, f } = readProblem({ ...given, logits });
    const whole = flat ? [size] : shape;
    const labels = Array.from({ length: n }, (_, row) => (targetClasses[row] ?? 0) % f);

    const run = (data: Float64Array): NdArray => {
      const problem = readProblem({ ...given, logits: { shape, data } });
      const entryOfJ = byIndex(layerJacobian(problem).values);
      const asGiven = (values: Float64Array): NdArray => ({ shape: whole, data: [...values] });
      const ofRows = (valueAt: (k: number) => number): NdArray => {
        const rows = built([n, f], ([row = 0, i = 0]) => valueAt(row * f + i));
        if (flat) return { ...rows, shape: whole };
        return classes === 0 ? transposed(rows) : rows;
      };
      const ofLabels = (): NdArray => ({ shape: flat && n === 1 ? [] : [n], data: [...labels] });
      const identity = (rows: number) => built([rows, rows], ([i, j]) => Number(i === j));
      const variables: Readonly<Record<string, () => NdArray>> = {
        s: () => ofRows((k) => at(problem.s, k)),
        x: () => asGiven(data),
        g: () => asGiven(upstream.data),
        y: () => (indices ? ofLabels() : ofRows((k) => Number(labels[Math.floor(k / f)] === k % f))),
        // In code for one row, n is the number of its entries.
        n: () => scalar(n === 1 ? f : n),
        J: () => built(n === 1 ? [f, f] : [n, f, f], (index) => entryOfJ(index.reduce((k, i) => k * f + i, 0))),
        'exp(x)': () => asGiven(data.map(Math.exp)),
      };
      const zeros = (axes: number) => built([...whole, f, f].slice(0, Math.max(axes, whole.length)), () => 0);
      let unknown: string | undefined;
      const free = (name: string): NdArray | undefined => {
        const isInput = inputOfLayer.test(name) || new RegExp(`(?<![\\w.])${name}\\.T\\b`).test(code);
        if (weights && isInput) return identity(n);
        if (weights && weightsOfLayer.test(name)) return asGiven(data);
        if (weights && penalty.test(name)) return scalar(0);
        if (temperatureName.test(name)) return scalar(temperature);
        if (headSize.test(name)) return scalar(temperature ** 2);
        const own = letterOf(name) ?? name;
        const isOther = own !== 's' && Object.hasOwn(variables, own);
        const isLogits = logitsNames.has(name) && !isOther && !/^[sS]$|^p|prob|softmax/i.test(name);
        const letter = isLogits ? 'x' : own;
        // After a log-softmax, what exp is applied to are logarithms of the probabilities.
        if (letter === 's' && layer === 'log-softmax' && new RegExp(`exp\\(\\s*${name}\\s*\\)`).test(code)) {
          used.add(letter);
          return ofRows((k) => Math.log(at(problem.s, k)));
        }
        // Where a loss is passed the output of the layer before it as dvalues, as in a widespread book, that is s, and y remains the target.
        if (renamed && name === 'dvalues' && isOfTarget) {
          used.add('s');
          notes[1] = '`dvalues` is taken for the probabilities s.';
          return variables.s?.();
        }
        if (Object.hasOwn(variables, letter) && !(renamed && letter === 'y' && !indices && !isOfTarget)) {
          if (letter === 's' && unknown !== undefined) return undefined;
          used.add(letter);
          return variables[letter]?.();
        }
        if (classCount.test(name)) return scalar(f);
        if (rowCount.test(name) && !new RegExp(`(?<![\\w.])${name}[.[]|\\bin ${name}:|\\w\\(${name}\\)`).test(code))
          return scalar(n);
        // Beside a one-hot y, t is the class index.
        if (name === 't') {
          used.add('y');
          return ofLabels();
        }
        if (/^(?:dim|axis)$/.test(name)) return scalar(classes === 0 ? 0 : -1);
        if (guard.test(name)) return scalar(1e-12);
        if (name === 'I') return identity(f);
        // What entries are assigned to is no input.
        if (letterOf(name) === undefined && new RegExp(`^\\s*${name}\\[[^\\n]*\\] \\+?= `, 'm').test(code))
          return zeros(0);
        if (isGradientOfOutput(name, code, letterOf) || (renamed && isGradientOfUnknown(name, code, letterOf))) {
          used.add('g');
          return variables.g?.();
        }
        if (!renamed || used.has('s') || (unknown ?? name) !== name || otherName.test(name)) return undefined;
        if (unknown === undefined) notes[1] = `\`${name}\` is taken for the probabilities s.`;
        unknown = name;
        return variables.s?.();
      };
      // Only the probabilities are changed in place; other arrays whose definition is not part of the code begin as zeros.
      const initial = (name: string, axes: number) =>
        (letterOf(name) === 's' || name === 's' ? free(name) : undefined) ?? zeros(axes);
      return runCode(looped, free, initial, ofNumbers);
    };

    const values = derivativeOf(run, logits);
    if (!values) continue;
    const isOfNothing = renamed ? notes.length === 0 : ![...used].some((letter) => letter !== 'n');
    // Whole numbers are those of a condition, or of the target alone: they say nothing of a derivative.
    if (isOfNothing || values.data.every(Number.isInteger)) continue;
    const ofShape = n === 1 ? whole : shape;
    const rows = n === 1 ? 'one row' : flat ? 'a batch in one dimension' : 'a batch';
    notes[0] = `Found by running the code with made-up numbers, ${rows} of the shape (${ofShape.join(', ')})${classes === 0 && n > 1 ? ' with the classes along axis 0' : ''}.`;
    if (weights) notes.push('It is the gradient of the weights; what is judged is the gradient of the logits in it.');
    yield {
      // Rows one after the other are those of a batch.
      values: {
        shape: n > 1 && String(values.shape) === String(whole) ? shape : values.shape,
        data: Float64Array.from(values.data),
      },
      input: {
        ...given,
        // Of an array of one dimension, no other axis can be meant.
        logits: { ...logits, shape: ofShape },
        ...(used.has('g') ? { upstream: { ...upstream, shape: ofShape } } : {}),
        ...(used.has('y') ? { target: labels, reduction } : {}),
      },
      isOneRow: n === 1,
      shape: whole,
      notes: notes.filter(Boolean),
    };
  }
}
