import { type NdArrayLike, SoftgradError } from '@softgrad/core';

/** The address at which `npm run playground` serves the page. */
export const servedHere = 'http://127.0.0.1:5210/';

/** Longer addresses are cut or refused by terminals and messengers. */
const longest = 8000;

/** The inputs of the page's doctor, as state in the fragment of the address, which browsers do not send to the server. */
export interface Question {
  readonly logits?: NdArrayLike | undefined;
  readonly probabilities?: NdArrayLike | undefined;
  readonly gradient: NdArrayLike | string;
  readonly upstream?: NdArrayLike | undefined;
  readonly target?: NdArrayLike | undefined;
  readonly mask?: NdArrayLike | undefined;
  readonly weight?: NdArrayLike | undefined;
  readonly axis: number;
  readonly temperature?: number | undefined;
  readonly layer?: string | undefined;
  readonly reduction?: string | undefined;
  readonly labelSmoothing?: number | undefined;
  readonly ignoreIndex?: number | undefined;
}

/**
 * The address of a playground that a user gave.
 *
 * @throws ERR_VALUE unless it is a URL that a browser opens, and has no fragment: the numbers are written there
 */
export function pageOf(text: string): string {
  const given = URL.canParse(text) ? new URL(text) : null;
  const opens = given !== null && ['http:', 'https:', 'file:'].includes(given.protocol);
  if (opens && !text.includes('#')) return given.href;
  const found = opens
    ? `has a fragment, ${text.slice(text.indexOf('#'))}, which the numbers take`
    : 'is not the URL of a page';
  throw new SoftgradError(
    'ERR_VALUE',
    `--link ${text === '' ? "''" : text}: ${found}; expected the address of a playground without #, such as ${servedHere}`,
  );
}

/** The address that opens these numbers in the playground; null if there are more numbers than an address can hold. */
export function playgroundLink(page: string, question: Question): string | null {
  const { logits, probabilities, gradient, upstream, target, mask, weight, axis } = question;
  const parameters = new URLSearchParams();
  const arrays = { signal: logits ?? probabilities, gradient, upstream, target, mask, weight };
  for (const [name, value] of Object.entries(arrays)) {
    if (value !== undefined) parameters.set(name, typeof value === 'string' ? value : write(value));
  }
  if (logits === undefined && probabilities !== undefined) parameters.set('kind', 'probabilities');
  if (axis !== -1) parameters.set('axis', String(axis));
  for (const name of ['temperature', 'layer', 'reduction', 'labelSmoothing', 'ignoreIndex'] as const) {
    if (question[name] !== undefined) parameters.set(name, String(question[name]));
  }
  const link = `${page}#doctor?${parameters}`;
  return link.length <= longest ? link : null;
}

/** Nested lists as in JSON; numbers that JSON cannot represent are texts, which the page reads. */
function write({ data, shape }: NdArrayLike): string {
  const nested = (start: number, [size, ...rest]: readonly number[]): unknown => {
    if (size === undefined) return plain(data[start]);
    const step = rest.reduce((product, dimension) => product * dimension, 1);
    return Array.from({ length: size }, (_, k) => nested(start + k * step, rest));
  };
  return JSON.stringify(nested(0, shape));
}

function plain(value: number | boolean | undefined): number | string {
  const number = Number(value);
  return Number.isFinite(number) ? number : String(number);
}
