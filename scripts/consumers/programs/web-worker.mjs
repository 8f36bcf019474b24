import { compute } from './compute.mjs';

compute().then(postMessage);
