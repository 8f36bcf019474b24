/** What the letters of expressions stand for. */
export const lettersInWords =
  's are the probabilities, x the logits, g the upstream gradient, y the one-hot target, J the Jacobian';

/** Other names that people give them. */
const names: Readonly<Record<string, readonly string[]>> = {
  s: ['S', 'p', 'P', 'a', 'probs', 'prob', 'probabilities', 'y_hat', 'yhat', 'y_pred'],
  x: ['X', 'z', 'Z', 'logits', 'logit', 'scores'],
  g: ['G', 'dout', 'dy', 'dY', 'dL_ds', 'upstream', 'grad_output', 'grad_out', 'gradOutput'],
  J: ['jac', 'Jac', 'jacobian', 'Jacobian', 'dS', 'ds_dx'],
  y: ['Y', 'target', 'targets', 'label', 'labels', 'onehot', 'one_hot', 'y_true'],
  n: ['N', 'm', 'batch_size'],
};

const letterOf = new Map(Object.entries(names).flatMap(([letter, others]) => others.map((name) => [name, letter])));

/** Mathematical signs as they are typed. */
const signs: Readonly<Record<string, string>> = { '⊙': '*', '·': '*', '−': '-', δ: 'delta', ᵀ: '.T', '′': "'" };

/** The expression with s, x, g, y and J for other names of the same; attributes, functions and keywords stay. */
export function inOurLetters(expression: string): string {
  const typed = expression.replace(/[⊙·−δᵀ′]/g, (sign) => signs[sign]);
  return typed.replace(/(?<![\w.'"])[A-Za-z_]\w*(?!\w)(?!\s*\(|\s*=(?!=))/g, (name) => letterOf.get(name) ?? name);
}
