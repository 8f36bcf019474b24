import type { DType } from '@softgrad/core';

/** A buffer of the backend: a place in WebAssembly memory. Views of it are made anew whenever they are needed, since growth detaches them. */
export interface WasmBuffer {
  readonly address: number;
  readonly length: number;
  readonly dtype: DType;
  /** The WebAssembly memory of the backend which it belongs to. Its type is not in every library of TypeScript. */
  readonly memory: object;
}
