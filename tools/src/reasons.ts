import {
  type BenchOp,
  type BenchReport,
  type BenchShape,
  type ContenderResult,
  formatMs,
  timing,
  type WorkloadResult,
} from '@softgrad/bench';
import { plainWasm, relaxedWasm } from './names.js';
import type { Studies } from './studies.js';
import { find, select, shapeText, type Target } from './targets.js';

/** Why a target is missed: what bounds the time, by the measurements of the page, and what was tried without gain. */
interface Reason {
  /** The targets that it explains, by their beginning without the build. */
  readonly of: readonly string[];
  readonly text: (studies: Studies) => string;
}

/** The missed targets with what bounds them; a target that nothing explains here is listed without a reason. */
export function reasonsOf(studies: Studies, targets: readonly Target[]): readonly string[] {
  const missed = targets.filter(({ met }) => met === false).map(({ what }) => what.replace(/^(wasm) \(.*?\)/, '$1'));
  const isOf = (what: string) => (beginning: string) => what.startsWith(beginning);
  const given = reasons.filter(({ of }) => missed.some((what) => of.some(isOf(what))));
  const open = missed.filter((what) => !reasons.some(({ of }) => of.some(isOf(what))));
  return [
    ...given.map(({ text }) => `- ${text(studies)}`),
    ...[...new Set(open)].map((what) => `- ${what}: the reason is not known.`),
  ];
}

const long: BenchShape = [1024, 1000];
const short: BenchShape = [64, 10];

