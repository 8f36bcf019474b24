import { cotangents, type InputName, layout, logits, masks } from '../../conformance/inputs.js';
import * as bounds from '../../conformance/tolerance.js';
import * as seconds from '../../conformance/tolerance-hvp.js';
import * as reference from '../../reference/functions.js';
import type { Rows } from '../../src/index.js';
import type { Arithmetic } from './arithmetic.js';
import { stepsIn } from './steps.js';

/** Logits with a length, a temperature and maybe a mask. */
export interface Setting {
  readonly input: InputName;
  readonly classes: number;
  readonly temperature?: number;
  readonly masked?: boolean;
  /** Cotangents and tangents: seeded in ±2, all 1, in ±1e4, or 1 for the second class alone. */
  readonly upstream?: 'uniform' | 'ones' | 'large' | 'unit';
}

/** A setting's operands in an arithmetic's dtype. */
export interface BoundProblem {
  readonly arithmetic: Arithmetic;
  readonly rows: Rows;
  readonly x: Float64Array;
  readonly upstream: Float64Array;
  /** A tangent in addition to the cotangent. */
  readonly tangent: Float64Array;
  readonly parameters: { readonly temperature: number; readonly mask: Uint8Array | null };
}

/** The expected result of a function, its tolerance, and the result of the usual formula. */
export interface Measured {
  readonly expected: Float64Array;
  readonly bound: Float64Array;
  readonly computed: Float64Array;
}

/** A function with a bound. */
export interface Subject {
  /** The bound's function, as the module exports it. */
  readonly bound: string;
  readonly name: string;
  /** Matrices: short rows only. */
  readonly square?: true;
  measure(problem: BoundProblem): Measured;
}

export function problemOf(arithmetic: Arithmetic, setting: Setting): BoundProblem {
  const { input, classes, temperature = 1, masked = false, upstream } = setting;
  const shape = [2, classes, 2];
  const rows = layout(shape, 1);
  const x = logits(input, shape, 1, arithmetic.dtype);
  return {
    arithmetic,
    rows,
    x,
    upstream: upstreamOf(upstream, x.length, classes, arithmetic),
    tangent: cotangents(x.length, arithmetic.dtype, 2, 'tangent'),
    parameters: { temperature, mask: masked ? masks(shape, 1) : null },
  };
}

function upstreamOf(kind: Setting['upstream'], length: number, classes: number, { dtype }: Arithmetic): Float64Array {
  if (kind === 'ones') return new Float64Array(length).fill(1);
  if (kind === 'unit') return Float64Array.from({ length }, (_, i) => (Math.floor(i / 2) % classes === 1 ? 1 : 0));
  return cotangents(length, dtype, kind === 'large' ? 1e4 : 2);
}

const stored = ({ arithmetic }: BoundProblem, values: Float64Array) => values.map(arithmetic.round);

function softmaxSubject(
  bound: string,
  name: string,
  measure: (problem: BoundProblem, s: Float64Array) => Measured,
): Subject {
  return {
    bound,
    name,
    measure: (problem) =>
      measure(problem, stored(problem, reference.softmax(problem.x, problem.rows, problem.parameters))),
  };
}

function logSoftmaxSubject(
  bound: string,
  name: string,
  measure: (problem: BoundProblem, y: Float64Array, upstream: Float64Array) => Measured,
): Subject {
  return {
    bound,
    name,
    measure(problem) {
      const { x, rows, parameters, upstream } = problem;
      const y = stored(problem, reference.logSoftmax(x, rows, parameters));
      // As in core: masked entries have cotangent 0.
      const kept = upstream.map((value, i) => (parameters.mask && !parameters.mask[i] ? 0 : value));
      return measure(problem, y, kept);
    },
  };
}

