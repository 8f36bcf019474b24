import type { KernelName, Tensor } from '../../src/index.js';
import {
  type Definition,
  derivativeNames,
  directionsOf,
  type Member,
  type MemberName,
  operationName,
  takesOutput,
} from '../../src/ops/definition.js';
import { isRequired } from '../../src/ops/evaluate.js';
import { optionNamesOf } from '../../src/ops/settings.js';
import { definitions, table } from '../../src/ops/table.js';
import { rounded } from '../inputs.js';
import { isPlain } from '../kernel.js';
import { memoized, memoizedFor } from '../memo.js';
import type { Problem } from '../statement.js';
import { crossEntropyOperations } from './cross-entropy.js';
import { type Expectation, expectations, operatorExpectation } from './expectations.js';
import {
  type CallOptions,
  cotangentOf,
  logitsOf,
  type One,
  type Operand,
  type Operation,
  rowCotangentOf,
  tangentOf,
} from './operation.js';

type Name = keyof typeof definitions;
type Function = (...operands: (Tensor | object)[]) => Tensor;
/** The common type of the functions in the table. */
type AnyFunction = Function &
  Readonly<Record<Exclude<MemberName, 'value' | 'diagonal'>, Function>> & {
    linearize(x: Tensor, options: object): ReturnType<typeof table.softmax.linearize>;
  };

/** The members of `linearize` that are not derivatives under another name. */
const operatorMembers = { diagonal: 'diagonal', 'to-dense': 'toDense' } as const;

/** Every operation of core's table except cross-entropy, whose operations have settings. */
export const operations: readonly Operation[] = (Object.keys(definitions) as Name[]).flatMap((name) => {
  const definition: Definition = definitions[name];
  const members = (['value', ...derivativeNames] as const).filter((member) => definition[member]);
  const ofOperator = definition.jacobian ? (['diagonal', 'to-dense'] as const) : [];
  return [
    ...members.map((member) => operationOf(name, definition, member)),
    ...ofOperator.map((member) => operatorOf(name, definition, member)),
  ];
});

/** Every operation, for laws. Cross-entropy is included with class indices and a mean, with probabilities and no reduction, and with probabilities in a tensor. */
export const allOperations: readonly Operation[] = [
  ...operations,
  ...crossEntropyOperations({ target: 'indices', reduction: 'mean' }),
  ...crossEntropyOperations({ target: 'probabilities', reduction: 'none' }).map((operation) => ({
    ...operation,
    name: `${operation.name}[soft]`,
  })),
  ...crossEntropyOperations({ target: 'probabilities', asTensor: true }).map((operation) => ({
    ...operation,
    name: `${operation.name}[tensor]`,
  })),
];

/** A public function with its expectation. */
function operationOf(name: Name, definition: Definition, member: Exclude<MemberName, 'diagonal'>): Operation {
  const data = definition[member] as Member;
  const expectation = (expectations[name] as Readonly<Partial<Record<MemberName, Expectation>>>)[member] as Expectation;
  const takes = optionNamesOf(definition, member);
  const isOfOutput = takesOutput(definition, member);
  const { length: directions } = directionsOf[member];
  const operands = (problem: Problem): readonly Operand[] => {
    const first = isOfOutput ? outputsOf(problem)(name) : logitsOf(problem);
    if (directions === 0) return [first];
    const along = data.cotangent === 'rows' ? rowCotangentOf(problem) : cotangentOf(problem);
    const direction = definition.over === 'entries' ? withNotFinite(along, problem) : along;
    return directions === 1 ? [first, direction] : [first, direction, tangentOf(problem)];
  };
  const f = table[name] as unknown as AnyFunction;
  const remembers = isOfOutput && definition.over === 'rows';
  return {
    ...statedBy(expectation, definition),
    ...(remembers && { forward: (logits: Tensor, options: CallOptions) => f(logits, options) }),
    name: operationName(definition, member),
    family: idOf(name),
    member: member === 'value' ? 'values' : idOf(member),
    takes: sharedOptions(takes),
    needs: (problem) =>
      expectation.needs ? expectation.needs(parametersOf(problem, definition)) : kernelFor(definition, member, problem),
    ...(data.masked && { isMaskedByKernel: true }),
    operands,
    apply: (tensors, options) => (member === 'value' ? f : f[member])(...tensors, taken(options, takes)),
  };
}

