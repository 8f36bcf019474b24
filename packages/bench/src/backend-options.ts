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
 * @throws ERR_VALUE for an option without a value, and for one that is given twice
 * @example
 * parseBackend('wasm:threads=2'); // { name: 'wasm', options: { threads: 2 } }
 */
export function parseBackend(text: string): BackendWithOptions {
  const [name = '', ...settings] = text.split(':');
  const options = new Map<string, unknown>();
  for (const setting of settings) {
    const [, key = '', value = ''] = /^([A-Za-z]\w*)=(.+)$/.exec(setting) ?? [];
    if (key === '') throw wrong(text, 'expected options like wasm:threads=2');
    if (options.has(key)) throw wrong(text, `the option ${shortened(key)} is given twice; expected one value for it`);
    options.set(key, settingValue(value));
  }
  return { name, options: options.size === 0 ? undefined : Object.fromEntries(options) };
}

/** A boolean, a decimal number, or else the text, as 0x10 is. */
function settingValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
}

function wrong(text: string, problem: string): SoftgradError {
  return new SoftgradError('ERR_VALUE', `backend '${shortened(text)}': ${problem}`);
}
