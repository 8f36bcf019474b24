/** From this share of tokens that differ on, two expressions have their punctuation in common and little else. */
const far = 0.5;

/** Which of the normalised candidates are near the wanted expression, the nearest first: their indices. */
export function nearest(wanted: string, candidates: readonly string[]): readonly number[] {
  const tokens = tokensOf(wanted);
  return candidates
    .map((candidate, index) => ({ index, distance: relativeDistance(tokensOf(candidate), tokens) }))
    .filter(({ distance }) => distance < far)
    .sort((a, b) => a.distance - b.distance)
    .map(({ index }) => index);
}

/**
 * Names and numbers whole, other characters one by one: `J.sum` is not near `J.mean` for the letters they share. Names of
 * functions and options weigh three times what a letter or a parenthesis does.
 */
function tokensOf(text: string): readonly string[] {
  const tokens = text.match(/\w+|[^\w\s]/g) ?? [];
  return tokens.flatMap((token) => (/^[a-z_]\w/i.test(token) ? [token, token, token] : [token]));
}

/** Levenshtein's distance as a share of the longer text: most of a long one may be the same. */
function relativeDistance(a: readonly string[], b: readonly string[]): number {
  return distance(a, b) / Math.max(a.length, b.length, 1);
}

/** Levenshtein's distance. */
function distance(a: readonly string[], b: readonly string[]): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (a[i] === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}
