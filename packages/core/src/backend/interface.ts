import type { DType, FloatDType, HostArray } from '../tensor/dtype.js';

/**
 * How a kernel sees its operand: a contiguous block of `outer × classes × inner` elements, reduced over its middle
 * dimension. Element (o, c, i) is at `(o * classes + c) * inner + i`; there are `outer * inner` rows. `inner === 1`
 * (the last axis) is the common fast case. All three are at least 1: core answers for empty tensors itself.
 */
export interface Rows {
  readonly outer: number;
  readonly classes: number;
  readonly inner: number;
}

/**
 * An engine that runs kernels. `B` is its own buffer handle, opaque to core; a handle knows its dtype and length.
 *
 * The contract:
 * - Work is enqueued and runs in the order enqueued; only `read`, `sync` and `close` may wait. `read` sees all work enqueued before it.
 * - Core validates shapes, axes, dtypes, liveness and aliasing before it calls a kernel. Kernels check nothing, allocate no
 *   operand and write every element of `out`.
 * - `out` is the first operand and always given. Unless `supports.inPlace`, core never passes an `out` that is also an input.
 * - `free` may be called while work that uses the buffer is still enqueued: the result of that work must still be correct.
 * - Failures are `SoftgradError`s: ERR_OUT_OF_MEMORY from `alloc`, ERR_DEVICE_LOST from any call after the device is lost, when `lost` is true.
 *
 * - Every kernel may decline by returning `false` before it writes anything: a layout, a temperature, a mask. Core then composes
 *   the operation from the basis. Only the plain call of the three required kernels (temperature 1, no mask) may not be declined.
 *
 * An author must write storage and three kernels: `softmax`, `jacobian`, `vjp`. With a `basis` every other operation works too;
 * `kernels` make them fast. The conformance suite (`@softgrad/core/conformance`) tests all of it.
 */
export interface Backend<B = unknown> {
  /** The name that errors, tables and reports use: 'cpu', 'wasm', … */
  readonly name: string;
  readonly supports: Supports;
  /** True once `close` was called; core refuses tensors of a closed backend with ERR_DISPOSED. */
  readonly closed: boolean;
  /**
   * True once the device is known to be lost and every call that needs it fails with ERR_DEVICE_LOST. `setBackend` and `openShared` then open the provider
   * again instead of returning this backend. Missing for a backend that cannot lose its device, or can continue without it.
   */
  readonly lost?: boolean | undefined;

  /**
   * A new buffer of `length` elements (≥ 0), contents unspecified. Every backend stores its float dtypes, int32 and bool. With
   * `use: 'intermediate'` it is for what a composed operation has rounded on its way: the backend may keep more digits there than the dtype has.
   * Such a buffer is given to basis operations and kernels alone, together with others of the dtype.
   */
  alloc(length: number, dtype: DType, use?: 'intermediate'): B;
  /** Copies `host` (the host array of the buffer's dtype, same length) into the buffer; `host` may change once this returns. */
  write(buffer: B, host: HostArray): void;
  /** The buffer's elements, in a host array that the caller may keep. */
  read(buffer: B): Promise<HostArray>;
  /** `read` without waiting; missing if the backend has to wait. */
  readSync?(buffer: B): HostArray;
  /** The buffer's memory itself, valid until the next call into the backend; missing if the memory is not accessible. */
  view?(buffer: B): HostArray;
  free(buffer: B): void;
  /**
   * What a buffer of this backend holds, for the checks of `fromBuffer`; null for anything else: a buffer of another backend, and a freed one if
   * the backend can tell. Without this method, `fromBuffer` trusts its caller.
   */
  bufferInfo?(buffer: unknown): { readonly length: number; readonly dtype: DType } | null;
  /**
   * The buffers that are allocated and not freed, and their bytes, which grow in a loop that forgets to dispose its results. Missing if they are
   * collected as garbage.
   */
  memory?(): { readonly buffers: number; readonly bytes: number };
  /** Resolves when all enqueued work is done; rejects with ERR_DEVICE_LOST if it can't be. */
  sync(): Promise<void>;
  /** Frees everything and ends workers; twice is harmless. A `read` that waits settles, with its data or ERR_DISPOSED. Other backends of the provider stay open. */
  close(): Promise<void> | void;

  /** `out[o,c,i] = exp(x[o,c,i] / T) / Σ_k exp(x[o,k,i] / T)` over the entries that the mask keeps, shifted by the row's maximum. */
  softmax(out: B, logits: B, rows: Rows, parameters: SoftmaxParameters<B>): void | false;
  /** `out[o,i,r,c] = s[o,r,i] (δ_rc − s[o,c,i]) / T`: one classes × classes matrix a row, rows in (outer, inner) order. */
  jacobian(out: B, probabilities: B, rows: Rows, parameters: DerivativeParameters): void | false;
  /** `out = s ⊙ (g − ⟨s, g⟩) / T` over each row; also the jvp, since J is symmetric. */
  vjp(out: B, probabilities: B, cotangent: B, rows: Rows, parameters: DerivativeParameters): void | false;

