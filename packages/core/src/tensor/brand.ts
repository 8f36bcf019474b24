// Registered symbols, so that two copies of core in one process recognize each other's tensors.
export const brand: unique symbol = Symbol.for('softgrad.tensor') as never;

/** What `brand` is in tensors of this copy. A version that cannot use the members of these tensors has another number. */
export const layout = 1;

/** True for a tensor made by this copy of core or by another one. */
export function isBranded(value: unknown): boolean {
  return typeof value === 'object' && value !== null && brand in value;
}
