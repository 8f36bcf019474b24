/** A letter with an index, as in `∂s_i/∂x_j` and `dx_n`, and not a name of code, as `zeros_like`. */
const indexed = /(?<!\w)([A-Za-z\p{Script=Greek}]|dx)_(\{[^}]+\}|[a-z]{1,2}(?:−1)?)(?![\w(])/gu;

/** Text in which `s_i` is typeset with a subscript. */
export function WithSubscripts({ text }: { readonly text: string }) {
  // One part in three is plain text, followed by a letter and its index.
  const parts = text.split(indexed);
  return <>{parts.map((part, k) => (k % 3 === 2 ? <sub key={`${k}`}>{part.replace(/[{}]/g, '')}</sub> : part))}</>;
}
