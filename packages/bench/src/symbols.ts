/** The symbol of each contender in charts, and as a character for their legend: colours alone would not tell contenders apart for everybody. */
export const symbols = [
  ['circle', '●'],
  ['square', '■'],
  ['triangle', '▲'],
  ['diamond', '◆'],
  ['star', '★'],
  ['cross', '✚'],
] as const;
