type FloatArray = Float32Array | Float64Array;

export function exp(out: FloatArray, x: FloatArray): void {
  for (let k = 0; k < x.length; k++) out[k] = Math.exp(x[k]);
}

export function softmax(out: FloatArray, x: FloatArray, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) {
    const start = r * f;
    let max = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < f; c++) max = Math.max(max, x[start + c]);
    let sum = 0;
    for (let c = 0; c < f; c++) {
      const e = Math.exp(x[start + c] - max);
      out[start + c] = e;
      sum += e;
    }
    for (let c = 0; c < f; c++) out[start + c] /= sum;
  }
}

export function logSoftmax(out: FloatArray, x: FloatArray, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) {
    const start = r * f;
    let max = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < f; c++) max = Math.max(max, x[start + c]);
    let sum = 0;
    for (let c = 0; c < f; c++) sum += Math.exp(x[start + c] - max);
    const shift = max + Math.log(sum);
    for (let c = 0; c < f; c++) out[start + c] = x[start + c] - shift;
  }
}

export function vjp(out: FloatArray, s: FloatArray, g: FloatArray, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) {
    const start = r * f;
    let dot = 0;
    for (let c = 0; c < f; c++) dot += s[start + c] * g[start + c];
    for (let c = 0; c < f; c++) out[start + c] = s[start + c] * (g[start + c] - dot);
  }
}

export function jacobian(out: FloatArray, s: FloatArray, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < f; i++) {
      for (let j = 0; j < f; j++) {
        out[(r * f + i) * f + j] = s[r * f + i] * ((i === j ? 1 : 0) - s[r * f + j]);
      }
    }
  }
}

export function sigmoid(out: FloatArray, x: FloatArray): void {
  for (let k = 0; k < x.length; k++) out[k] = 1 / (1 + Math.exp(-x[k]));
}

export function relu(out: FloatArray, x: FloatArray): void {
  for (let k = 0; k < x.length; k++) out[k] = Math.max(x[k], 0);
}

/** A mask of `f` entries is the same for all rows. */
export function maskedSoftmax(out: FloatArray, x: FloatArray, mask: Uint8Array, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) {
    const start = r * f;
    const kept = start % mask.length;
    let max = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < f; c++) if (mask[kept + c]) max = Math.max(max, x[start + c]);
    let sum = 0;
    for (let c = 0; c < f; c++) {
      const e = mask[kept + c] ? Math.exp(x[start + c] - max) : 0;
      out[start + c] = e;
      sum += e;
    }
    for (let c = 0; c < f; c++) out[start + c] /= sum;
  }
}

export function softmaxAtTemperature(out: FloatArray, x: FloatArray, t: number, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) {
    const start = r * f;
    let max = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < f; c++) max = Math.max(max, x[start + c]);
    let sum = 0;
    for (let c = 0; c < f; c++) {
      const e = Math.exp((x[start + c] - max) / t);
      out[start + c] = e;
      sum += e;
    }
    for (let c = 0; c < f; c++) out[start + c] /= sum;
  }
}

// The gradient of the mean of the rows' cross-entropy.

export function crossEntropy(out: FloatArray, x: FloatArray, target: Int32Array, rows: number, f: number): void {
  softmax(out, x, rows, f);
  meanMinusTargets(out, target, 1, rows, f);
}

export function maskedCrossEntropy(
  out: FloatArray,
  x: FloatArray,
  target: Int32Array,
  mask: Uint8Array,
  rows: number,
  f: number,
): void {
  maskedSoftmax(out, x, mask, rows, f);
  meanMinusTargets(out, target, 1, rows, f);
}

export function smoothedCrossEntropy(
  out: FloatArray,
  x: FloatArray,
  target: Int32Array,
  smoothing: number,
  rows: number,
  f: number,
): void {
  softmax(out, x, rows, f);
  for (let k = 0; k < rows * f; k++) out[k] -= smoothing / f;
  meanMinusTargets(out, target, 1 - smoothing, rows, f);
}

function meanMinusTargets(out: FloatArray, target: Int32Array, share: number, rows: number, f: number): void {
  for (let r = 0; r < rows; r++) out[r * f + target[r]] -= share;
  for (let k = 0; k < rows * f; k++) out[k] /= rows;
}

export function crossEntropyOfProbabilities(
  out: FloatArray,
  x: FloatArray,
  target: FloatArray,
  rows: number,
  f: number,
): void {
  softmax(out, x, rows, f);
  for (let k = 0; k < rows * f; k++) out[k] = (out[k] - target[k]) / rows;
}

/** Rows with a negative index are ignored; those of a class may have a weight. */
export function weightedCrossEntropy(
  out: FloatArray,
  x: FloatArray,
  target: Int32Array,
  weight: FloatArray | null,
  rows: number,
  f: number,
): void {
  softmax(out, x, rows, f);
  let sum = 0;
  for (let r = 0; r < rows; r++) if (target[r] >= 0) sum += weight ? weight[target[r]] : 1;
  for (let r = 0; r < rows; r++) {
    let factor = 0;
    if (target[r] >= 0) {
      out[r * f + target[r]] -= 1;
      factor = (weight ? weight[target[r]] : 1) / sum;
    }
    for (let c = 0; c < f; c++) out[r * f + c] *= factor;
  }
}
