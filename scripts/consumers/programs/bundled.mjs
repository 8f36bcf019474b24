// The application that is bundled for a page and for Node.
import { compute } from './compute.mjs';

const result = compute();
globalThis.result = result;
if (typeof document === 'undefined') result.then((found) => console.log(JSON.stringify(found)));
