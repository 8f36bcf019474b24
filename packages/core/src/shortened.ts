/**
 * The beginning of a text for an error message, with `…` where it is cut: what a caller passes by mistake may be very long.
 *
 * @example
 * shortened('x'.repeat(5000), 8); // 'xxxxxxxx…'
 */
export function shortened(text: string, length = 60): string {
  // A character outside of the basic plane is not cut in half.
  return text.length > length ? `${text.slice(0, length).replace(/[\ud800-\udbff]$/, '')}…` : text;
}
