/** Row-major matrices. Multiplication is not softgrad's subject: these are plain loops, ordered to walk memory forwards. */

/** `out = a b`, a is n × k, b is k × m. */
export function multiply(out: Float32Array, a: Float32Array, b: Float32Array, n: number, k: number, m: number): void {
  out.fill(0);
  for (let r = 0; r < n; r++) {
    for (let i = 0; i < k; i++) {
      const factor = a[r * k + i];
      if (factor === 0) continue;
      for (let c = 0; c < m; c++) out[r * m + c] += factor * b[i * m + c];
    }
  }
}

/** `out = aᵀ b`, a is n × k, b is n × m. */
export function multiplyTransposed(
  out: Float32Array,
  a: Float32Array,
  b: Float32Array,
  n: number,
  k: number,
  m: number,
): void {
  out.fill(0);
  for (let r = 0; r < n; r++) {
    for (let i = 0; i < k; i++) {
      const factor = a[r * k + i];
      if (factor === 0) continue;
      for (let c = 0; c < m; c++) out[i * m + c] += factor * b[r * m + c];
    }
  }
}

/** `out = a bᵀ`, a is n × m, b is k × m. */
export function multiplyByTransposed(
  out: Float32Array,
  a: Float32Array,
  b: Float32Array,
  n: number,
  m: number,
  k: number,
): void {
  for (let r = 0; r < n; r++) {
    for (let i = 0; i < k; i++) {
      let sum = 0;
      for (let c = 0; c < m; c++) sum += a[r * m + c] * b[i * m + c];
      out[r * k + i] = sum;
    }
  }
}
