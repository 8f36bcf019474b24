import { inject } from 'vitest';
import type { LeftOut } from '../../../conformance.shared.js';
import { testAccuracy } from '../../backend-tfjs/test/accuracy.js';
import { testFarTemperatures } from '../../backend-tfjs/test/far-temperatures.js';
import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { gpujs } from '../src/index.js';
import { conforms } from './conforms.js';
import { everywhere } from './everywhere.js';
import { testExp } from './exp.js';
import { farBounds, gpuBounds } from './gpu-bounds.js';
import { testPasses } from './passes.js';

/**
 * Properties that follow from core and from kernels that other cases run: which operands a call reads and changes, how many rows it takes, and that rows of one block may have any
 * length; rows of one block and of two are run.
 */
const repeated = [
  'combinations/|softmin/|row-groups/(certain|many)|extremes/(?!softmax-values|cross-entropy-gradient:target=probabilities)',
  '(softmax|vjp|jacobian|sigmoid|relu)/(input-unchanged|deterministic|symmetric|sizes)|(vjp|jacobian|basis)/many-rows',
  '(relu|sigmoid)/jacobian|jacobian/(nearly-one-hot|lengths)|cross-entropy/extreme-weights|\\w+/lengths:shape=3x1[.]',
];

/** One backend of a mode for all tests, in one file and so in one page: gpu.js is loaded, a device started and a kernel compiled once. */
const opened = {
  webgpu: openedOnce(() => gpujs.open({ mode: 'webgpu' })),
  webgl2: openedOnce(() => gpujs.open({ mode: 'webgl2' })),
  webgl: openedOnce(() => gpujs.open({ mode: 'webgl' })),
};

// Not webgl, which shares engine and storage with webgl2; nor webasm and cpu, which are tested in Node with the same engine.
for (const mode of ['webgpu', 'webgl2'] as const)
  everywhere(mode, opened[mode], mode === 'webgpu' || inject('everything'));
testPasses(opened.webgl2);

// The arithmetic of the kernels is the same text in WGSL, in GLSL and in Node, where all operations are measured: exp and the quotients show that each translator keeps to it, and
// `npm run test:all` measures the operations too.
for (const mode of ['webgpu', 'webgl2', 'webgl'] as const) {
  testExp(`mode ${mode}`, opened[mode], 2 ** 18);
  if (!inject('everything')) continue;
  testAccuracy(`mode ${mode}`, opened[mode], gpuBounds);
  testFarTemperatures(`mode ${mode}`, opened[mode], { float32: farBounds });
}

// The suite comes last, because it closes the backend. A kernel computes the same in every mode, once gpu.js has translated it: modes cpu and
// webasm run the suite in Node. In Chromium every translator has to run every kind of kernel, and most of the time is spent compiling them, one for each
// kernel and layout.

const everyMode: readonly LeftOut[] = [
  {
    ids: /^(combinations\/(?!(softmax-values|log-softmax-derivatives):set=finite)|laws\/)/,
    cases: 785,
    because:
      'combinations of options and relations between results, of kernels that other cases run; two keep masks that repeat',
  },
  {
    ids: /^[\w-]+\/(hvp|double-backward|diagonal|to-dense)\b|^(extremes|row-groups)\/.*(hvp|double-?backward|diagonal)/i,
    cases: 172,
    because: 'core composes them of kernels and of programs of the basis that other cases run',
  },
  {
    ids: /^basis\/binary:op=(?!sub)\w+;operands=(?!same)/,
    cases: 35,
    because: 'programs of the basis differ only in an operator or an index: one of each is run',
  },
  {
    ids: /\/lengths:(?!shape=(3x1\.\.8|3x255\.\.257|1\.\.9x3|1023\.\.1025x3;axis=0|2x1\.\.9);)/,
    cases: 80,
    because: 'lengths are uniforms; lengths of one block and of several are run, along rows and along columns',
  },
  {
    ids: /^row-groups\/(beside-nan|medium|short):/,
    cases: 16,
    because: 'an invocation computes one element, so that rows have nothing in common',
  },
];

// WGSL runs every kernel, along both axes and with a mask.
conforms('in Chromium', {
  mode: 'webgpu',
  backendOf: opened.webgpu,
  composed: false,
  leftOut: everyMode,
  onePerProperty: 84,
  leftToAll: new RegExp(`^(${repeated.join('|')})`),
});

// GLSL runs every kind of kernel and of index, and the loss and gradient of cross-entropy.
const inGlsl: readonly LeftOut[] = [
  ...everyMode,
  {
    ids: /^cross-entropy\/\w+:(?!.*(shape=1x40000|weight=classes;shape=7x5;axis=0|(nothing;reduction=none|zero);shape=7x5;axis=1;input=nan))/,
    cases: 102,
    because:
      'options add the same terms to the kernel as in WGSL; each kind of target, weights, smoothing and a mask are run',
  },
  {
    ids: /^combinations\//,
    cases: 2,
    because: 'WGSL runs them with the same kernels',
  },
  {
    ids: /^softmin\/(?!values:shape=7x5;axis=0)|shape=1x1000;/,
    cases: 47,
    because: 'the sign of a temperature and the number of classes are arguments of kernels that other cases run',
  },
];

/** Kernels along the other axis and with other options, which WGSL runs: the kind of index is the same text in every kernel, and cross-entropy and mode webgl have both here. */
const sameInWgsl = [
  'extremes/|softmax/.*axis=0|cross-entropy/one-loss|log-softmax/j',
  'log-sum-exp/(vjp|jvp)|relu/(?!values)|basis/in-place',
];

conforms('in Chromium', {
  mode: 'webgl2',
  backendOf: opened.webgl2,
  composed: false,
  leftOut: inGlsl,
  onePerProperty: 71,
  leftToAll: new RegExp(`^(${[...repeated, ...sameInWgsl].join('|')})`),
});

// The translator for WebGL 1's GLSL derives from the other one: it runs the building blocks of kernels, which are integer division,
// rows in blocks, pivots and exp.
conforms('in Chromium', {
  mode: 'webgl',
  backendOf: opened.webgl,
  composed: false,
  leftOut: [
    {
      ids: /^(?!(storage|vjp|jacobian|sigmoid|lifecycle)\/)/,
      cases: 1570,
      because: "WebGL 2's GLSL runs kernels of the same building blocks",
    },
    {
      ids: /\/lengths:(?!shape=(3x1\.\.8|3x255\.\.257|1023\.\.1025x3;axis=0|2x1\.\.9);)|\/(diagonal|to-dense|hvp):|shape=1x1000;/,
      cases: 58,
      because:
        'composed of kernels that other cases run; lengths are uniforms, and those of one block and of several are run',
    },
  ],
  onePerProperty: 26,
  // Of vjp, columns, whose index is divided.
  leftToAll: /^vjp\/(?!values:shape=7x5;axis=0)|^jacobian\/(?!values)|^sigmoid\/(?!values)/,
});
