/** The index letters of a canonical specification, in the order of first use. */
const letters = 'ijklmnopqrstuvwxyz';

/**
 * `einsum('bij,bj->bi',J,g)` with its operands in the order of their names and its indices renamed in the order in which they
 * appear, so that all spellings of one contraction are the same. An ellipsis is one index more.
 */
export function canonicalEinsum(specification: string, operands: readonly string[]): string {
  const [inputs = '', output] = specification.replaceAll('...', 'Z').split('->');
  const subscripts = inputs.split(',');
  const pairs = operands.map((operand, k) => ({ operand, subscript: subscripts[k] ?? '' }));
  if (pairs.length !== subscripts.length) return `einsum('${specification}',${operands.join(',')})`;
  pairs.sort((a, b) => (a.operand < b.operand ? -1 : a.operand > b.operand ? 1 : 0));
  const names = new Map<string, string>();
  const renamed = (text: string) =>
    text.replace(/[A-Za-z]/g, (letter) => {
      const name = names.get(letter) ?? letters.charAt(names.size);
      names.set(letter, name);
      return name;
    });
  const canonical = pairs.map(({ subscript }) => renamed(subscript)).join(',');
  const result = output === undefined ? '' : `->${renamed(output)}`;
  return `einsum('${canonical}${result}',${pairs.map(({ operand }) => operand).join(',')})`;
}
