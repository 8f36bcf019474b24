import type { Problem } from './problem.js';

/** True if the formula has a sum or difference, or the words of an option, outside of all brackets. */
function isCompound(formula: string): boolean {
  let depth = 0;
  let inNorm = false;
  for (const [k, symbol] of [...formula].entries()) {
    if ('([⟨'.includes(symbol)) depth++;
    else if (')]⟩'.includes(symbol)) depth--;
    else if (symbol === '‖') inNorm = !inNorm;
    else if (inNorm) continue;
    else if (depth === 0 && (symbol === ',' || (k > 0 && (symbol === '−' || symbol === '+')))) return true;
  }
  return false;
}

/** The formula as a factor: in brackets if a factor before or after it would otherwise be that of one term only. */
export function asFactor(formula: string): string {
  return isCompound(formula) ? `(${formula})` : formula;
}

/** The formula with a division after it; `over` is empty or starts with the sign of the division. */
export function dividedBy(formula: string, over: string): string {
  return over === '' ? formula : asFactor(formula) + over;
}

/** How a division by the temperature is written. */
export function overTemperature({ temperature }: Pick<Problem, 'temperature'>): string {
  return temperature === 1 ? '' : ' / T';
}
