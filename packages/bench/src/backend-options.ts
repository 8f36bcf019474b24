import { SoftgradError } from '@softgrad/core';

/** A backend's name and the options for opening it. */
export interface BackendWithOptions {
  readonly name: string;
  readonly options?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The parts of a backend on a command line: `wasm`, `wasm:threads=2`, `gpujs:mode=webasm:kernels=8`. A value is a number (`threads=2`) or a
 * boolean (`relaxedSimd=false`) if it looks like one, otherwise a string.
 *
 * @throws ERR_VALUE for an option without a value
 */
export function parseBackend(text: string): BackendWithOptions {
  const [name = '', ...settings] = text.split(':');
  if (settings.length === 0) return { name };
  const options = settings.map((setting) => {
    const match = /^([A-Za-z]\w*)=(.+)$/.exec(setting);
    if (!match) throw new SoftgradError('ERR_VALUE', `backend '${text}': expected options like wasm:threads=2`);
    const [, key = '', value = ''] = match;
    if (value === 'true' || value === 'false') return [key, value === 'true'];
    return [key, Number.isNaN(Number(value)) ? value : Number(value)];
  });
  return { name, options: Object.fromEntries(options) };
}
