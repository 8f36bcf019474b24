import type { FloatArray } from '../workloads.js';
import type { ExpOnlyLoop } from './exp-only-loop.js';

/**
 * exp over `x` as fast as we know to make it in plain JavaScript: with tables, in float64 arithmetic, valid for |x| < 80 only. JavaScript has
 * no vectors, so this takes several times as long as a loop in WebAssembly; it is what an engine in JavaScript can attain.
 */
export function javaScriptExpLoop(x: FloatArray): ExpOnlyLoop {
  const padded = Math.ceil(x.length / 4) * 4;
  const single = x instanceof Float32Array;
  const [from, out] = single
    ? [new Float32Array(padded), new Float32Array(padded)]
    : [new Float64Array(padded), new Float64Array(padded)];
  from.set(x);
  const exp = single ? expOfFloat32 : expOfFloat64;
  return {
    name: 'a JavaScript loop',
    batch: (calls) => {
      for (let k = 0; k < calls; k++) exp(out, from, padded);
    },
    result: () => out.subarray(0, x.length),
  };
}

/** 2^((k − 2^14)/64), for exp(x) = 2^(n/64) · 2^(t/64) with |t| ≤ ½. */
const steps = Float64Array.from({ length: 2 ** 15 }, (_, k) => 2 ** ((k - 2 ** 14) / 64));
const stepsPerUnit = 64 / Math.LN2;
const linear = Math.LN2 / 64;
const quadratic = linear ** 2 / 2;

/** Four at a time and written out: the loop itself costs half as much as an exp, and so does a function that is inlined. */
function expOfFloat32(out: FloatArray, x: FloatArray, length: number): void {
  for (let k = 0; k < length; k += 4) {
    const s0 = (x[k] as number) * stepsPerUnit + 16384.5;
    const s1 = (x[k + 1] as number) * stepsPerUnit + 16384.5;
    const s2 = (x[k + 2] as number) * stepsPerUnit + 16384.5;
    const s3 = (x[k + 3] as number) * stepsPerUnit + 16384.5;
    const n0 = s0 | 0;
    const n1 = s1 | 0;
    const n2 = s2 | 0;
    const n3 = s3 | 0;
    const t0 = s0 - n0 - 0.5;
    const t1 = s1 - n1 - 0.5;
    const t2 = s2 - n2 - 0.5;
    const t3 = s3 - n3 - 0.5;
    out[k] = (steps[n0 & 0x7fff] as number) * (1 + t0 * (linear + t0 * quadratic));
    out[k + 1] = (steps[n1 & 0x7fff] as number) * (1 + t1 * (linear + t1 * quadratic));
    out[k + 2] = (steps[n2 & 0x7fff] as number) * (1 + t2 * (linear + t2 * quadratic));
    out[k + 3] = (steps[n3 & 0x7fff] as number) * (1 + t3 * (linear + t3 * quadratic));
  }
}

/** 2^(j/512) and 2^(k − 1088), for exp(x) = 2^e · 2^(j/512) · exp(r) with |r| ≤ ln 2 / 1024. */
const fractions = Float64Array.from({ length: 512 }, (_, j) => 2 ** (j / 512));
const powers = Float64Array.from({ length: 4096 }, (_, k) => 2 ** (k - 1088));
const fractionsPerUnit = 512 / Math.LN2;
const fraction = Math.LN2 / 512;
/** Adding and subtracting it rounds to a whole number. */
const rounding = 1.5 * 2 ** 52;

function expOfFloat64(out: FloatArray, x: FloatArray, length: number): void {
  for (let k = 0; k < length; k += 4) {
    const x0 = x[k] as number;
    const x1 = x[k + 1] as number;
    const x2 = x[k + 2] as number;
    const x3 = x[k + 3] as number;
    const s0 = x0 * fractionsPerUnit + rounding - rounding;
    const s1 = x1 * fractionsPerUnit + rounding - rounding;
    const s2 = x2 * fractionsPerUnit + rounding - rounding;
    const s3 = x3 * fractionsPerUnit + rounding - rounding;
    const n0 = s0 | 0;
    const n1 = s1 | 0;
    const n2 = s2 | 0;
    const n3 = s3 | 0;
    const r0 = x0 - s0 * fraction;
    const r1 = x1 - s1 * fraction;
    const r2 = x2 - s2 * fraction;
    const r3 = x3 - s3 * fraction;
    const p0 = (fractions[n0 & 511] as number) * (powers[((n0 >> 9) + 1088) & 4095] as number);
    const p1 = (fractions[n1 & 511] as number) * (powers[((n1 >> 9) + 1088) & 4095] as number);
    const p2 = (fractions[n2 & 511] as number) * (powers[((n2 >> 9) + 1088) & 4095] as number);
    const p3 = (fractions[n3 & 511] as number) * (powers[((n3 >> 9) + 1088) & 4095] as number);
    out[k] = p0 * (1 + r0 * (1 + r0 * (0.5 + r0 * (1 / 6))));
    out[k + 1] = p1 * (1 + r1 * (1 + r1 * (0.5 + r1 * (1 / 6))));
    out[k + 2] = p2 * (1 + r2 * (1 + r2 * (0.5 + r2 * (1 / 6))));
    out[k + 3] = p3 * (1 + r3 * (1 + r3 * (0.5 + r3 * (1 / 6))));
  }
}