  readonly basis?: Basis<B> | undefined;
  readonly kernels?: Kernels<B> | undefined;
}

/** An engine by name, before it is opened. */
export interface BackendProvider<B = unknown, O = unknown> {
  readonly name: string;
  /** `null` if the backend can run here, otherwise one sentence: what is missing and how to install it. */
  unavailable(): Promise<string | null>;
  /** @throws ERR_BACKEND_UNAVAILABLE if `unavailable()` returns a reason */
  open(options?: O): Promise<Backend<B>>;
}

/** What a backend can do on this device, measured or specified when it was opened: plain data, asserted by conformance both ways. */
export interface Supports {
  /** The float dtypes that its kernels compute. */
  readonly dtypes: readonly FloatDType[];
  /** Kernels give right results when `out` is also an input of the same size. */
  readonly inPlace: boolean;
  readonly limits: {
    /** Most elements of one buffer. */
    readonly elements: number;
    /** Most classes of one row. */
    readonly classes: number;
  };
  /** A description of the device that runs the kernels: 'WebAssembly SIMD, 2 threads', 'google swiftshader (webgpu)'. */
  readonly device: string;
  /** Whether float32 results below 2⁻¹²⁶ keep their value or become 0. */
  readonly subnormals: 'preserve' | 'flush';
  /** 'ieee': NaN and ±Infinity mean what SciPy means by them. 'unspecified': −Infinity logits still have probability 0, the rest may differ. */
  readonly nonFinite: 'ieee' | 'unspecified';
  /**
   * 'full': operands and temperatures up to the ends of the dtype's range give the result wherever it can be held. 'ordinary': x/T, x − max, or
   * sums and differences of cotangents may overflow or lose digits on the way. Second derivatives are not covered. Default 'full'.
   */
  readonly range?: 'full' | 'ordinary';
  /** Error bound of exp(x) in ULP of the result: `base + slope · |x|`. */
  readonly expUlp: { readonly base: number; readonly slope: number };
}

/** Dimensions of an operand of a basis operation. */
export type Extent = readonly [outer: number, classes: number, inner: number];

/** A contiguous buffer of `extent` dimensions, each that of the result or 1, which broadcasts. A number stands for a constant. */
export type Operand<B> = number | { readonly buffer: B; readonly extent: Extent };

export type UnaryOp = 'neg' | 'exp' | 'log';
export type BinaryOp = 'add' | 'sub' | 'mul' | 'div' | 'max' | 'min';
export type ReduceOp = 'sum' | 'max';

/**
 * Five verbs from which core composes every operation that a backend has not fused. Element semantics are IEEE
 * (`max` and `min` give NaN where either is NaN). Where `supports.inPlace`, `out` may be an operand of the same extent.
 */
export interface Basis<B> {
  unary(out: B, op: UnaryOp, x: B, length: number): void;
  /** `out = a op b` over `extent`, operands broadcast to it. */
  binary(out: B, op: BinaryOp, a: Operand<B>, b: Operand<B>, extent: Extent): void;
  /** `out[o,i] = op_k x[o,k,i]`. */
  reduce(out: B, op: ReduceOp, x: B, rows: Rows): void;
  /** `out = condition > 0 ? a : b` over `extent`; the condition is a bool or a float buffer; the value that is not chosen has no influence, not even NaN. */
  select(out: B, condition: Operand<B>, a: Operand<B>, b: Operand<B>, extent: Extent): void;
  /** `out[o,i,c] = x[o,c,i]`: the middle dimension made the last. */
  transpose(out: B, x: B, rows: Rows): void;
}

/** Parameters of a derivative. Core has taken care of the mask: it is applied before and after the kernel. */
export interface DerivativeParameters {
  /** Finite and not 0. Negative for softmin, whose rows are shifted by their minimum. */
  readonly temperature: number;
}

/** Parameters of the softmax family: the logits are divided by `temperature`, entries where the mask is 0 do not exist. */
export interface SoftmaxParameters<B> extends DerivativeParameters {
  /** A bool buffer of `outer × classes × inner`; block o of the logits uses mask block `o % mask.outer`. */
  readonly mask: { readonly buffer: B; readonly outer: number } | null;
}

/** What `crossEntropy` computes: `q` are the target weights of a row, from class indices or from probabilities. */
export interface CrossEntropyParameters<B> extends SoftmaxParameters<B> {
  /** Class indices (int32, one for each row in (outer, inner) order) or probabilities (like the logits). */
  readonly target: { readonly kind: 'indices' | 'probabilities'; readonly buffer: B };
  /** One weight a class, in the logits' dtype. */
  readonly weight: B | null;
  /** In [0, 1]: `q ← (1 − ε) q + ε/K` over the K entries of the row that the mask keeps (all classes without one). */
  readonly labelSmoothing: number;
  /** Rows of this class index have loss 0 and gradient 0. Not used with probabilities. */
  readonly ignoreIndex: number;
  /** Multiplies loss and gradient: 1/N for the mean. */
  readonly scale: number;
}

