/** What the letters of expressions stand for. */
export const lettersInWords =
  's are the probabilities, x the logits, g the upstream gradient, y the one-hot target, J the Jacobian';

/** The output of the layer, whatever it is. */
const outputs = [
  'A',
  'output',
  'outputs',
  'out',
  'o',
  'preds',
  'predictions',
  'softmax_output',
  'softmax_out',
  'A2',
  'AL',
];

/** Other names that people give them, and the exponentials that many have in a variable. */
const names: Readonly<Record<string, readonly string[]>> = {
  s: ['S', 'p', 'P', 'a', 'probs', 'prob', 'probabilities', 'y_hat', 'yhat', 'y_pred', ...outputs],
  x: ['X', 'z', 'Z', 'logits', 'logit', 'scores'],
  g: [
    'G',
    'dout',
    'dy',
    'dY',
    'dL_ds',
    'grad',
    'grads',
    'upstream',
    'grad_output',
    'grad_out',
    'gradOutput',
    'dvalues',
    'upstream_grad',
  ],
  dx: ['dX', 'dz', 'dZ', 'dscores', 'dlogits'],
  J: ['jac', 'Jac', 'jacobian', 'Jacobian', 'dS', 'ds_dx'],
  y: ['Y', 'target', 'targets', 'label', 'labels', 'onehot', 'one_hot', 'y_true', 'y_onehot', 'y_one_hot', 'oneHot'],
  'exp(x)': ['exps', 'exp_x', 'exp_scores', 'exp_logits', 'e_x'],
  n: ['N', 'm', 'batch_size', 'batchSize', 'num_examples', 'num_train'],
};

const letterOf = new Map(Object.entries(names).flatMap(([letter, others]) => others.map((name) => [name, letter])));

/** Mathematical signs as they are typed. */
const signs: Readonly<Record<string, string>> = { '⊙': '*', '·': '*', '−': '-', δ: 'delta', ᵀ: '.T', '′': "'" };

/** The expression with s, x, g, y and J for other names of the same; attributes, functions and keywords stay. */
export function inOurLetters(expression: string): string {
  const typed = expression
    .replace(/[⊙·−δᵀ′]/g, (sign) => signs[sign] ?? sign)
    .replace(/(?<![\w.])(?:self|this)\./g, '');
  const renamed = outputIsY(typed)
    ? renamedBy(typed, (name) => ({ y: 's', t: 'y' })[name])
    : targetIsT(typed)
      ? renamedBy(typed, (name) => ({ t: 'y' })[name])
      : typed;
  return renamedBy(renamed, (name) => letterOf.get(name));
}

/** A variable's name: no attribute, text, function or keyword argument. */
const variable = /(?<![\w.'"])[A-Za-z_]\w*(?!\w)(?!\s*\(|\s*=(?![=>]))/g;

function renamedBy(text: string, rename: (name: string) => string | undefined): string {
  return text.replace(variable, (name) => rename(name) ?? name);
}

/** True where y is the output and t the target, as in many textbooks: both are there, and nothing else is the output. */
function outputIsY(text: string): boolean {
  const names: readonly string[] = text.replace(/\[\s*t\s*\]/g, '').match(variable) ?? [];
  const output = names.some((name) => name === 's' || letterOf.get(name) === 's');
  return names.includes('y') && names.includes('t') && !output;
}

/** True where t is taken off the output: a temperature is never. */
function targetIsT(text: string): boolean {
  const [, output = ''] = /(?<![\w.])(\w+)\s*-\s*t(?![\w[(.])/.exec(text) ?? [];
  const names: readonly string[] = text.match(variable) ?? [];
  return (output === 's' || letterOf.get(output) === 's') && !names.includes('y');
}
