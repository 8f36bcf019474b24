import type { Goal } from './form.js';
import type { FoundMask, MaskEntry } from './found-options.js';
import type { Layer, LossReduction } from './input.js';
import type { Problem } from './problem.js';

/** Correct code, one line for each library. */
export interface Remedy {
  /** With this library. */
  readonly typescript: string;
  readonly numpy: string;
}

/** The properties of a problem that the suggested code depends on. */
export type Setting = Pick<Problem, 'axis' | 'temperature' | 'indices'> & {
  readonly shape: { readonly length: number };
  readonly layer?: Layer | null;
  readonly loss?: LossSetting;
};

/** The properties of a loss that the suggested code depends on, besides its reduction. */
export interface LossSetting {
  readonly addsUp: boolean;
  readonly labelSmoothing: number;
  readonly weighted: boolean;
  /** The class weights in numbers, which the code has where they were found; absent where the caller has them. */
  readonly weight?: readonly number[] | undefined;
  /** The class index of ignored rows; null if no row is ignored. */
  readonly ignoreIndex: number | null;
  readonly masked: boolean;
  /** Of which shape the upstream gradient of the losses is, if one was given: one number, or one for each row. */
  readonly upstream?: 'one' | 'rows' | undefined;
  /** The mask itself, which the code has where it was found; null where it is too long, absent where none was found. */
  readonly mask?: FoundMask | undefined;
}

const plainLoss: LossSetting = { addsUp: true, labelSmoothing: 0, weighted: false, ignoreIndex: null, masked: false };

/** The code that computes `goal`, with the axis and temperature of the problem and, for a loss, its reduction. */
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
  const loss = problem?.loss ?? plainLoss;
  const ofOptions = {
    axis,
    over,
    reduction,
    options: options(maskOption(loss)),
    masked: loss.masked || loss.mask !== undefined,
  };
  const lines = ofLayer(goal, problem?.layer ?? null, ofOptions) ?? ofSoftmax(goal);
  if (loss.mask === undefined) return lines;
  const mask = `mask = ${loss.mask === null ? 'yours' : `np.array(${inNumpy(loss.mask)})`}`;
  const { numpy } = ofSoftmax('softmax');
  return { ...lines, numpy: `${mask}; x = np.where(mask, x, -np.inf); ${numpy}; ${lines.numpy}` };

  function ofSoftmax(wanted: Goal): Remedy {
    switch (wanted) {
      case 'product': {
        // The result of softmax remembers its mask.
        const s = loss.mask === undefined ? 's' : `softmax(logits${ofOptions.options})`;
        return {
          typescript: `const dx = softmax.vjp(${s}, g${loss.mask === undefined ? options() : ''});`,
          numpy: `dx = s * (g - (s * g).sum(axis=${axis}, keepdims=True))${over}`,
        };
      }
      case 'loss':
        if (loss.upstream !== undefined) {
          const how = loss.upstream === 'rows' ? 'none' : reduction;
          return {
            typescript: `const dx = crossEntropy.vjp(logits, target, upstream${options(lossOptions(loss, how))});`,
            numpy: lossInNumpy(problem, loss, axis, reduction, over),
          };
        }
        return {
          typescript: `const { loss, gradient } = crossEntropy(logits, target${options(lossOptions(loss, reduction))});`,
          numpy: lossInNumpy(problem, loss, axis, reduction, over),
        };
      case 'jacobian':
        return {
          typescript: `const J = softmax.jacobian(s${options()});`,
          numpy: `p = ${last ? 's' : `np.moveaxis(s, ${axis}, -1)`}; J = (p[..., None] * np.eye(p.shape[-1]) - p[..., None] * p[..., None, :])${over}`,
        };
      case 'softmax':
        return {
          typescript: `const s = softmax(logits${ofOptions.options});`,
          numpy: `e = np.exp((x - x.max(axis=${axis}, keepdims=True))${over}); s = e / e.sum(axis=${axis}, keepdims=True)`,
        };
    }
  }
}

/** The mask as an option: in entries where it was found, by name where the caller has it. */
function maskOption({ masked, mask }: LossSetting): readonly string[] {
  if (mask === undefined) return masked ? ['mask'] : [];
  return [`mask: ${mask === null ? 'yours' : inTypescript(mask)}`];
}

function inTypescript(entry: MaskEntry): string {
  return typeof entry === 'boolean' ? `${entry}` : `[${entry.map(inTypescript).join(', ')}]`;
}

function inNumpy(mask: MaskEntry): string {
  return inTypescript(mask).replaceAll('true', 'True').replaceAll('false', 'False');
}

function lossOptions(loss: LossSetting, reduction: LossReduction | 'none' | null) {
  const { labelSmoothing, weighted, weight, ignoreIndex } = loss;
  return [
    ...maskOption(loss),
    ...(labelSmoothing === 0 ? [] : [`labelSmoothing: ${labelSmoothing}`]),
    ...(weighted ? [weight ? `weight: [${weight.join(', ')}]` : 'weight'] : []),
    ...(ignoreIndex === null || ignoreIndex === -100 ? [] : [`ignoreIndex: ${ignoreIndex}`]),
    ...(reduction === 'sum' || reduction === 'none' ? [`reduction: '${reduction}'`] : []),
  ];
}

