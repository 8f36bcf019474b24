// Bit sets of numbers, for example of the mutants that a test reaches.

/** A bit set of numbers that may be given as texts. */
export function bitsOf(numbers) {
  const set = Buffer.alloc(1 + numbers.reduce((most, number) => Math.max(most, number >> 3), -1));
  for (const number of numbers) set[number >> 3] |= 1 << (number & 7);
  return set;
}

/** Whether a bit set contains such a number. */
export function hasBit(bits, number) {
  return ((bits[number >> 3] ?? 0) & (1 << (number & 7))) !== 0;
}
