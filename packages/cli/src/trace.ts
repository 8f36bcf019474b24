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

/** The most elements of a wrong array that a report shows with their bounds, and around the wrong one. */
const listed = 8;
const compared = 32;

/** The most inputs of which a report shows the elements at the same index. */
const mostInputs = 3;

/**
 * The worst elements with their error and its bound, beside the elements at the same index of what was written to the backend; then, unless
 * these are all, the elements around the worst.
 */
export function formatMismatch(mismatch: Mismatch, calls: readonly TracedCall[] = []): string {
  const { what, got, timesBound } = mismatch;
  const wrong = Array.from(got, (_, k) => k).filter((k) => at(timesBound, k) > 1);
  const worst = wrong.toSorted((a, b) => at(timesBound, b) - at(timesBound, a) || a - b).slice(0, listed);
  const title = `${what}: ${wrong.length} of ${got.length} elements are wrong`;
  const list = formatWorst(mismatch, worst, inputsOf(mismatch, calls));
  const more = worst.length < wrong.length ? `; the worst ${worst.length}` : '';
  const others = worst.length < got.length ? `\n\n${formatAround(mismatch)}` : '';
  return `${title}${more}:\n${list}${others}`;
}

interface Input {
  readonly buffer: string;
  readonly values: HostArray;
}

/**
 * The arrays of the result's size that were written to the backend and from which the wrong array was computed. A case may compute several
 * results: this is followed back from the read of the wrong one.
 */
function inputsOf({ got }: Mismatch, calls: readonly TracedCall[]): readonly Input[] {
  const isWrong = (values: HostArray) => values.every((value, k) => Object.is(value, at(got, k)));
  const read = calls.findLast(
    (call) => call.kind === 'read' && call.values.length === got.length && isWrong(call.values),
  );
  if (read?.kind !== 'read') return [];
  const used = new Set([read.buffer]);
  const inputs: Input[] = [];
  for (const call of calls.slice(0, calls.indexOf(read)).reverse()) {
    if (call.kind === 'kernel') {
      const { outputs, operands } = buffersOf(call.arguments);
      if (!call.declined && outputs.some((name) => used.has(name))) for (const name of operands) used.add(name);
    } else if (call.kind === 'write' && used.has(call.buffer) && call.buffer !== read.buffer) {
      if (call.values.length === got.length) inputs.unshift(call);
    }
  }
  return inputs.slice(0, mostInputs);
}

/** The first argument of a kernel is its output, or the object of its outputs. */
function buffersOf(text: string): { readonly outputs: readonly string[]; readonly operands: readonly string[] } {
  const end = text.startsWith('{') ? text.indexOf('}') : text.indexOf(',');
  const names = (part: string) => part.match(/\bb\d+\b/g) ?? [];
  return { outputs: names(text.slice(0, end)), operands: names(text.slice(end)) };
}

function formatWorst(mismatch: Mismatch, elements: readonly number[], inputs: readonly Input[]): string {
  const { got, expected, bound, timesBound } = mismatch;
  const head = ['', 'expected', 'got', 'error', 'bound', 'error / bound', ...inputs.map(({ buffer }) => buffer)];
  const rows = elements.map((k) => [
    String(k),
    format(at(expected, k), expected),
    format(at(got, k), got),
    brief(Math.abs(at(got, k) - at(expected, k))),
    brief(at(bound, k)),
    brief(at(timesBound, k)),
    ...inputs.map(({ values }) => format(at(values, k), values)),
  ]);
  return aligned(head, rows).join('\n');
}

function formatAround({ got, expected, element, timesBound }: Mismatch): string {
  const start = Math.max(0, Math.min(element - compared / 2, got.length - compared));
  const shown = Array.from({ length: Math.min(got.length, compared) }, (_, k) => start + k);
  const rows = shown.map((k) => [String(k), format(at(expected, k), expected), format(at(got, k), got)]);
  const lines = aligned(['', 'expected', 'got'], rows).map((line, row) =>
    at(timesBound, shown[row - 1] ?? -1) > 1 ? `${line}  ← wrong` : line,
  );
  return `elements ${start} to ${start + shown.length - 1} of ${got.length}:\n${lines.join('\n')}`;
}

function aligned(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  return lines.map((cells) => cells.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '));
}

function at(values: ArrayLike<number>, k: number): number {
  return values[k] ?? Number.NaN;
}

/** Three digits, which is enough for an error. */
function brief(value: number): string {
  return Number.isFinite(value) && value !== 0 ? value.toPrecision(3) : String(value);
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