/** A member of the operator that `linearize` gives at the logits. */
function operatorOf(name: Name, definition: Definition, member: keyof typeof operatorMembers): Operation {
  const parts = { diagonal: 'diagonal', 'to-dense': 'all' } as const;
  const expectation = expectations[name] as Parameters<typeof operatorExpectation>[0];
  const key = operatorMembers[member];
  const takes = optionNamesOf(definition, member === 'diagonal' ? 'value' : 'jacobian');
  const f = table[name] as unknown as AnyFunction;
  return {
    ...statedBy(operatorExpectation(expectation, parts[member]), definition),
    name: `${name}.linearize.${key}`,
    family: idOf(name),
    member,
    takes: sharedOptions(takes),
    needs: (problem) => (member === 'diagonal' ? null : kernelFor(definition, 'jacobian', problem)),
    alsoNeeds: (problem) => kernelFor(definition, 'value', problem),
    passes: (problem) => outputsOf(problem)(name).values,
    operands: (problem) => [logitsOf(problem)],
    apply([x]: One<Tensor>, options) {
      const { out, ...others } = taken(options, takes);
      const operator = f.linearize(x, others);
      try {
        return operator[key](out ? { out } : {});
      } finally {
        operator.value.dispose();
      }
    },
  };
}

/** The reference at the temperature that is passed to the kernel. */
function statedBy(expectation: Expectation, definition: Definition): Pick<Operation, 'expected' | 'tolerance'> {
  return {
    expected: (operands, problem) => expectation.expected(operands, problem.rows, parametersOf(problem, definition)),
    tolerance: (precision, operands, expected, problem) =>
      expectation.tolerance(precision, operands, expected, problem.rows, parametersOf(problem, definition)),
  };
}

function parametersOf({ parameters }: Problem, { over, sign = 1 }: Definition) {
  const { temperature = 1, mask = null } = parameters;
  return over === 'rows' ? { temperature: sign * temperature, mask } : { temperature: 1, mask: null };
}

/** Where some inputs are NaN, so are some directions, or infinite: each decides only its own element. */
function withNotFinite(direction: Operand, { values }: Problem): Operand {
  if (!values.some(Number.isNaN)) return direction;
  const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const at = (value: number, i: number) => (i % 9 === 4 ? (special[((i - 4) / 9) % 3] ?? value) : value);
  return { ...direction, values: direction.values.map(at) };
}

/** The output of a function, rounded to the dtype. It is cached, because each derivative of the function takes it. */
const outputsOf = memoizedFor((problem: Problem) =>
  memoized((name: Name): Operand => {
    const parameters = parametersOf(problem, definitions[name]);
    const output = expectations[name].value.expected([problem.values], problem.rows, parameters);
    return { values: output.map((value) => rounded(value, problem.dtype)), shape: problem.shape };
  }),
);

/** What a backend without a basis needs for a function. */
function kernelFor(definition: Definition, member: MemberName, problem: Problem): KernelName | null | undefined {
  const { temperature, mask } = parametersOf(problem, definition);
  if (mask && takesOutput(definition, member)) return null;
  const kernel = (definition[member] as Member).kernel?.name;
  if (isRequired(kernel) && isPlain({ temperature, mask })) return undefined;
  return kernel ?? null;
}

/** A name as part of an id: `double-backward`. */
function idOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function sharedOptions(names: readonly string[]): Operation['takes'] {
  return (['axis', 'temperature', 'mask'] as const).filter((option) => names.includes(option));
}

/** The options that a function takes; it would throw for others. */
function taken(options: Partial<CallOptions>, names: readonly string[]): Partial<CallOptions> {
  return Object.fromEntries(Object.entries(options).filter(([option]) => names.includes(option)));
}
