import { isSoftgradError, softmax, tensor } from '@softgrad/core';
import { tfjs } from '../../src/index.js';

/** What each engine does in this page: softmax of [0, 0], or the error's message. Without the engine that the address names. */
async function results(): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  const without = new URLSearchParams(location.search).get('without');
  for (const engine of ['webgl', 'webgpu', 'wasm', 'cpu'] as const) {
    if (engine === without) continue;
    try {
      const backend = await tfjs.open({ engine });
      outcomes[engine] = [...(await softmax(tensor([[0, 0]], { backend })).data())].join(' ');
    } catch (error) {
      outcomes[engine] = isSoftgradError(error) ? `${error.code} ${error.message}` : String(error);
    }
  }
  return outcomes;
}

Object.assign(globalThis, { results: results() });
