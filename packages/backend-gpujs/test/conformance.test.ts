import { conforms } from './conforms.js';
import { nodeModes } from './node-modes.js';

// Composed operations are the basis's programs in another order: those of mode cpu stand for the others, which compile slowly.
for (const mode of nodeModes) conforms('in Node', { mode, composed: mode === 'cpu' });
