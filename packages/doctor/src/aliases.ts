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
  'pred',
  'preds',
  'prediction',
  'predictions',
  'A2',
  'AL',
  'a2',
  'a3',
  'A3',
  'singleoutput',
];

/** Names for the output of softmax, without underscores. */
const ofSoftmax = /^(?:my)?(?:softmax(?:es|ed|x|z|out|outputs?|results?|values?|probs?|probabilities)?|smax|sm)$/;

/** What a part of a name says that it holds, without underscores; the first that matches counts. */
const partsOfNames: readonly (readonly [part: RegExp, letter: string])[] = [
  [ofSoftmax, 's'],
  [/^(?:d|grad)(?:l?d)?(?:softmax|probs?|att(?:entio)?n(?:weights|probs)?|outputs?)$/, 'g'],
  [/^att(?:entio)?n(?:weights)?$/, 's'],
  [/^(?:expected|desired|target|onehot|ytr(?:ue|ain)|ybatch)/, 'y'],
  [/^(?!d|g(?:rad|$)|log).*(?:softmax|(?:out|output|pred|prediction|prob)s?|predicted|probabilities)$/, 's'],
];

/** Other common names of these variables, and of variables that hold exp(x) or the batch size; long ones in any case, with or without underscores. */
const names: Readonly<Record<string, readonly string[]>> = {
  s: [
    'S',
    'p',
    'P',
    'a',
    'probs',
    'prob',
    'probas',
    'proba',
    'probabilities',
    'yhat',
    'ypred',
    'yprob',
    'pygivenx',
    ...outputs,
  ],
  x: ['X', 'z', 'Z', 'logits', 'logit', 'scores', 'input', 'inputs'],
  g: [
    'G',
    'dout',
    'dy',
    'dY',
    'dlds',
    'grad',
    'grads',
    'upstream',
    'gradoutput',
    'gradout',
    'outputgradient',
    'outputgrad',
    'dvalues',
    'singledvalues',
    'upstreamgrad',
    'dA',
    'dAL',
    'da',
    'gy',
    'dldy',
    'dloss',
    'dP',
  ],
  dx: ['dX', 'dz', 'dZ', 'dscores', 'dlogits'],
  J: ['jac', 'jacobian', 'jacobianmatrix', 'dS', 'dsdx'],
  y: [
    'Y',
    'target',
    'targets',
    'label',
    'labels',
    'onehot',
    'ytrue',
    'y_',
    'yonehot',
    'onehoty',
    'onehotlabels',
    'onehottargets',
  ],
  'exp(x)': ['exps', 'expx', 'expscores', 'explogits', 'ex'],
  n: ['N', 'm', 'batchsize', 'numexamples', 'numtrain', 'samples', 'numsamples', 'nsamples'],
};

const letterOf = new Map(Object.entries(names).flatMap(([letter, others]) => others.map((name) => [name, letter])));

/** The letter that a name stands for. Of short names the case matters: dS is a Jacobian. */
function letterFor(name: string): string | undefined {
  const plain = name.length > 2 ? name.toLowerCase().replaceAll('_', '') : name;
  const byPart = partsOfNames.find(([part]) => part.test(plain));
  return letterOf.get(plain) ?? byPart?.[1];
}

/** Mathematical symbols and their NumPy spelling. */
const signs: Readonly<Record<string, string>> = {
  '⊙': '*',
  '·': '*',
  '−': '-',
  δ: 'delta',
  ŷ: 'y_hat',
  ᵀ: '.T',
  '′': "'",
};

/** Renames the variables of an expression to s, x, g, y and J; leaves attributes, functions and keyword arguments as they are. */
export function inOurLetters(expression: string): string {
  const typed = expression
    .replace(/[⊙·−δŷᵀ′]/g, (sign) => signs[sign] ?? sign)
    .replace(/(?<![\w.])(?:self|this)\./g, '')
    .replace(classesSubtracted, '$1y');
  return renamedBy(typed, lettersOf(typed));
}

/** The letters that the names of a text stand for. */
export function lettersOf(text: string): (name: string) => string | undefined {
  const own: Readonly<Record<string, string>> = outputIsY(text)
    ? { y: 's', t: 'y' }
    : targetIsT(text)
      ? { t: 'y' }
      : {};
  return (name) => (Object.hasOwn(own, name) ? own[name] : letterFor(name));
}

/** Matches the name of a variable; skips attributes, strings, function names (also that of `softmax.vjp(…)`) and keyword arguments. */
export const variable =
  /(?<![\w.'"])[A-Za-z_]\w*(?!\w)(?!\s*\(|\s*=(?![=>])|\.(?:vjp|jvp|hvp|jacobian|gradient|linearize)\b)/g;

function renamedBy(text: string, rename: (name: string) => string | undefined): string {
  return text.replace(variable, (name) => rename(name) ?? name);
}

/** True if y is the output and t the target, as in many textbooks: both names occur, and no other name of the output does. */
function outputIsY(text: string): boolean {
  const names: readonly string[] = text.replace(/\[\s*t\s*\]/g, '').match(variable) ?? [];
  const output = names.some((name) => name === 's' || letterFor(name) === 's');
  return names.includes('y') && names.includes('t') && !output;
}

/** True if t is subtracted from the output. Then t is the target, because nobody subtracts a temperature. */
function targetIsT(text: string): boolean {
  const [, output = ''] = /(?<![\w.])(\w+)\s*-\s*t(?![\w[(.])/.exec(text) ?? [];
  const names: readonly string[] = text.match(variable) ?? [];
  return (output === 's' || letterFor(output) === 's') && !names.includes('y');
}

/** Names of class indices. What `classes` is, depends: subtracted from probabilities it is no number of classes. */
const indices =
  'labels?|classes|idxs?|indices|class_?id(?:x|s|xs)?|class_?ind(?:ex|ices)|target_?(?:idxs?|ind(?:ex|ices))|label_?(?:idxs?|ind(?:ex|ices))';

/** A name of class indices that is subtracted, without an index of its own. */
const classesSubtracted = new RegExp(`(-\\s*)(?:${indices})\\b(?!\\s*[[(.])`, 'gi');

/** Names of the target that do not say whether it holds class indices or probabilities. */
const either = 't|y|Y|targets?|y_?true';

/** A target that is subtracted as it is, or element by element. */
const subtracted = new RegExp(
  `(?:-|\\b(?:sub|subtract|minus)\\(\\s*(?:[\\w.]+(?:\\(\\w+\\))?\\s*,)?)\\s*(?:(?:self|this)\\.)?(?:(${indices})|(${either}))(?=\\s*(?:$|[);/\\n]|\\[\\s*i\\s*\\]|\\.(?:float|double|half|astype|to|cast|asType)\\())`,
  'i',
);

/** Code that makes a one-hot target of class indices, or subtracts 1 at them. */
const oneHotByCode = /one_?hot|cross_?entropy|to_categorical|\b(?:eye|identity)\b|range\s*\(|={2,3}|-=|\.at\[/i;

/** The target that an expression subtracts as it is; null if the expression makes it one-hot, or by its name it is. */
export function nameOfTarget(expression: string): { readonly text: string; readonly indices: boolean } | null {
  if (oneHotByCode.test(expression)) return null;
  const [, asIndices, asEither] = subtracted.exec(expression.replaceAll('−', '-')) ?? [];
  const text = asIndices ?? asEither;
  return text === undefined ? null : { text, indices: asIndices !== undefined };
}
