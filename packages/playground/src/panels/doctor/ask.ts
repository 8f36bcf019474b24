import { isSoftgradError, type NdArrayLike } from '@softgrad/core';
import { type Diagnosis, diagnose } from '@softgrad/doctor';
import { isPrinted } from '@softgrad/formats';
import { messageOf } from '../../backends.js';
import { readText } from '../../files.js';
import { type DoctorState, empty } from './state.js';

/** The fields that hold arrays. */
export type Field = (typeof fields)[number];
const fields = ['signal', 'gradient', 'upstream', 'target', 'mask', 'weight'] as const;

/** The result: a diagnosis, or an error with the field that causes it, or nothing yet. */
export interface Answer {
  readonly diagnosis: Diagnosis | null;
  readonly problem: { readonly field: Field | null; readonly text: string } | null;
}

/** Where the known expressions are listed: on the command line, and here. */
const listed = ['`softgrad doctor --list` lists', 'the list “code instead of numbers” has'] as const;

const nothing: Answer = { diagnosis: null, problem: null };

/** Diagnoses the content of the fields if there is a gradient. */
export async function ask(state: DoctorState): Promise<Answer> {
  if (state.gradient.trim() === '') return nothing;
  const arrays: Partial<Record<Field, NdArrayLike>> = {};
  const expression = isExpression(state.gradient);
  for (const field of fields) {
    const text = state[field];
    if (text.trim() === '' || (field === 'gradient' && expression)) continue;
    try {
      const { data, shape } = await readText(text, labelOf(field, state));
      arrays[field] = { data, shape };
    } catch (error) {
      return { ...nothing, problem: { field, text: messageOf(error) } };
    }
  }
  const { signal, gradient, upstream, target, mask, weight } = arrays;
  if (!signal && !expression) return nothing;
  try {
    const question = {
      [state.kind]: signal,
      upstream,
      target: target && labelsOf(target, signal),
      mask,
      weight,
      axis: state.axis,
      temperature: state.temperature ?? undefined,
      layer: state.layer === '' ? undefined : state.layer,
      reduction: state.reduction === '' ? undefined : state.reduction,
      labelSmoothing: state.labelSmoothing ?? undefined,
      ignoreIndex: state.ignoreIndex === empty.ignoreIndex ? undefined : state.ignoreIndex,
    };
    if (gradient) return { diagnosis: diagnose({ ...question, gradient }), problem: null };
    // The interpreter of code is loaded where there is code.
    const { diagnoseCode } = await import('@softgrad/doctor/code');
    return { diagnosis: diagnoseCode({ ...question, gradient: state.gradient.trim() }), problem: null };
  } catch (error) {
    if (!isSoftgradError(error)) throw error;
    const text = error.message.replace(/^diagnose: /, '').replace(...listed);
    return { diagnosis: null, problem: { field: fieldOf(text), text } };
  }
}

/** Whether a text is code instead of numbers: it starts with a name, or a sign or a factor before one, but not like a printed `array([…])`. */
function isExpression(text: string): boolean {
  const start = /^[\s+(-]*(?:\d[\d.]*\s*[-+*/][\s(]*)?[a-z]/i;
  return !isPrinted(text) && start.test(text) && !/^[\s+-]*(nan|inf)/i.test(text);
}

/** A pasted line of labels is a table of one row with as many labels as the signal has rows. */
function labelsOf(target: NdArrayLike, signal: NdArrayLike | undefined): NdArrayLike {
  const { shape } = target;
  const [rows, labels] = shape;
  if (shape.length !== 2 || rows !== 1 || labels === undefined) return target;
  return signal !== undefined && signal.shape.join() !== shape.join() ? { ...target, shape: [labels] } : target;
}

/** The field that an error of core refers to, by its first word. */
function fieldOf(message: string): Field | null {
  if (/^(logits|probabilities)/.test(message)) return 'signal';
  if (/^(gradient|unknown expression)/.test(message)) return 'gradient';
  return fields.find((field) => message.startsWith(field)) ?? null;
}

export function labelOf(field: Field, { kind }: Pick<DoctorState, 'kind'>): string {
  return field === 'signal' ? kind : field;
}
