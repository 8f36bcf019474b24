import { isSoftgradError, type NdArrayLike } from '@softgrad/core';
import { type Diagnosis, diagnose } from '@softgrad/doctor';
import { isPrinted } from '@softgrad/formats';
import { messageOf } from '../../backends.js';
import { readText } from '../../files.js';
import type { DoctorState } from './state.js';

/** The fields that hold arrays. */
export type Field = 'signal' | 'gradient' | 'upstream' | 'target';

/** What came of asking: a diagnosis, or what is wrong with what was given and in which field, or nothing yet. */
export interface Answer {
  readonly diagnosis: Diagnosis | null;
  readonly problem: { readonly field: Field | null; readonly text: string } | null;
}

const nothing: Answer = { diagnosis: null, problem: null };

/** Diagnoses what the fields hold, once there is a gradient in them. */
export async function ask(state: DoctorState): Promise<Answer> {
  if (state.gradient.trim() === '') return nothing;
  const arrays: Partial<Record<Field, NdArrayLike>> = {};
  const expression = isExpression(state.gradient);
  for (const field of ['signal', 'gradient', 'upstream', 'target'] as const) {
    const text = state[field];
    if (text.trim() === '' || (field === 'gradient' && expression)) continue;
    try {
      const { data, shape } = await readText(text, labelOf(field, state));
      arrays[field] = { data, shape };
    } catch (error) {
      return { ...nothing, problem: { field, text: messageOf(error) } };
    }
  }
  const { signal, gradient, upstream, target } = arrays;
  if (!signal && !expression) return nothing;
  try {
    const diagnosis = diagnose({
      [state.kind]: signal,
      gradient: gradient ?? state.gradient.trim(),
      upstream,
      target: target && labelsOf(target, signal),
      axis: state.axis,
      temperature: state.temperature,
      reduction: state.reduction === '' ? undefined : state.reduction,
    });
    return { diagnosis, problem: null };
  } catch (error) {
    if (!isSoftgradError(error)) throw error;
    const text = error.message.replace(/^diagnose: /, '');
    return { diagnosis: null, problem: { field: fieldOf(text), text } };
  }
}

/** Code rather than numbers: it starts with a name, though not as `array([…])` is printed. */
function isExpression(text: string): boolean {
  return !isPrinted(text) && /^\s*\(?[a-z]/i.test(text) && !/^\s*(nan|inf)/i.test(text);
}

/** A pasted line of labels is a table of one row: as many labels as the signal has rows. */
function labelsOf(target: NdArrayLike, signal: NdArrayLike | undefined): NdArrayLike {
  const { shape } = target;
  const [rows, labels] = shape;
  if (shape.length !== 2 || rows !== 1 || labels === undefined) return target;
  return signal !== undefined && signal.shape.join() !== shape.join() ? { ...target, shape: [labels] } : target;
}

/** The field that a message of core's is about, by its first word. */
function fieldOf(message: string): Field | null {
  if (/^(logits|probabilities)/.test(message)) return 'signal';
  if (/^(gradient|`)/.test(message)) return 'gradient';
  if (message.startsWith('upstream')) return 'upstream';
  return message.startsWith('target') ? 'target' : null;
}

export function labelOf(field: Field, { kind }: Pick<DoctorState, 'kind'>): string {
  return field === 'signal' ? kind : field;
}
