import type { LeftOut } from '../../../conformance.shared.js';
import { conforms } from './conforms.js';

// What takes the time here is to compile shaders, one a kernel and layout, not to run cases. What is composed is made of the same programs.

const everyMode: readonly LeftOut[] = [
  {
    ids: /^basis\/binary:op=(?!sub)\w+;operands=(?!same)/,
    cases: 35,
    because:
      'programs of the basis differ in an operator or in an index: those of one operator or of one index are left',
  },
  {
    ids: /^laws\//,
    cases: 590,
    because: 'laws relate results of kernels that other cases run; they hold in mode cpu in Node',
  },
];

// What one translator of gpu.js makes of a kernel, no other tells: WGSL's gets every kernel and its options in combination.
conforms('in Chromium', { mode: 'webgpu', composed: false, leftOut: everyMode });

// GLSL's gets every kernel and every way to index.
const inGlsl: readonly LeftOut[] = [
  ...everyMode,
  {
    ids: /^combinations\//,
    cases: 18,
    because: 'WGSL has them, and mode cpu in Node: the kernels are the same',
  },
  {
    ids: /^cross-entropy\/\w+:(?!.*(shape=1x40000|weight=classes;shape=7x5;axis=0))/,
    cases: 115,
    because:
      'options add the same terms to the kernel as in WGSL; each kind of target, weights, smoothing and a mask are left',
  },
  {
    ids: /\/lengths:(?!shape=(3x1\.\.8|3x51\.\.67|3x255\.\.257|1\.\.9x3|1023\.\.1025x3;axis=0|2x1\.\.9);)/,
    cases: 44,
    because: 'lengths are uniforms; those left are of one block and of several, along rows and along columns',
  },
];
conforms('in Chromium', { mode: 'webgl2', composed: false, leftOut: inGlsl });

// The translator into GLSL's older dialect derives from the other: it gets what the text of kernels is made of, whole-number division,
// rows in blocks, pivots and exp. Modes webasm and cpu are V8's here as in Node, where they run the suite.
conforms('in Chromium', {
  mode: 'webgl',
  composed: false,
  leftOut: [
    {
      ids: /^(?!(storage|vjp|jacobian|sigmoid|lifecycle)\/)/,
      cases: 1193,
      because: 'kernels of the same parts in the newer dialect',
    },
    {
      ids: /\/lengths:(?!shape=(3x1\.\.8|3x255\.\.257|1023\.\.1025x3;axis=0|2x1\.\.9);)/,
      cases: 29,
      because: 'lengths are uniforms; those left are of one block and of several, along rows and along columns',
    },
  ],
});
