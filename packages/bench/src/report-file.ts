import { SoftgradError } from '@softgrad/core';
import type { BenchReport } from './report.js';
import { wrongPart } from './report-check.js';

/**
 * A report as JSON. NaN and infinities, such as the error of a wrong contender, become strings, because JSON has no numbers for them.
 *
 * @example
 * stringifyReport({ worstUlp: Number.NaN }); // '{\n "worstUlp": "NaN"\n}\n'
 */
export function stringifyReport(report: unknown): string {
  const text = JSON.stringify(
    report,
    (_key, value) => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value),
    1,
  );
  // One line per list of samples.
  return `${text.replaceAll(/\[\s+((?:[-\d.e+]+|null)(?:,\s+(?:[-\d.e+]+|null))*)\s+\]/g, (_, list: string) => `[${list.replaceAll(/\s+/g, '')}]`)}\n`;
}

/**
 * Parses JSON, with the strings 'NaN', 'Infinity' and '-Infinity' as numbers.
 *
 * @throws SyntaxError, of `JSON.parse`
 * @example
 * parseNumbers('[1.5, "NaN", "-Infinity"]'); // [1.5, NaN, -Infinity]
 */
export function parseNumbers(text: string): unknown {
  return JSON.parse(text, (_key, part) =>
    part === 'NaN' || part === 'Infinity' || part === '-Infinity' ? Number(part) : part,
  );
}

/**
 * Reads what `stringifyReport` wrote.
 *
 * @param source the name of the file, for messages
 * @throws ERR_VALUE naming `source` if it is not a report of this version
 * @example
 * parseReport(stringifyReport(report), 'report.json').schema; // 'softgrad-bench/1'
 */
export function parseReport(text: string, source: string): BenchReport {
  const refuse = (reason: string) =>
    new SoftgradError('ERR_VALUE', `${source}: ${reason}; expected what softgrad bench --json wrote`);
  let value: unknown;
  try {
    value = parseNumbers(text);
  } catch (cause) {
    throw refuse(`not JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
  if (typeof value !== 'object' || value === null || !('schema' in value)) throw refuse('not a report');
  if (value.schema !== 'softgrad-bench/1') throw refuse(`a report of schema ${value.schema}`);
  const wrong = wrongPart(value);
  if (wrong !== null) throw refuse(wrong);
  return value as BenchReport;
}
