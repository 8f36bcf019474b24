import '@tensorflow/tfjs-backend-cpu';
import { tfjs } from '../src/index.js';
import { conforms } from './conforms.js';
import { known } from './supports.js';

// Only a browser has these engines: they run the suite here. What is composed runs the basis's verbs one by one, and the section
// `basis` has every one of them.
for (const engine of ['webgl', 'webgpu'] as const) {
  conforms(engine, `engine ${engine}`, () => tfjs.open({ engine }), { ...known[engine], composed: false });
}

// Engine cpu is the same JavaScript as in Node. Engine wasm runs its build with threads here, which Node's does
// not: those of its kernels that share their work out are in these sections.
conforms('wasm', 'engine wasm', () => tfjs.open({ engine: 'wasm' }), {
  ...known.wasm,
  composed: false,
  only: ['softmax', 'jacobian', 'sigmoid', 'lifecycle'],
});
