import type { Goal } from './form.js';
import type { LossReduction, Problem } from './problem.js';

/** Code that does it right, a line each. */
export interface Remedy {
  /** With this library. */
  readonly typescript: string;
  readonly numpy: string;
}

/** What of a problem decides on the lines. */
export type Setting = Pick<Problem, 'axis' | 'temperature' | 'indices'> & {
  readonly shape: { readonly length: number };
};

/** The lines that compute what was wanted, with the axis and temperature of the problem; of a loss, added up as `reduction` says. */
export function remedyFor(goal: Goal, problem: Setting | null, reduction: LossReduction | null): Remedy {
  const last = problem === null || problem.axis === problem.shape.length - 1;
  const axis = last ? -1 : problem.axis;
  const temperature = problem?.temperature ?? 1;
  const known = [...(last ? [] : [`axis: ${axis}`]), ...(temperature === 1 ? [] : [`temperature: ${temperature}`])];
  const options = (more: readonly string[] = []): string => {
    const all = [...known, ...more];
    return all.length > 0 ? `, { ${all.join(', ')} }` : '';
  };
  const over = temperature === 1 ? '' : ` / ${temperature}`;
  switch (goal) {
    case 'product':
      return {
        typescript: `const dx = softmax.vjp(s, g${options()});`,
        numpy: `dx = s * (g - (s * g).sum(axis=${axis}, keepdims=True))${over}`,
      };
    case 'loss':
      return {
        typescript: `const { loss, gradient } = crossEntropy(logits, target${options(reduction === 'sum' ? ["reduction: 'sum'"] : [])});`,
        numpy: `dx = ${lossInNumpy(problem, axis, reduction, over)}`,
      };
    case 'jacobian':
      return {
        typescript: `const J = softmax.jacobian(s${options()});`,
        numpy: `p = ${last ? 's' : `np.moveaxis(s, ${axis}, -1)`}; J = (p[..., None] * np.eye(p.shape[-1]) - p[..., None] * p[..., None, :])${over}`,
      };
    case 'softmax':
      return {
        typescript: `const s = softmax(logits${options()});`,
        numpy: `e = np.exp((x - x.max(axis=${axis}, keepdims=True))${over}); s = e / e.sum(axis=${axis}, keepdims=True)`,
      };
  }
}

function lossInNumpy(problem: Setting | null, axis: number, reduction: LossReduction | null, over: string): string {
  const indices = problem?.indices ?? true;
  const hot = `np.eye(s.shape[${axis}])[target]`;
  const y = indices ? (axis === -1 ? hot : `np.moveaxis(${hot}, -1, ${axis})`) : 'target';
  if (reduction === 'sum') return over ? `(s - ${y})${over}` : `s - ${y}`;
  return `(s - ${y}) / ${indices ? 'np.size(target)' : `(s.size / s.shape[${axis}])`}${over}`;
}
