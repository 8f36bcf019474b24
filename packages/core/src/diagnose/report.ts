import type { Diagnosis } from '../diagnose.js';

/**
 * A diagnosis in three parts: what the numbers are with the evidence, why, and what to write instead.
 */
export function formatDiagnosis(diagnosis: Omit<Diagnosis, 'text'>): string {
  const { what, evidence, why, instead } = diagnosis;
  return [
    'What your numbers are',
    ...indented([what, ...evidence.notes]),
    '',
    'Why',
    ...indented([why]),
    '',
    'What to write instead',
    ...indented([`TypeScript  ${instead.typescript}`, `NumPy       ${instead.numpy}`]),
  ].join('\n');
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

/** A relative error in two digits. */
export function formatError(error: number): string {
  return error === 0 ? '0' : error.toPrecision(2);
}

/** The text with a capital letter first, unless it starts with a symbol such as n or s. */
export function sentence(text: string): string {
  return /^[a-z]+[a-z-]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
