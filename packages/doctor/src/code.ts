import { SoftgradError } from '@softgrad/core';
import { diagnose, ofStatements } from './diagnose.js';
import type { DiagnoseInput, Diagnosis } from './diagnosis.js';
import { type OfSample, samplesOf } from './interpreter/samples.js';
import { right } from './mistakes/right.js';
import { formatDiagnosis } from './report.js';

/**
 * The same as `diagnose` for code, also for code that is none of the known expressions: Python, JavaScript, TypeScript, and loops as in Java and C++. It is
 * run, by an interpreter of what gradients are written with, with made-up numbers, and what it computes is diagnosed. Of code that computes a loss, its derivative is.
 *
 * Names are read as those of known expressions are. Nothing is run but arithmetic on small arrays.
 *
 * @param input as `diagnose` takes it, with code as the gradient
 * @throws ERR_VALUE as `diagnose` does, for code that is not known and cannot be run or computes what no known mistake explains
 * @example
 * const code = 'dA = -Y / A\nfor i in range(len(A)):\n    dA[i] = dA[i] * A[i] * (1 - A[i])\nreturn dA';
 * diagnoseCode({ gradient: code }).verdict; // 'diagonal'
 */
export function diagnoseCode(input: DiagnoseInput & { readonly gradient: string }): Diagnosis {
  const { gradient: code } = input;
  let known: Diagnosis;
  try {
    known = diagnose(input);
  } catch (error) {
    const isUnknown = error instanceof SoftgradError && error.message.includes(': unknown expression ');
    const found = isUnknown ? ofSamples(input) : null;
    if (!found || found.verdict === 'unknown') throw error;
    return found;
  }
  // The last expression of code is of the letters in it, which the code before it may have changed. Where it alone would be right, nothing may be known of the whole.
  const isPart = known.evidence.notes.includes(ofStatements) && /\n/.test(code);
  const found = isPart ? ofSamples(input) : null;
  return found && (found.verdict !== 'unknown' || known.verdict === right.id) ? found : known;
}

/** Code that is right of another shape than the first that it runs with is not called a mistake alone. Null if it cannot be run. */
function ofSamples({ gradient: code, ...said }: DiagnoseInput & { readonly gradient: string }): Diagnosis | null {
  // Of code with another function in it, the derivative may be that of the other.
  if (said.layer === undefined && /\n/.test(code) && /sigmoid|log_?softmax/i.test(code)) return null;
  let first: Diagnosis | null = null;
  let unknown: Diagnosis | null = null;
  for (const sample of samplesOf(code, said)) {
    if (first && !sample.isOneRow) continue;
    const found = ofSample(sample);
    if (found?.verdict === 'unknown') unknown ??= found;
    if (!found || found.verdict === 'unknown') continue;
    if (first && found.verdict === right.id) return rightOfShape(first, found, sample.shape);
    if (found.verdict === right.id) return found;
    first ??= found;
  }
  return first ?? unknown;
}

/** Null if no derivative has the shape of the numbers. */
function ofSample({ input, values, notes }: OfSample): Diagnosis | null {
  try {
    return withNotes(diagnose({ ...input, gradient: { shape: values.shape, data: values.data } }), notes);
  } catch (error) {
    if (error instanceof SoftgradError) return null;
    throw error;
  }
}

function withNotes(diagnosis: Diagnosis, notes: readonly string[]): Diagnosis {
  const { evidence } = diagnosis;
  const changed = { ...diagnosis, evidence: { ...evidence, notes: [...notes, ...evidence.notes] } };
  return { ...changed, text: formatDiagnosis(changed) };
}

function rightOfShape(mistake: Diagnosis, ofRow: Diagnosis, shape: readonly number[]): Diagnosis {
  const matches = [...mistake.matches, ...ofRow.matches];
  const ofColumn = shape.length > 1;
  return withNotes({ ...mistake, verdict: 'ambiguous', matches }, [
    `That is so of the shape below. Of one row ${ofColumn ? 'as a column, of shape (f, 1)' : 'alone, of shape (f,)'}, the code is right.`,
  ]);
}
