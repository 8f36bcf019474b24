/** Expressions whose relative distance is at least this share little more than punctuation, so they are not suggested. */
const far = 0.5;

/** The candidates that are similar to the wanted expression, the most similar first; both are normalised texts. */
export function nearest<T>(wanted: string, candidates: readonly T[], textOf: (candidate: T) => string): readonly T[] {
  const tokens = tokensOf(wanted);
  return candidates
    .map((candidate) => ({ candidate, distance: relativeDistance(tokensOf(textOf(candidate)), tokens) }))
    .filter(({ distance }) => distance < far)
    .sort((a, b) => a.distance - b.distance)
    .map(({ candidate }) => candidate);
}

/**
 * Splits a text into names, numbers and single other characters, so that `J.sum` and `J.mean` are not similar because of the letters
 * that they share. Names of two letters or more (functions) are repeated three times to give them more weight, but not those of
 * options, which many functions share.
 */
function tokensOf(text: string): readonly string[] {
  const tokens = text.match(/\w+(?:\s*=(?!=))?|[^\w\s]/g) ?? [];
  return tokens.flatMap((token) => {
    if (/=$/.test(token)) return [token.slice(0, -1).trim(), '='];
    return /^[a-z_]\w/i.test(token) ? [token, token, token] : [token];
  });
}

/** Levenshtein distance divided by the length of the longer list. */
function relativeDistance(a: readonly string[], b: readonly string[]): number {
  return distance(a, b) / Math.max(a.length, b.length, 1);
}

/** Levenshtein distance. */
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
