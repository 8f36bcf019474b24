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

/** The most elements of a wrong array that a report shows. */
const compared = 32;

/** A line for each element around the wrong one, with the expected and the actual value. */
export function formatMismatch({ what, got, expected, element }: Mismatch): string {
  const start = Math.max(0, Math.min(element - compared / 2, got.length - compared));
  const shown = Array.from({ length: Math.min(got.length, compared) }, (_, k) => start + k);
  const range = shown.length < got.length ? `, elements ${start} to ${start + shown.length - 1} of ${got.length}` : '';
  const number = (values: ArrayLike<number>, k: number) => format(values[k] ?? Number.NaN, values);
  const rows = [['', 'expected', 'got'], ...shown.map((k) => [String(k), number(expected, k), number(got, k)])];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const lines = rows.map((cells, row) => {
    const line = cells.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  ');
    return shown[row - 1] === element ? `${line}  ← wrong` : line;
  });
  return `${what}${range}\n${lines.join('\n')}`;
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
