import type { HostArray } from '@softgrad/core';
import type { Mismatch, TracedCall } from '@softgrad/core/conformance';

/** The most numbers of an array that a report quotes. */
const quoted = 64;

/** The calls into a backend, one for each line. */
export function formatCalls(calls: readonly TracedCall[]): string {
  return calls
    .map((call) => {
      if (call.kind === 'kernel') return `${call.name}(${call.arguments})${call.declined ? ' → declined' : ''}`;
      return `${call.buffer} ${call.kind === 'write' ? '←' : '→'} ${describe(call.values)}`;
    })
    .join('\n');
}

/** The expected and the actual values around the wrong element. */
export function formatMismatch({ what, got, expected, element }: Mismatch): string {
  const start = Math.max(0, Math.min(element - quoted / 2, got.length - quoted));
  const end = Math.min(got.length, start + quoted);
  const range = end - start < got.length ? `, elements ${start} to ${end - 1} of ${got.length}` : '';
  const part = (values: ArrayLike<number>) => numbers(Array.from(values).slice(start, end), values);
  return `${what}${range}\nexpected ${part(expected)}\ngot      ${part(got)}`;
}

function describe(values: HostArray): string {
  const { length } = values;
  const name = `${values.constructor.name.replace('Array', '').toLowerCase()}[${length}]`;
  const [first = Number.NaN] = values;
  if (length > 1 && values.every((value) => Object.is(value, first)))
    return `${name} ${length} × ${format(first, values)}`;
  const more = length > quoted ? `, … ${length - quoted} more` : '';
  return `${name} ${numbers(Array.from(values.subarray(0, quoted)), values)}${more}`;
}

function numbers(shown: readonly number[], of: ArrayLike<number>): string {
  return shown.map((value) => format(value, of)).join(', ');
}

/** As many digits as identify the number in its dtype; JavaScript prints those that identify a float64. */
function format(value: number, of: ArrayLike<number>): string {
  if (Object.is(value, -0)) return '-0';
  if (!(of instanceof Float32Array)) return String(value);
  const digits = [6, 7, 8].find((count) => Math.fround(Number(value.toPrecision(count))) === value) ?? 9;
  return String(Number(value.toPrecision(digits)));
}
