/**
 * Sorts the factors of every product in an expression without spaces, inside parentheses too, so that `g*s` and `s*g` become equal.
 * A term that contains a division, a matrix product or a remainder keeps its order, because these do not commute.
 */
export function commuted(text: string): string {
  let result = '';
  let raw = '';
  let factors: string[] = [];
  let factor = '';
  let ordered = false;
  const endTerm = () => {
    const all = [...factors, factor];
    result += ordered || all.includes('') ? raw + factor : all.sort().join('*');
    raw = '';
    factors = [];
    factor = '';
    ordered = false;
  };
  for (let k = 0; k < text.length; k++) {
    const character = text.charAt(k);
    if ('([{'.includes(character)) {
      const end = closing(text, k);
      if (end === null) return text;
      factor += character + commuted(text.slice(k + 1, end)) + text.charAt(end);
      k = end;
    } else if (character === '*' && text[k + 1] === '*') {
      factor += '**';
      k++;
    } else if (character === '*') {
      factors.push(factor);
      raw += `${factor}*`;
      factor = '';
    } else if ('/@%'.includes(character)) {
      ordered = true;
      factor += character;
    } else if ('+-,=:<>!'.includes(character) && !/\d\.?e$/i.test(factor)) {
      endTerm();
      result += character;
    } else factor += character;
  }
  endTerm();
  return result;
}

/** The index of the bracket that closes the one at `open`; null if nothing closes it. */
function closing(text: string, open: number): number | null {
  let depth = 0;
  for (let k = open; k < text.length; k++) {
    if ('([{'.includes(text.charAt(k))) depth++;
    else if (')]}'.includes(text.charAt(k)) && --depth === 0) return k;
  }
  return null;
}
