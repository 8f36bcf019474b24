import { conforms } from './conforms.js';

// What takes the time here is to compile shaders, one a kernel and layout, not to run cases. What one translator of gpu.js makes of a
// kernel, no other tells, so WGSL's and GLSL's get every kernel there is, and of the basis's 36 elementwise programs, which differ in
// an operator or in an index, those of one operator or of one index. What is composed is made of the same programs.
const everyKernel = /^(?!basis\/binary:op=(?!sub)\w+;operands=(?!same))/;
for (const mode of ['webgpu', 'webgl2'] as const) conforms('in Chromium', { mode, composed: false, only: everyKernel });

// The translator into GLSL's older dialect derives from the other: it gets what the text of kernels is made of, whole-number division,
// rows in blocks, pivots and exp. Modes webasm and cpu are V8's here as in Node, where they run the suite.
conforms('in Chromium', { mode: 'webgl', composed: false, only: /^(storage|vjp|jacobian|sigmoid|lifecycle)\// });
