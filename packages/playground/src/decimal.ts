/** The number in a text; NaN unless it is decimal, as on the command line: `Number` also reads 0x10, and a text of spaces as 0. */
export function decimal(text: string): number {
  return /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : Number.NaN;
}
