import { at } from '../at.js';
import { gradient, loss, product } from '../define-form.js';
import type { Mistake } from '../form.js';
import { sigmoidOf } from '../host-softmax.js';
import type { Problem } from '../problem.js';

/** Mistakes of a sigmoid layer, whose Jacobian has σ ⊙ (1 − σ) on the diagonal and nothing beside it. */

const ofSigmoid = ['sigmoid'] as const;

const formula = 'dx = g ⊙ σ ⊙ (1 − σ)';

/** σ (1 − σ) / T at an entry. */
function slopeAt({ s, temperature }: Problem, k: number): number {
  return (at(s, k) * (1 - at(s, k))) / temperature;
}

const slopeAlone: Mistake = {
  id: 'slope-alone',
  name: "the sigmoid's slope alone",
  what: 'σ ⊙ (1 − σ), the derivative of the sigmoid on its own, not multiplied by the upstream gradient',
  why: `The chain rule multiplies by the gradient that arrives from the loss: ${formula}.`,
  layers: ofSigmoid,
  forms: [
    gradient('σ ⊙ (1 − σ)', [], (problem) =>
      problem.g || problem.y ? problem.s.map((_, k) => slopeAt(problem, k)) : null,
    ),
  ],
};

const slopeTwice: Mistake = {
  id: 'slope-twice',
  name: "multiplied by the sigmoid's slope again",
  what: 'the right gradient multiplied by σ ⊙ (1 − σ) once more',
  why: `${formula} has the slope in it once. σ − y of the binary cross-entropy is behind the sigmoid already: its slope cancels the denominator of ∂L/∂σ.`,
  layers: ofSigmoid,
  forms: [
    product('g ⊙ (σ ⊙ (1 − σ))²', [], (problem, g) =>
      g.symbol === 'g' ? g.values.map((value, k) => value * slopeAt(problem, k) ** 2) : null,
    ),
    loss('(σ − y) ⊙ σ ⊙ (1 − σ)', [], (problem, y) =>
      problem.g ? null : y.map((value, k) => (at(problem.s, k) - value) * slopeAt(problem, k)),
    ),
  ],
};

const sigmoidTwice: Mistake = {
  id: 'sigmoid-twice',
  name: 'the sigmoid applied twice',
  what: 'the derivative at σ(σ(x)): probabilities went into a function that expects logits',
  why: "Losses 'with logits' apply the sigmoid themselves. The second one squeezes numbers between 0 and 1 to between 0.5 and 0.73, so the loss cannot reach 0.",
  layers: ofSigmoid,
  forms: [
    gradient("σ' ⊙ (1 − σ'), σ' = σ(σ(x))", [], ({ s, g, y }) =>
      g || y ? null : s.map((value) => slopeOf(sigmoidOf(value))),
    ),
    product("g ⊙ σ' ⊙ (1 − σ'), σ' = σ(σ(x))", [], ({ s }, g) => {
      return g.values.map((value, k) => value * slopeOf(sigmoidOf(at(s, k))));
    }),
    product("g ⊙ σ' ⊙ (1 − σ') ⊙ σ ⊙ (1 − σ), σ' = σ(σ(x))", [], (problem, g) => {
      return g.values.map((value, k) => value * slopeOf(sigmoidOf(at(problem.s, k))) * slopeAt(problem, k));
    }),
    loss('σ(σ(x)) − y', [], ({ s }, y) => y.map((value, k) => sigmoidOf(at(s, k)) - value)),
    loss('(σ(σ(x)) − y) ⊙ σ ⊙ (1 − σ)', [], (problem, y) =>
      y.map((value, k) => (sigmoidOf(at(problem.s, k)) - value) * slopeAt(problem, k)),
    ),
  ],
};

function slopeOf(probability: number): number {
  return probability * (1 - probability);
}

const logitsForSigmoid: Mistake = {
  id: 'logits-for-sigmoid',
  name: 'logits in place of the sigmoid',
  what: "the sigmoid's formula with the logits x where its output σ belongs",
  why: `${formula} is written in the output of the sigmoid, with σ twice and x nowhere.`,
  layers: ofSigmoid,
  forms: [
    gradient('x ⊙ (1 − x)', [], ({ x, g, y, temperature }) =>
      x?.every(Number.isFinite) && !g && !y ? x.map((value) => slopeOf(value) / temperature) : null,
    ),
    product('g ⊙ x ⊙ (1 − x)', [], (problem, g) => {
      const { x, temperature } = problem;
      return x?.every(Number.isFinite) ? g.values.map((value, k) => (value * slopeOf(at(x, k))) / temperature) : null;
    }),
    loss('x − y', [], ({ x }, y) => (x?.every(Number.isFinite) ? x.map((value, k) => value - at(y, k)) : null)),
  ],
};

export const sigmoids: readonly Mistake[] = [slopeAlone, slopeTwice, sigmoidTwice, logitsForSigmoid];
