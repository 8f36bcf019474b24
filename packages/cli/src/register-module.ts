import { registerBackends } from 'softgrad/backends';
import { registerModule } from './module.js';

// A measuring process of `softgrad bench --module FILE` imports this module with `?file=FILE` before it opens backends by name.

const file = new URL(import.meta.url).searchParams.get('file');
if (file === null) throw new Error('expected ?file= in the URL of this module');
registerBackends();
await registerModule(file, { onIdle: () => () => {} });
