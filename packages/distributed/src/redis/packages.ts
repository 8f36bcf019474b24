import { createRequire } from 'node:module';

// `require`, because `import` parses all of their CommonJS files for names of exports before it runs them, a fifth of a worker's start.
const require = createRequire(import.meta.url);

export const { DelayedError, FlowProducer, Queue, UnrecoverableError, Worker } =
  require('bullmq') as typeof import('bullmq');
export const { Redis } = require('ioredis') as typeof import('ioredis');
