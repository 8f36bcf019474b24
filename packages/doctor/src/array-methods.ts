/**
 * Rewrites sums and nested maps of JavaScript arrays, so that `J.map((row) => row.reduce((a, b) => a + b, 0))` becomes `J.sum(axis=1)`, and a map
 * over rows of maps over their entries becomes one over the entries.
 *
 * @example
 * withoutArrayMethods('s.map((row, i) => row.map((p, j) => p - y[i][j]))'); // 's.map((p, j) => p - y[j])'
 */
export function withoutArrayMethods(expression: string): string {
  const plain = expression
    .replace(/\(\s*await\s+(\w+)\.(?:array|data)\(\)\s*\)/g, '$1')
    .replace(/\.(?:arraySync|dataSync)\(\)/g, '')
    .replace(/\?\.(?=\[)/g, '')
    .replace(/\?\.(?=[a-z_])/gi, '.')
    .replace(/\[\s*\.\.\.\s*(\w+)\s*\](?=\.map\()/g, '$1')
    .replace(/(?<![\w.])(?:Float(?:32|64))?Array\.from\(\s*(\w+)\s*,\s*/g, '$1.map(');
  return overEntries(plain.replace(sumOfRows, '$1.sum(axis=1)').replace(sumOfMatrices, '$1.sum(axis=2)'));
}

/** Of a matrix `J`, or of `J[0]`, the one of the first sample. */
const sumOfRows =
  /(\w+)(?:\[\w+\])?\.map\(\s*\(?\s*(\w+)\s*\)?\s*=>\s*\2\.reduce\(\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)\s*=>\s*(?:\3\s*\+\s*\4|\4\s*\+\s*\3)\s*(?:,\s*0\s*)?\)\s*\)/g;

/** Of a matrix for each sample, each of which has its rows summed. */
const sumOfMatrices = /(\w+)\.map\(\s*\(?\s*(\w+)\s*\)?\s*=>\s*\2\.sum\(axis=1\)\s*\)/g;

/** A map over rows, whose body maps over the entries of the row. */
const mapOfMaps = /^(.*?)(\w+)\.map\(\s*\(?\s*(\w+)\s*(?:,\s*(\w+)\s*)?\)?\s*=>\s*(\3\.map\(.*\))\s*\)(\s*;?\s*)$/s;

function overEntries(expression: string): string {
  const [whole, before = '', array = '', row = '', index, body = '', after = ''] = mapOfMaps.exec(expression) ?? [];
  if (whole === undefined) return expression;
  const named = body.replace(new RegExp(`(?<![\\w.])${row}(?!\\w)`, 'g'), array);
  const entries = index === undefined ? named : named.replace(new RegExp(`(?<=\\w)\\[\\s*${index}\\s*\\]`, 'g'), '');
  // An index in another place, as in y[j][i], is not that of the row.
  const isLeft = index !== undefined && new RegExp(`(?<![\\w.])${index}(?!\\w)`).test(entries);
  return isLeft ? expression : before + entries + after;
}
