// gpu.js translates the text of these functions.

/** What gpu.js gives each thread. */
export interface Thread {
  readonly thread: { readonly x: number; readonly y: number };
  readonly constants: { readonly classes: number };
}

export function maximum(this: Thread, x: number[][]): number {
  let max = x[this.thread.x][0];
  for (let c = 1; c < this.constants.classes; c++) {
    max = Math.max(max, x[this.thread.x][c]);
  }
  return max;
}

export function sumOfExponentials(this: Thread, x: number[][], max: number[]): number {
  let sum = 0;
  for (let k = 0; k < this.constants.classes; k++) {
    sum += Math.exp(x[this.thread.x][k] - max[this.thread.x]);
  }
  return sum;
}

export function quotient(this: Thread, x: number[][], max: number[], sum: number[]): number {
  return Math.exp(x[this.thread.y][this.thread.x] - max[this.thread.y]) / sum[this.thread.y];
}
