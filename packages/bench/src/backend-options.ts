import { SoftgradError, shortened } from '@softgrad/core';

/** A backend's name and the options for opening it. */
export interface BackendWithOptions {
  readonly name: string;
  /** Undefined without any. */
  readonly options: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The parts of a backend on a command line: `wasm`, `wasm:threads=2`, `gpujs:mode=webasm:kernels=8`. A value is a number (`threads=2`) or a
 * boolean (`relaxedSimd=false`) if it looks like one, otherwise a string.
 *
 * @throws ERR_VALUE for an option without a value
 */
export function parseBackend(text: string): BackendWithOptions {
  const [name = '', ...settings] = text.split(':');
  const options = settings.map((setting) => {
    const [, key = '', value = ''] = /^([A-Za-z]\w*)=(.+)$/.exec(setting) ?? [];
    if (key === '')
      throw new SoftgradError('ERR_VALUE', `backend '${shortened(text)}': expected options like wasm:threads=2`);
    if (value === 'true' || value === 'false') return [key, value === 'true'];
    return [key, Number.isNaN(Number(value)) ? value : Number(value)];
  });
  return { name, options: options[0] && Object.fromEntries(options) };
}