const reasons: readonly Reason[] = [
  {
    of: [
      'wasm softmax over onnxruntime-node (native code)',
      'wasm softmax: share',
      'wasm softmax over onnxruntime-web',
      'wasm softmax over jax',
      'wasm softmax over tfjs-wasm, both',
    ],
    text: ({ softmax }) => {
      const result = resultAt(softmax, 'softmax', long);
      const [plain, relaxed] = [
        share(roofMs(result, 'a SIMD loop'), reusedMs(result, plainWasm)),
        share(roofMs(result, 'a relaxed SIMD loop'), reusedMs(result, relaxedWasm)),
      ];
      return `**Long rows**: a loop that computes exp and nothing else, less exactly, takes ${plain} of the softmax of ${shapeText(long)} in plain SIMD, and ${relaxed} in relaxed SIMD. The rest is the maximum, the sum in float64 and a multiplication by a factor in two parts, without which the errors are those of the other libraries (see Accuracy). onnxruntime-node computes with vectors of the processor, which are two to four times as wide as those of WebAssembly. Tried without gain: the sum or the maximum in the loop of exp, Estrin's scheme, six vectors at a time; a polynomial of one degree less misses the accuracy.`;
    },
  },
  {
    of: [
      'wasm softmax over tfjs-wasm, both',
      'wasm softmax over tfjs-cpu',
      'wasm softmax over onnxruntime-node, one thread',
    ],
    text: ({ softmax }) => {
      const result = resultAt(softmax, 'softmax', short);
      const call = timing(lineOf(result, plainWasm)?.emptyCall ?? [])?.medianMs;
      const theirs = lineOf(result, 'tfjs-wasm')?.timings.allocating?.medianMs;
      return `**Short rows**: a call of wasm with a single number takes ${formatMs(call)}. The whole call of tfjs-wasm takes ${formatMs(theirs)} at ${shapeText(short)}; a sixth of that is ${formatMs(theirs === undefined ? undefined : theirs / 6)}.`;
    },
  },
  {
    of: ['wasm softmax over tfjs-wasm, from host', 'wasm softmax over onnxruntime-node, from host'],
    text: ({ softmax }) => {
      const result = resultAt(softmax, 'softmax', long);
      const line = lineOf(result, plainWasm);
      const [whole, alone] = [line?.timings.endToEnd?.medianMs, line?.timings.reused?.medianMs];
      const copying = whole === undefined || alone === undefined ? undefined : whole - alone;
      return `**From host data to host data**: copying in and out takes ${formatMs(copying)} at ${shapeText(long)}, where a memcpy into memory that is in use already takes ${formatMs(roofMs(result, 'engine'))}: \`data()\` gives a new array, for which the system has to map pages. \`tensor.view()\` reads and fills a tensor without any copy.`;
    },
  },
  {
    of: ['wasm vjp'],
    text: () =>
      '**vjp**: four vectors are loaded for one that is stored, two of them a second time, after ⟨s, g⟩ is known; a memcpy loads one for each that it stores, and copies with wider vectors. Tried without gain: several rows at a time, and ⟨s, g⟩ of the next row in the same loop.',
  },
  {
    of: ['wasm Jacobian'],
    text: () =>
      '**Jacobian of short rows**: matrices of 3 × 3 have 9 numbers, so that most vectors span two of their rows or two matrices: four vector instructions for each that is stored, where a fill stores the same vector again and again. At ten classes it is a multiplication and a store, and a third of that again for the diagonal. Tried without gain: rows of three that overlap, halves of vectors stored instead of put together, and blends instead of shuffles.',
  },
  {
    of: ['wasm crossEntropy (loss and gradient): time over that of softmax'],
    text: () =>
      '**crossEntropy of short rows**: of few rows, the call itself counts: two results instead of one, and a target. Of many, a row takes the share of its class, a logarithm, and a number read and written at the place of its class: at three classes that is as much work as the softmax. Tried without gain: the classes of four rows in registers, and the share in the loop of the losses or of the divisions, whose chain is then too long.',
  },
  {
    of: ['wasm softmax with a'],
    text: () =>
      '**Masks on short rows**: each call checks and lays out an operand more, which takes about as long as a plain call of few numbers, and two passes are added: masked logits are replaced by one that is kept before the exponentials, and their exponentials by 0 before the sums.',
  },
  {
    of: ['wasm crossEntropy (loss and gradient) with label smoothing'],
    text: () =>
      '**Label smoothing on short rows**: a class index takes one number of a row for the loss and changes one of the gradient, so that short rows are computed like those of softmax, along the memory; a smoothed target has a weight for each class, and four rows at a time are shuffled into lanes and back.',
  },
  {
    of: ['wasm softmax in float64'],
    text: ({ softmax, float64 }) => {
      const [single, double] = [
        resultAt(softmax, 'softmax', long),
        select(float64, { op: 'softmax', dtype: 'float64' }).find(isAt(long)),
      ];
      const [plain, relaxed] = ['a SIMD loop', 'a relaxed SIMD loop'].map((from) =>
        times(roofMs(double, from), roofMs(single, from)),
      );
      return `**float64**: a loop that computes exp and nothing else takes ${plain} (SIMD) and ${relaxed} (relaxed SIMD) as long in float64 as in float32: a vector has half as many numbers, and the polynomial twice as many terms.`;
    },
  },
];

function isAt([rows, classes]: BenchShape) {
  return ({ workload: { shape } }: WorkloadResult) => shape[0] === rows && shape[1] === classes;
}

function resultAt(report: BenchReport, op: BenchOp, shape: BenchShape): WorkloadResult | undefined {
  return select(report, { op }).find(isAt(shape));
}

function lineOf(result: WorkloadResult | undefined, contender: string): ContenderResult | undefined {
  return result && find(result, contender);
}

function reusedMs(result: WorkloadResult | undefined, contender: string): number | undefined {
  return lineOf(result, contender)?.timings.reused?.medianMs;
}

function roofMs(result: WorkloadResult | undefined, from: string): number | undefined {
  const roof = result?.roofs.find((one) => one.from === from && one.name === (from === 'engine' ? 'memcpy' : 'exp'));
  return timing(roof?.samples ?? [])?.medianMs;
}

function share(part: number | undefined, whole: number | undefined): string {
  return part === undefined || whole === undefined ? 'an unmeasured share' : `${((100 * part) / whole).toFixed(0)} %`;
}

function times(of: number | undefined, over: number | undefined): string {
  return of === undefined || over === undefined ? 'an unmeasured number of times' : `${(of / over).toFixed(1)} times`;
}
