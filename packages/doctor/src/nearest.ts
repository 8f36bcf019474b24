/** From this share of tokens that differ on, two expressions have their punctuation in common and little else. */
const far = 0.5;

/** Which of the candidates are near the wanted expression, the nearest first; both are compared as normalised. */
export function nearest<T>(wanted: string, candidates: readonly T[], textOf: (candidate: T) => string): readonly T[] {
  const tokens = tokensOf(wanted);
  return candidates
    .map((candidate) => ({ candidate, distance: relativeDistance(tokensOf(textOf(candidate)), tokens) }))
    .filter(({ distance }) => distance < far)
    .sort((a, b) => a.distance - b.distance)
    .map(({ candidate }) => candidate);
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
  for (const [i, own] of a.entries()) {
    let left = i + 1;
    const next = [left];
    for (const [j, other] of b.entries()) {
      const [diagonal = 0, above = 0] = row.slice(j, j + 2);
      left = Math.min(left + 1, above + 1, diagonal + (own === other ? 0 : 1));
      next.push(left);
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