export const subjects: readonly Subject[] = [
  {
    bound: 'softmaxTolerance',
    name: 'softmax',
    measure({ arithmetic: { precision, round }, x, rows, parameters }) {
      const expected = reference.softmax(x, rows, parameters);
      return {
        expected,
        bound: bounds.softmaxTolerance(precision, x, expected, rows, parameters),
        computed: stepsIn(round).softmax(x, rows, parameters),
      };
    },
  },
  softmaxSubject('softmaxVjpTolerance', 'softmax.vjp', (problem, s) => {
    const { arithmetic, rows, upstream: g, parameters } = problem;
    const { temperature } = parameters;
    const expected = reference.softmaxVjp(s, g, rows, { temperature });
    return {
      expected,
      bound: bounds.softmaxVjpTolerance(arithmetic.precision, s, g, expected, rows, { temperature }),
      computed: stepsIn(arithmetic.round).softmaxVjp(s, g, rows, temperature),
    };
  }),
  softmaxSubject('softmaxHvpTolerance', 'softmax.hvp', (problem, s) => {
    const { arithmetic, rows, upstream: g, tangent: t, parameters } = problem;
    const { temperature } = parameters;
    const expected = reference.softmaxHvp(s, g, t, rows, { temperature });
    return {
      expected,
      bound: seconds.softmaxHvpTolerance(arithmetic.precision, s, g, t, expected, rows, { temperature }),
      computed: stepsIn(arithmetic.round).softmaxHvp(s, g, t, rows, temperature),
    };
  }),
  softmaxSubject('softmaxDoubleBackwardTolerance', 'softmax.doubleBackward', (problem, s) => {
    const { arithmetic, rows, upstream: g, tangent: h, parameters } = problem;
    const { temperature } = parameters;
    const expected = reference.softmaxDoubleBackward(s, g, h, rows, { temperature });
    return {
      expected,
      bound: seconds.softmaxDoubleBackwardTolerance(arithmetic.precision, s, g, h, expected, rows, { temperature }),
      computed: stepsIn(arithmetic.round).softmaxDoubleBackward(s, g, h, rows, temperature),
    };
  }),
  {
    square: true,
    ...softmaxSubject('softmaxJacobianTolerance', 'softmax.jacobian', ({ arithmetic, rows, parameters }, s) => {
      const { temperature } = parameters;
      const expected = reference.softmaxJacobian(s, rows, { temperature });
      return {
        expected,
        bound: bounds.softmaxJacobianTolerance(arithmetic.precision, s, expected, rows, { temperature }),
        computed: stepsIn(arithmetic.round).softmaxJacobian(s, rows, temperature),
      };
    }),
  },
  {
    bound: 'logSoftmaxTolerance',
    name: 'logSoftmax',
    measure({ arithmetic: { precision, round }, x, rows, parameters }) {
      const expected = reference.logSoftmax(x, rows, parameters);
      return {
        expected,
        bound: bounds.logSoftmaxTolerance(precision, x, expected, rows, parameters),
        computed: stepsIn(round).logSoftmax(x, rows, parameters),
      };
    },
  },
  logSoftmaxSubject('logSoftmaxVjpTolerance', 'logSoftmax.vjp', ({ arithmetic, rows, parameters }, y, g) => {
    const { temperature } = parameters;
    const expected = reference.logSoftmaxVjp(y, g, rows, { temperature });
    return {
      expected,
      bound: bounds.logSoftmaxVjpTolerance(arithmetic.precision, y, g, expected, rows, { temperature }),
      computed: stepsIn(arithmetic.round).logSoftmaxVjp(y, g, rows, temperature),
    };
  }),
  logSoftmaxSubject('logSoftmaxJvpTolerance', 'logSoftmax.jvp', ({ arithmetic, rows, parameters }, y, t) => {
    const { temperature } = parameters;
    const expected = reference.logSoftmaxJvp(y, t, rows, { temperature });
    return {
      expected,
      bound: bounds.logSoftmaxJvpTolerance(arithmetic.precision, y, t, expected, rows, { temperature }),
      computed: stepsIn(arithmetic.round).logSoftmaxJvp(y, t, rows, temperature),
    };
  }),
  logSoftmaxSubject('logSoftmaxHvpTolerance', 'logSoftmax.hvp', (problem, y, g) => {
    const { arithmetic, rows, parameters } = problem;
    const { temperature, mask } = parameters;
    const t = problem.tangent.map((value, i) => (mask && !mask[i] ? 0 : value));
    const expected = reference.logSoftmaxHvp(y, g, t, rows, { temperature });
    return {
      expected,
      bound: seconds.logSoftmaxHvpTolerance(arithmetic.precision, y, g, t, expected, rows, { temperature }),
      computed: stepsIn(arithmetic.round).logSoftmaxHvp(y, g, t, rows, temperature),
    };
  }),
  {
    square: true,
    ...logSoftmaxSubject(
      'logSoftmaxJacobianTolerance',
      'logSoftmax.jacobian',
      ({ arithmetic, rows, parameters }, y) => {
        const { temperature } = parameters;
        const expected = reference.logSoftmaxJacobian(y, rows, { temperature });
        return {
          expected,
          bound: bounds.logSoftmaxJacobianTolerance(arithmetic.precision, y, expected, rows, { temperature }),
          computed: stepsIn(arithmetic.round).logSoftmaxJacobian(y, rows, temperature),
        };
      },
    ),
  },
  {
    bound: 'logSumExpTolerance',
    name: 'logSumExp',
    measure({ arithmetic: { precision, round }, x, rows, parameters }) {
      const expected = reference.logSumExp(x, rows, parameters);
      return {
        expected,
        bound: bounds.logSumExpTolerance(precision, x, expected, rows, parameters),
        computed: stepsIn(round).logSumExp(x, rows, parameters),
      };
    },
  },
  ...(['gradient', 'vjp'] as const).map(
    (member): Subject => ({
      bound: 'logSumExpVjpTolerance',
      name: `logSumExp.${member}`,
      measure({ arithmetic: { precision, round }, x, rows, parameters, upstream }) {
        const g = member === 'vjp' ? upstream.slice(0, rows.outer * rows.inner) : null;
        const expected = reference.logSumExpVjp(x, g, rows, parameters);
        return {
          expected,
          bound: bounds.logSumExpVjpTolerance(precision, x, g, expected, rows, parameters),
          computed: stepsIn(round).logSumExpVjp(x, g, rows, parameters),
        };
      },
    }),
  ),
  {
    bound: 'logSumExpJvpTolerance',
    name: 'logSumExp.jvp',
    measure({ arithmetic: { precision, round }, x, rows, parameters, upstream: t }) {
      const expected = reference.logSumExpJvp(x, t, rows, parameters);
      return {
        expected,
        bound: bounds.logSumExpJvpTolerance(precision, x, t, expected, rows, parameters),
        computed: stepsIn(round).logSumExpJvp(x, t, rows, parameters),
      };
    },
  },
  {
    bound: 'logSumExpHvpTolerance',
    name: 'logSumExp.hvp',
    measure({ arithmetic: { precision, round }, x, rows, parameters, upstream, tangent: t }) {
      const g = upstream.slice(0, rows.outer * rows.inner);
      const expected = reference.logSumExpHvp(x, g, t, rows, parameters);
      return {
        expected,
        bound: seconds.logSumExpHvpTolerance(precision, x, g, t, expected, rows, parameters),
        computed: stepsIn(round).logSumExpHvp(x, g, t, rows, parameters),
      };
    },
  },
  {
    bound: 'sigmoidTolerance',
    name: 'sigmoid',
    measure({ arithmetic: { precision, round }, x }) {
      const expected = reference.sigmoid(x);
      return { expected, bound: bounds.sigmoidTolerance(precision, x, expected), computed: stepsIn(round).sigmoid(x) };
    },
  },
  {
    bound: 'sigmoidVjpTolerance',
    name: 'sigmoid.vjp',
    measure(problem) {
      const { arithmetic, x, upstream: g } = problem;
      const y = stored(problem, reference.sigmoid(x));
      const expected = reference.sigmoidVjp(y, g);
      return {
        expected,
        bound: bounds.sigmoidVjpTolerance(arithmetic.precision, y, g, expected),
        computed: stepsIn(arithmetic.round).sigmoidVjp(y, g),
      };
    },
  },
  {
    bound: 'sigmoidHvpTolerance',
    name: 'sigmoid.hvp',
    measure(problem) {
      const { arithmetic, x, upstream: g, tangent: t } = problem;
      const y = stored(problem, reference.sigmoid(x));
      const expected = reference.sigmoidHvp(y, g, t);
      return {
        expected,
        bound: seconds.sigmoidHvpTolerance(arithmetic.precision, y, g, t, expected),
        computed: stepsIn(arithmetic.round).sigmoidHvp(y, g, t),
      };
    },
  },
];
