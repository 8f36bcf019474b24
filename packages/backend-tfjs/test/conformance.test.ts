import { tfjs } from '../src/index.js';
import { runLazily } from '../src/verbs/lazy.js';
import { conforms } from './conforms.js';
import { backendWith } from './executed.js';
import { interpretedPrograms } from './interpreted.js';
import { known } from './supports.js';

/** More rows than a dispatch has workgroups. */
const manyRows = {
  ids: /^row-groups\/many:/,
  cases: 16,
  because: 'there are no workgroups in JavaScript; on engines webgpu and webgl, in Chromium, there are',
};

/** Combinations of options, which engine cpu runs with the same verbs. */
const combined = /^combinations\//;

// Composed operations run the verbs of the basis one by one. They are tested on engine cpu only.
conforms('cpu', 'engine cpu', () => tfjs.open({ engine: 'cpu' }), {
  ...known.cpu,
  composed: true,
  leftOut: [manyRows],
  covering: 539,
  composedCases: 87,
  wholeSections: ['storage'],
});
conforms('wasm', 'engine wasm', () => tfjs.open({ engine: 'wasm' }), {
  ...known.wasm,
  composed: false,
  leftOut: [
    {
      ids: /^laws\//,
      cases: 769,
      because:
        'relations between results of kernels that other cases run; engine cpu has each of them with the same kernels',
    },
  ],
  onePerProperty: 243,
  wholeSections: ['basis'],
  leftToAll: combined,
});

const interpreted = () =>
  backendWith('cpu', (_, instance) => ({
    execute: (targets, program) => runLazily(instance, interpretedPrograms(instance), targets, program),
  }));
conforms('cpu', 'programs as GPUs run them, interpreted,', interpreted, {
  ...known.cpu,
  composed: false,
  leftOut: [manyRows],
  onePerProperty: 265,
  wholeSections: ['basis'],
  leftToAll: combined,
});
