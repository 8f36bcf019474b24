/** How numbers were rounded before they came here, as far as the numbers themselves tell. */
export interface Precision {
  /** In words: bfloat16, float16, or so many decimals. */
  readonly name: string;
  /** How far each of the numbers may be from what it was. */
  readonly slack: Float64Array;
  /** The unit roundoff of computing in that precision; 0 where only a printout is rounded. */
  readonly unit: number;
}

interface HalfPrecision {
  readonly name: string;
  /** Bits of the significand, the implicit one among them. */
  readonly bits: number;
  /** The exponent of the spacing of subnormals. */
  readonly least: number;
}

/** The one with fewer digits first. */
const halves: readonly HalfPrecision[] = [
  { name: 'bfloat16', bits: 8, least: -133 },
  { name: 'float16', bits: 11, least: -24 },
];

/** The distance between neighbouring numbers of a format at a value. */
function spacing(value: number, { bits, least }: HalfPrecision): number {
  const exponent = value === 0 ? Number.NEGATIVE_INFINITY : Math.floor(Math.log2(Math.abs(value)));
  return 2 ** Math.max(exponent - bits + 1, least);
}

function rounded(value: number, half: HalfPrecision): number {
  const step = spacing(value, half);
  const steps = value / step;
  const down = Math.floor(steps);
  // To nearest, ties to even.
  const up = steps - down > 0.5 || (steps - down === 0.5 && down % 2 !== 0);
  return (down + (up ? 1 : 0)) * step;
}

/** Fewest and most decimals that are taken for those of a printout. */
const fewest = 3;
const most = 8;

/** How likely it may be that numbers look like those of a coarser precision by chance. */
const chance = 1e-3;

/**
 * The coarsest precision that all of the numbers are of: bfloat16, float16, either of them printed with some decimals, or
 * 3 to 8 decimals (or as many significant digits). Null where they have more digits, or are 0 throughout.
 */
export function precisionOf(data: Float64Array): Precision | null {
  const values = data.filter((value) => Number.isFinite(value) && value !== 0);
  if (values.length === 0) return null;
  const [half, other] = halves.filter((one) => values.every((value) => rounded(value, one) === value));
  if (half) return ofHalf(data, half, other);
  const printed = printoutOf(values);
  if (!printed) return null;
  const { name, step } = printed;
  const origin = halves.find((one) => cameFrom(values, one, printed));
  if (origin) {
    const slack = data.map((value) => (spacing(value, origin) + step(value)) / 2);
    return { name: `${origin.name}, printed with ${name}`, slack, unit: 2 ** -origin.bits };
  }
  return { name, slack: data.map((value) => step(value) / 2), unit: 0 };
}

/** Numbers that both formats hold may be of either: small ones of float16 have few digits. */
function ofHalf(data: Float64Array, half: HalfPrecision, other: HalfPrecision = half): Precision {
  const slack = data.map((value) => Math.max(spacing(value, half), spacing(value, other)) / 2);
  const coarser = data.some((value) => value !== 0 && spacing(value, other) > spacing(value, half)) ? other : half;
  return { name: coarser.name, slack, unit: 2 ** -half.bits };
}

interface Printout {
  readonly name: string;
  /** What the last digit of a number counts. */
  step(value: number): number;
  print(value: number): string;
}

function printoutOf(values: Float64Array): Printout | null {
  const found = [decimals, significantDigits].flatMap((printout) => {
    const all = Array.from({ length: most - fewest + 1 }, (_, k) => printout(fewest + k));
    return all.find(({ print }) => values.every((value) => isPrinted(value, print))) ?? [];
  });
  // Few of the numbers end in a zero in the one that it was.
  const [first, second] = found;
  if (!first || !second) return first ?? second ?? null;
  return usingLastDigit(values, second) > usingLastDigit(values, first) ? second : first;
}

function decimals(digits: number): Printout {
  return { name: `${digits} decimals`, step: () => 1 / 10 ** digits, print: (value) => value.toFixed(digits) };
}

function significantDigits(digits: number): Printout {
  return {
    name: `${digits} significant digits`,
    step: (value) => (value === 0 ? 0 : 10 ** (Math.floor(Math.log10(Math.abs(value))) - digits + 1)),
    print: (value) => value.toPrecision(digits),
  };
}

function usingLastDigit(values: Float64Array, { print }: Printout): number {
  return values.reduce((count, value) => count + (/0(?:e|$)/.test(print(value)) ? 0 : 1), 0);
}

/** True where the number is its printout, read in float64 or float32. */
function isPrinted(value: number, print: (value: number) => string): boolean {
  const read = Number(print(value));
  return read === value || Math.fround(read) === value;
}

/** True where every printed number is one that the format has, printed, and that is no chance. */
function cameFrom(values: Float64Array, half: HalfPrecision, { print, step }: Printout): boolean {
  let likelihood = 1;
  for (const value of values) {
    const nearest = rounded(value, half);
    const near = [nearest, nearest - spacing(value, half), nearest + spacing(value, half)];
    if (!near.some((one) => Number(print(one)) === Number(print(value)))) return false;
    likelihood *= Math.min(1, step(value) / spacing(value, half));
  }
  return likelihood < chance;
}
