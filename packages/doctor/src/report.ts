import type { Diagnosis } from './diagnosis.js';

/**
 * Formats a diagnosis in three parts: what the numbers are, with the evidence; why; and what to write instead, if anything. It is the `text` of
 * a diagnosis, and formats one that was stored as JSON without its text.
 *
 * @example
 * const { text, ...diagnosis } = diagnose({ gradient: 'J.sum(axis=1)' });
 * formatDiagnosis(diagnosis) === text; // true
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
    headingOf(diagnosis),
    ...indented([`TypeScript  ${instead.typescript}`, `NumPy       ${instead.numpy}`]),
  ].join('\n');
}

/** How a note begins that states the condition under which an expression is right. */
export const onlyWhere = 'Right only where';

/** How a note begins that states by what losses are divided, where PyTorch's mean divides by something else. */
export const otherDivisor = 'Divided by';

/** The note on options that were fitted to the numbers. */
export const hasFoundOptions = 'The code below has the options that were found in the numbers.';

/** The heading of the last part, which says what the code is for. */
function headingOf({
  verdict,
  matches,
  evidence,
  insteadIsTheSame,
}: Pick<Diagnosis, 'verdict' | 'matches' | 'evidence' | 'insteadIsTheSame'>): string {
  if (verdict === 'right' && evidence.notes.some((note) => note.startsWith(otherDivisor)))
    return "Nothing to change, if that divisor is meant; PyTorch's mean, to compare with";
  if (verdict === 'right' && evidence.notes.includes(hasFoundOptions))
    return 'Nothing to change, if that is the loss; the same in one line';
  if (verdict === 'right' && !insteadIsTheSame)
    return 'Nothing to change, if that is the loss; the usual one, to compare with';
  if (verdict === 'right' && evidence.notes.some((note) => note.startsWith(onlyWhere))) {
    return 'Nothing to change on that condition; the same in one line';
  }
  if (verdict === 'right') {
    const digits = digitsOf(matches[0]?.error ?? 0);
    return digits === null ? 'Nothing to change; the same in one line' : 'To compare with in full precision';
  }
  if (verdict === 'unknown') return 'To compare with: how the right ones are computed';
  if (verdict === 'ambiguous' && matches.some(({ id }) => id === 'right')) {
    if (countsFrom1(matches)) return 'What to write instead, with a target that counts from 0';
    if (matches.some(({ id }) => id === 'rows-skipped' || id === 'rows-rescaled'))
      return 'What to write instead, if the loss has all rows and weights none of them';
    const ofOtherLoss = matches.some(
      ({ id, formula }) =>
        id === 'labels-off-by-one' ||
        id === 'logarithm-missing' ||
        (id === 'jacobian-twice' && formula.startsWith('J (s − y)')),
    );
    return ofOtherLoss ? 'If the loss is the cross-entropy' : 'What is right in any case';
  }
  return 'What to write instead';
}

/** How the formula of a gradient ends that is right if the given target counts from 1. */
export const targetFrom1 = ', of a target that counts from 1';

/** True if the numbers are right if the target counts from 1, and a mistake if it counts from 0. */
export function countsFrom1(matches: readonly { readonly id: string; readonly formula: string }[]): boolean {
  const has = (wanted: string, ending: string) =>
    matches.some(({ id, formula }) => id === wanted && formula.endsWith(ending));
  return has('labels-off-by-one', '') && has('right', targetFrom1);
}

/** Relative errors up to this count as full precision: the rounding of float32 or of a printout. */
const fullPrecision = 1e-6;

/** The number of digits that agree at this relative error; null if the error is that of float32 or less. */
export function digitsOf(error: number): number | null {
  return error <= fullPrecision ? null : Math.floor(-Math.log10(error));
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
