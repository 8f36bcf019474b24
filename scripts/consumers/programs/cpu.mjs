// Run by every runtime: the default backend of the package. Prints one line of JSON.
import { softmax } from 'softgrad';

const s = softmax([[1, 2, 3]]);
const dx = softmax.vjp(s, [[1, 0, 0]]);
const expected = 'Tensor (1, 3) float32 on cpu [[0.0819251, -0.022033, -0.059892]]';
if (String(dx) !== expected) throw new Error(`got ${dx}; expected ${expected}`);
console.log(JSON.stringify({ shown: 'computes' }));
