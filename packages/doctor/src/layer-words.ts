import type { Mistake } from './form.js';
import { functionOf, type Layer, type LayerFunction } from './input.js';
import { right } from './mistakes/right.js';

/** What a mistake is and why, in the formulas of one layer. */
interface WordsInLayer {
  readonly what: string;
  readonly why: string;
}

/** The text for the layer. For a layer to which the mistake does not apply, it is that for a softmax. */
function textFor(text: Mistake['what'], layer: Layer | null): string {
  if (typeof text === 'string') return text;
  const texts: Partial<Record<LayerFunction, string>> = text;
  return texts[functionOf(layer)] ?? text.softmax;
}

/** True if a mistake is one of the layer, so that numbers are compared with it. */
export function appliesTo({ layers = ['softmax'] }: Mistake, layer: Layer | null): boolean {
  return layers.some((one) => one === functionOf(layer));
}

/** What a mistake is and why, in the formulas of the layer. */
export function wordsOf({ what, why }: Mistake, layer: Layer | null): WordsInLayer {
  return { what: textFor(what, layer), why: textFor(why, layer) };
}

/** The same of an expression: of a mistake that is one of a softmax only, what it would be for a softmax. */
export function wordsOfExpression(mistake: Mistake, layer: Layer | null): WordsInLayer {
  const words = wordsOf(mistake, layer);
  if (!isOfSoftmaxOnly(mistake, layer)) return words;
  return { what: `no derivative of a ${layer}; for a softmax it would be ${words.what}`, why: whyRight(layer) };
}

/** Why the right derivative of a layer is what it is. */
export function whyRight(layer: Layer | null): string {
  return wordsOf(right, layer).why;
}

/** True if an expression is known as a mistake of a softmax, and the layer is another one. */
export function isOfSoftmaxOnly(mistake: Mistake, layer: Layer | null): boolean {
  return !mistake.neutral && !appliesTo(mistake, layer);
}