/**
 * The kernels beyond the required three, all optional. Conformance runs every operation by its kernels and composed, and the two
 * must agree.
 *
 * Rows that a mask empties altogether have probability 0, log-probability −Infinity, log-sum-exp −Infinity and gradient 0.
 * In a row that is NaN because of its other entries, masked entries still have probability 0 and log-probability −Infinity.
 */
export interface Kernels<B> {
  /**
   * `vjp` with a mask: masked entries of the cotangent have no influence, not even NaN, and those of `out` are 0, in a row that is NaN too. Without
   * this kernel, or if it declines, core applies the mask before and after `vjp`.
   */
  maskedVjp?(out: B, probabilities: B, cotangent: B, rows: Rows, parameters: SoftmaxParameters<B>): void | false;
  /** `out = x/T − log Σ exp(x/T)`. */
  logSoftmax?(out: B, logits: B, rows: Rows, parameters: SoftmaxParameters<B>): void | false;
  /**
   * `out = (g − exp(y) Σ g) / T`, the sum over the row. Where y is near 0 this cancels: `1 − exp(y)` is `−expm1(y)`, and the sum is that over the other
   * entries.
   */
  logSoftmaxVjp?(out: B, logProbabilities: B, cotangent: B, rows: Rows, parameters: DerivativeParameters): void | false;
  /** `out = (t − ⟨exp(y), t⟩) / T`. */
  logSoftmaxJvp?(out: B, logProbabilities: B, tangent: B, rows: Rows, parameters: DerivativeParameters): void | false;
  /** `out[o,i,r,c] = (δ_rc − exp(y_c)) / T`. */
  logSoftmaxJacobian?(out: B, logProbabilities: B, rows: Rows, parameters: DerivativeParameters): void | false;
  /**
   * `out = s ⊙ (a ⊙ b − ⟨s, a ⊙ b⟩) / T²` over each row, with the centred `a = g − ⟨s, g⟩` and `b = t − ⟨s, t⟩`: the derivative of `vjp`
   * along the tangent t of the logits. The values of g and t at a probability above ½ must be subtracted from them first.
   */
  softmaxHvp?(
    out: B,
    probabilities: B,
    cotangent: B,
    tangent: B,
    rows: Rows,
    parameters: DerivativeParameters,
  ): void | false;
  /** `out = −Σg · p ⊙ (t − ⟨p, t⟩) / T²` over each row, p = exp(y): the derivative of `logSoftmaxVjp` along the tangent t. */
  logSoftmaxHvp?(
    out: B,
    logProbabilities: B,
    cotangent: B,
    tangent: B,
    rows: Rows,
    parameters: DerivativeParameters,
  ): void | false;
  /**
   * `out = g[o,i] p ⊙ (t − ⟨p, t⟩) / T²` over each row, p = softmax(x/T), the cotangent with one number a row: the Hessian of log-sum-exp,
   * and of cross-entropy, times t. Masked entries have no influence, whatever their t, and are 0; so are entirely masked rows.
   */
  logSumExpHvp?(
    out: B,
    logits: B,
    cotangent: B,
    tangent: B,
    rows: Rows,
    parameters: SoftmaxParameters<B>,
  ): void | false;
  /** `out[o,i] = log Σ_k exp(x[o,k,i] / T)`: NaN if an entry is NaN, otherwise Infinity if one is, and −Infinity if all are −Infinity. */
  logSumExp?(out: B, logits: B, rows: Rows, parameters: SoftmaxParameters<B>): void | false;
  /**
   * Over each row, with p = softmax(x/T), `loss[o,i] = −scale Σ_c q_c log p_c` (terms with q = 0 are 0) and
   * `gradient = scale/T (p Σ_c q_c − q)`; either output may be null. `q` is the target smoothed, then weighted, then 0 where masked.
   */
  crossEntropy?(
    out: { readonly loss: B | null; readonly gradient: B | null },
    logits: B,
    rows: Rows,
    parameters: CrossEntropyParameters<B>,
  ): void | false;
  /** `out = 1 / (1 + exp(−x))`, right for every x. */
  sigmoid?(out: B, x: B, length: number): void | false;
  /** `out = g ⊙ y ⊙ (1 − y)`, y = sigmoid(x). */
  sigmoidVjp?(out: B, y: B, cotangent: B, length: number): void | false;
  /** `out = g ⊙ t ⊙ y (1 − y) (1 − 2y)`, y = sigmoid(x). */
  sigmoidHvp?(out: B, y: B, cotangent: B, tangent: B, length: number): void | false;
  /** `out = max(x, 0)`; NaN stays NaN. */
  relu?(out: B, x: B, length: number): void | false;
  /** `out = y > 0 ? g : 0`. */
  reluVjp?(out: B, y: B, cotangent: B, length: number): void | false;
}

/** The names of all kernels. */
export type KernelName = 'softmax' | 'jacobian' | 'vjp' | keyof Kernels<unknown>;
