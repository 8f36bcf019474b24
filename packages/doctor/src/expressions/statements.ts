/** The statements of a program, without comments. */
function statementsOf(code: string): readonly string[] {
  return code
    .replace(/(?:#|\/\/)[^\n'"]*$/gm, '')
    .split(/[\n;]|(?<=[{:])\s(?=\s*return\b)/)
    .map((statement) => statement.replace(/[\s{}]+$/, '').trim())
    .filter((statement) => statement !== '');
}

/**
 * The expression of the last `return`, or of the last statement if that is an assignment; of a name that is returned, the expression that was last
 * assigned to it, unless it is changed after that; and what a function of one expression returns. Null for other code of one statement, and where it
 * cannot be told.
 *
 * @example
 * lastExpression('def backward(J):\n    return J.sum(axis=1)'); // 'J.sum(axis=1)'
 */
export function lastExpression(code: string): string | null {
  const ofFunction = functionOfExpression.exec(code)?.[1];
  if (ofFunction !== undefined) return ofFunction;
  const statements = statementsOf(code);
  const last = statements.at(-1);
  if (last === undefined || statements.length < 2) return null;
  const returned = /^return\s+(.+)$/.exec(last)?.[1];
  if (returned === undefined) return assigned.exec(last)?.[2] ?? null;
  if (!/^\w+$/.test(returned)) return returned;
  const before = statements.slice(0, -1);
  // Any statement after the assignment that names it may change it.
  const naming = before.findLast((statement) => new RegExp(`(?<![\\w.])${returned}(?!\\w)`).test(statement));
  const [, name, value = null] = assigned.exec(naming ?? '') ?? [];
  return name === returned ? value : null;
}

/** A function that is one expression: a lambda of Python, or an arrow function of JavaScript. */
const functionOfExpression =
  /^\s*(?:(?:(?:const|let|var)\s+)?\w+\s*=\s*)?(?:lambda\b[^:\n]*:|(?:\w+|\([\w\s,]*\))\s*=>)\s*([^\s{][^\n;]*?)\s*;?\s*$/;

const assigned = /^(?:(?:const|let|var)\s+)?(\w+)\s*=(?!=)\s*(.+)$/;