function lossInNumpy(
  problem: Setting | null,
  loss: LossSetting,
  axis: number,
  reduction: LossReduction | null,
  over: string,
): string {
  const indices = problem?.indices ?? true;
  const { addsUp, labelSmoothing, weighted, weight, ignoreIndex, masked, upstream } = loss;
  const times = { one: ' * upstream', rows: ` * np.expand_dims(upstream, ${axis})` };
  const scaling = upstream === undefined ? '' : times[upstream];
  // The upstream gradients of the losses of the rows have the divisor of a mean in them, unless the mean is said.
  const isSum = reduction === 'sum' || (upstream === 'rows' && reduction === null);
  const classes = `s.shape[${axis}]`;
  const counted = indices && ignoreIndex !== null;
  const hot = counted
    ? `np.eye(${classes})[np.where(counts, target, 0)] * counts[..., None]`
    : `np.eye(${classes})[target]`;
  const laid = axis === -1 ? hot : `np.moveaxis(${hot}, -1, ${axis})`;
  const y = indices ? laid : 'target';
  const rows = indices ? 'np.size(target)' : `(s.size / ${classes})`;
  if (addsUp && labelSmoothing === 0 && !weighted && !counted) {
    if (isSum) return `dx = ${over || scaling ? `(s - ${y})${scaling}${over}` : `s - ${y}`}`;
    return `dx = (s - ${y})${scaling} / ${rows}${over}`;
  }
  const kept = masked ? `mask.sum(axis=${axis}, keepdims=True) * mask` : classes;
  const smoothed =
    labelSmoothing === 0 ? y : `${Number((1 - labelSmoothing).toPrecision(12))} * ${y} + ${labelSmoothing} / ${kept}`;
  const along = axis === -1 ? 'weight' : `np.moveaxis(weight + np.zeros(np.shape(target) + (1,)), -1, ${axis})`;
  const q = weighted ? `(${smoothed}) * ${along}` : smoothed;
  const weights = `weight[${counted ? 'np.where(counts, target, 0)' : 'target'}]`;
  const means =
    weighted && indices ? `(${weights}${counted ? ' * counts' : ''}).sum()` : counted ? 'counts.sum()' : rows;
  const divided = `${isSum ? '' : ` / ${means}`}${over}`;
  const found = weight ? `weight = np.array([${weight.join(', ')}]); ` : '';
  const first = counted ? `counts = target != ${ignoreIndex}; ` : '';
  const ignored = counted && labelSmoothing > 0 ? `q = q * counts[..., None]; ` : '';
  return `${found}${first}q = ${q}; ${ignored}dx = (s * q.sum(axis=${axis}, keepdims=True) - q)${scaling}${divided}`;
}

/** The code for a layer other than softmax; null if the code for softmax is correct for it. */
function ofLayer(
  goal: Goal,
  layer: Layer | null,
  {
    axis,
    options,
    over,
    reduction,
    masked,
  }: {
    readonly axis: number;
    readonly options: string;
    readonly over: string;
    readonly reduction: LossReduction | null;
    readonly masked: boolean;
  },
): Remedy | null {
  if (layer === 'log-softmax' && goal === 'product') {
    // Of a masked entry, s is 0 but g is not.
    const kept = masked ? 'g = np.where(mask, g, 0); ' : '';
    return {
      typescript: `const dx = logSoftmax.vjp(logSoftmax(logits${options}), g);`,
      numpy: `${kept}dx = ${over ? '(' : ''}g - s * g.sum(axis=${axis}, keepdims=True)${over ? `)${over}` : ''}`,
    };
  }
  if (layer === 'log-softmax' && goal === 'jacobian') {
    const last = (array: string) => (axis === -1 ? array : `np.moveaxis(${array}, ${axis}, -1)`);
    const kept = masked ? ` * ${last('np.broadcast_to(mask, s.shape)')}[..., None]` : '';
    return {
      typescript: `const J = logSoftmax.jacobian(logSoftmax(logits${options}));`,
      numpy: `p = ${last('s')}; J = (np.eye(p.shape[-1]) - p[..., None, :])${kept}${over}`,
    };
  }
  if (layer !== 'sigmoid') return null;
  const ones = 's.map(() => 1)';
  return {
    typescript:
      goal === 'loss'
        ? `const dx = s.map((p, i) => (p - target[i])${reduction === 'sum' ? '' : ' / s.length'}${over});`
        : `const dx = sigmoid.vjp(s, ${goal === 'product' ? 'g' : ones});`,
    numpy:
      goal === 'loss'
        ? `dx = (s - target)${reduction === 'sum' ? '' : ' / s.size'}${over}`
        : `dx = ${goal === 'product' ? 'g * ' : ''}s * (1 - s)${over}`,
  };
}
