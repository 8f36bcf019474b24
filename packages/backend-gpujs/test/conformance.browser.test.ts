import type { LeftOut } from '../../../conformance.shared.js';
import { conforms } from './conforms.js';

// Most of the time is spent compiling shaders, one per kernel and layout, not running cases. Composed operations consist of the same programs.

const everyMode: readonly LeftOut[] = [
  {
    ids: /^basis\/binary:op=(?!sub)\w+;operands=(?!same)/,
    cases: 35,
    because: 'programs of the basis differ only in an operator or an index: one of each is run',
  },
  {
    ids: /^laws\//,
    cases: 663,
    because: 'laws relate results of kernels that other cases run; mode cpu runs them in Node',
  },
];

// Each translator of gpu.js has to be tested by itself: the one for WGSL runs every kernel with combinations of its options.
conforms('in Chromium', { mode: 'webgpu', composed: false, leftOut: everyMode });

// The one for GLSL runs every kernel and every kind of index.
const inGlsl: readonly LeftOut[] = [
  ...everyMode,
  {
    ids: /^combinations\//,
    cases: 18,
    because: 'WGSL and mode cpu in Node run them with the same kernels',
  },
  {
    ids: /^cross-entropy\/\w+:(?!.*(shape=1x40000|weight=classes;shape=7x5;axis=0))/,
    cases: 115,
    because:
      'options add the same terms to the kernel as in WGSL; each kind of target, weights, smoothing and a mask are run',
  },
  {
    ids: /\/lengths:(?!shape=(3x1\.\.8|3x51\.\.67|3x255\.\.257|1\.\.9x3|1023\.\.1025x3;axis=0|2x1\.\.9);)/,
    cases: 44,
    because: 'lengths are uniforms; lengths of one block and of several are run, along rows and along columns',
  },
];
conforms('in Chromium', { mode: 'webgl2', composed: false, leftOut: inGlsl });

// The translator for WebGL 1's GLSL derives from the other one: it runs the building blocks of kernels, which are integer division,
// rows in blocks, pivots and exp. Modes webasm and cpu run the suite in Node, which has the same engine.
conforms('in Chromium', {
  mode: 'webgl',
  composed: false,
  leftOut: [
    {
      ids: /^(?!(storage|vjp|jacobian|sigmoid|lifecycle)\/)/,
      cases: 1329,
      because: "WebGL 2's GLSL runs kernels of the same building blocks",
    },
    {
      ids: /\/lengths:(?!shape=(3x1\.\.8|3x255\.\.257|1023\.\.1025x3;axis=0|2x1\.\.9);)/,
      cases: 29,
      because: 'lengths are uniforms; lengths of one block and of several are run, along rows and along columns',
    },
  ],
});
