/** What the letters of expressions stand for. */
export const lettersInWords =
  's are the probabilities, x the logits, g the upstream gradient, y the one-hot target, J the Jacobian';

/** Names for the output of the layer, of softmax or another function. */
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

/** Other common names of these variables, and of variables that hold exp(x) or the batch size. */
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

/** Mathematical symbols and their NumPy spelling. */
const signs: Readonly<Record<string, string>> = { '⊙': '*', '·': '*', '−': '-', δ: 'delta', ᵀ: '.T', '′': "'" };

/** Renames the variables of an expression to s, x, g, y and J; leaves attributes, functions and keyword arguments as they are. */
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

/** Matches the name of a variable; skips attributes, strings, function names and keyword arguments. */
const variable = /(?<![\w.'"])[A-Za-z_]\w*(?!\w)(?!\s*\(|\s*=(?![=>]))/g;

function renamedBy(text: string, rename: (name: string) => string | undefined): string {
  return text.replace(variable, (name) => rename(name) ?? name);
}

/** True if y is the output and t the target, as in many textbooks: both names occur, and no other name of the output does. */
function outputIsY(text: string): boolean {
  const names: readonly string[] = text.replace(/\[\s*t\s*\]/g, '').match(variable) ?? [];
  const output = names.some((name) => name === 's' || letterOf.get(name) === 's');
  return names.includes('y') && names.includes('t') && !output;
}

/** True if t is subtracted from the output. Then t is the target, because nobody subtracts a temperature. */
function targetIsT(text: string): boolean {
  const [, output = ''] = /(?<![\w.])(\w+)\s*-\s*t(?![\w[(.])/.exec(text) ?? [];
  const names: readonly string[] = text.match(variable) ?? [];
  return (output === 's' || letterOf.get(output) === 's') && !names.includes('y');
}
