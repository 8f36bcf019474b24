/** A number for display: four digits, a true minus sign, powers of ten for small and large numbers. */
export function formatNumber(value: number, digits = 4): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  const text = magnitude >= 1e-3 && magnitude < 1e5 ? plain(magnitude, digits) : power(magnitude, 2);
  return value < 0 ? `−${text}` : text;
}

function plain(magnitude: number, digits: number): string {
  const rounded = Number(magnitude.toPrecision(digits));
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(rounded)));
  return rounded.toFixed(Math.min(decimals, digits));
}

function power(magnitude: number, digits: number): string {
  return magnitude
    .toExponential(digits - 1)
    .replace('e+', 'e')
    .replace('e-', 'e−');
}

/** A shape as Python writes it: `(4, 3)`, `(3,)`. */
export function formatShape(shape: readonly number[]): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
}

/** An index as a subscript: `x₁₂`. */
export function subscript(letter: string, index: number): string {
  return letter + [...String(index)].map((digit) => '₀₁₂₃₄₅₆₇₈₉'[Number(digit)]).join('');
}
