import { isSoftgradError, softmax, tensor } from '@softgrad/core';
import { tfjs } from '../../src/index.js';

/** The softmax of [0, 0] on each engine in this page, or the error message, without the engines named in the URL. */
async function results(): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  const without = new URLSearchParams(location.search).get('without')?.split(',') ?? [];
  for (const engine of ['webgl', 'webgpu', 'wasm', 'cpu'] as const) {
    if (without.includes(engine)) continue;
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
