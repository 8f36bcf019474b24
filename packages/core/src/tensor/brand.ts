// Registered symbols: two copies of core in one process know each other's tensors.
export const brand: unique symbol = Symbol.for('softgrad.tensor') as never;

/** True for a tensor, of this copy of core or of another. */
export function isBranded(value: unknown): boolean {
  return typeof value === 'object' && value !== null && brand in value;
}
