import type { LeftOut } from '../../../conformance.shared.js';
import { conforms } from './conforms.js';
import { nodeModes } from './node-modes.js';

// Mode cpu runs a selection of the whole suite, fused and composed. The other modes compile slowly, and composed operations consist of the basis's programs, of which every case runs.
const combined: readonly LeftOut[] = [
  {
    ids: /^(combinations|laws)\//,
    cases: 787,
    because:
      'mode cpu runs them in Node, and WGSL runs combinations in Chromium; other cases cover each kernel and each option',
  },
  {
    ids: /^row-groups\/many:/,
    cases: 16,
    because: 'there are no workgroups in WebAssembly; on GPUs, in Chromium, there are, and mode cpu runs them too',
  },
];
for (const mode of nodeModes) {
  if (mode === 'cpu') conforms('in Node', { mode, composed: true, covering: 537, composedCases: 87 });
  else
    conforms('in Node', {
      mode,
      composed: false,
      leftOut: combined,
      onePerProperty: 263,
      wholeSections: ['basis', 'jacobian'],
    });
}
