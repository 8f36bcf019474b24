// A page whose worker computes.
const worker = new Worker(new URL('./web-worker.mjs', import.meta.url), { type: 'module' });
globalThis.result = new Promise((resolve) => {
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => resolve({ error: `the worker failed: ${message}` });
});
