import '@tensorflow/tfjs-backend-cpu';
import type { LeftOut } from '../../../conformance.shared.js';
import { tfjs } from '../src/index.js';
import { conforms } from './conforms.js';
import { known } from './supports.js';

const interpreted = 'an operation is the same program as in Node, where an interpreter runs it';

/** Only the shading language, the loop over a window and the indexing of elements depend on the GPU engine. */
const leftOut: readonly LeftOut[] = [
  { ids: /^(combinations|laws|softmin|relu)\//, cases: 898, because: interpreted },
  {
    ids: /^[\w-]+\/(hvp|double-backward|diagonal|to-dense)\b|^(extremes|row-groups)\/.*(hvp|double-?backward|diagonal)/i,
    cases: 138,
    because: `${interpreted}; core composes these from others that are run`,
  },
  {
    ids: /^cross-entropy\/\w+:(?!.*(shape=1x40000|weight=classes;shape=7x5;axis=0|(nothing;reduction=none|zero);shape=7x5;axis=1;input=nan))/,
    cases: 102,
    because: `${interpreted}; these keep each kind of target, weights, smoothing and many classes`,
  },
  {
    ids: /\/lengths:(?!shape=(3x1\.\.8|3x51\.\.67|3x1023\.\.1025|1\.\.9x3|2x1\.\.9);)|shape=1x1000;/,
    cases: 81,
    because:
      'a program takes its sizes as uniforms; these keep one window, its longest length of 64, and several windows',
  },
  {
    ids: /^row-groups\/(beside-nan|medium|short):/,
    cases: 16,
    because: `${interpreted}; an invocation computes one element, so that rows have nothing in common`,
  },
];

/**
 * Compositions of the same operations of the shading language, and properties that follow from them. Its own ranges are tested with `extremes/softmax-values`, temperatures at the
 * ends of the range, masks and losses near 0, a number of elements above that of workgroups with softmax, and rows of one window and of two.
 */
const leftToAll = new RegExp(
  [
    '^extremes/(?!softmax-values)',
    '^row-groups/',
    '^cross-entropy/(one-loss|extreme-weights|one-pass|nothing-counted|jvp)',
    '^(vjp|jacobian|basis)/many-rows',
    '^(vjp|jacobian|sigmoid|softmax)/(input-unchanged|deterministic|symmetric|sizes|sums|not-a-softmax)',
    '^(sigmoid|jacobian)/(jvp|jacobian|lengths|nearly)|^log-softmax/j',
    '/lengths:shape=3x1[.]',
  ].join('|'),
);

export function testConformance(): void {
  // Only a browser has these engines. Composed operations run the verbs of the basis one by one, and the section `basis` tests each of them.
  for (const [engine, count] of [
    ['webgl', 71],
    ['webgpu', 69],
  ] as const) {
    conforms(engine, `engine ${engine}`, () => tfjs.open({ engine }), {
      ...known[engine],
      composed: false,
      leftOut,
      onePerProperty: count,
      leftToAll,
    });
  }

  // Engine cpu is the same JavaScript as in Node. Engine wasm uses a build with threads, which Node does not.
  conforms('wasm', 'engine wasm', () => tfjs.open({ engine: 'wasm' }), {
    ...known.wasm,
    composed: false,
    leftOut: [
      {
        ids: /^(?!(jacobian|vjp|basis|lifecycle)\/)/,
        cases: 1531,
        because: 'the kernels of tfjs that share their work between threads are in the sections that are left',
      },
    ],
    onePerProperty: 29,
  });
}
