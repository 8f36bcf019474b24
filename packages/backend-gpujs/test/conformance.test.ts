import type { LeftOut } from '../../../conformance.shared.js';
import { conforms } from './conforms.js';
import { nodeModes } from './node-modes.js';

// Mode cpu runs the whole suite, also composed. The others compile slowly: composed operations are the basis's programs in another order.
const combined: readonly LeftOut[] = [
  {
    ids: /^(combinations|laws)\//,
    cases: 608,
    because:
      'mode cpu has them in Node, and WGSL combinations in Chromium: other cases have each kernel and each option',
  },
];
for (const mode of nodeModes) {
  if (mode === 'cpu') conforms('in Node', { mode, composed: true });
  else conforms('in Node', { mode, composed: false, leftOut: combined });
}
