/** Counts of one operation of the `Backend` interface. */
export interface OperationStatistics {
  readonly calls: number;
  readonly dispatches: number;
  /** Bytes of operands that its kernels load from buffers; a value that is loaded twice counts twice, caches are ignored. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * The work of a backend since it was opened, and the resources it holds: `backend.statistics()`.
 *
 * Times on a software device say nothing about a GPU, but these counts are the same on every device. This package's tests assert their
 * bounds: one dispatch and at most two loads of each input element up to 32768 classes, no readback between operations, no
 * growth.
 */
export interface Statistics {
  /** By the name of the `Backend`, `Basis` ('basis.unary', …) or `Kernels` member. */
  readonly operations: Readonly<Record<string, OperationStatistics>>;
  readonly dispatches: number;
  /** Command buffers submitted to the queue, each with several operations. */
  readonly submits: number;
  /** `write`s to the device. */
  readonly uploads: number;
  readonly bytesUploaded: number;
  /** Times that the host waited for data of the device: once per `read`. */
  readonly readbacks: number;
  readonly bytesReadBack: number;
  /** Buffers that are allocated, and buffers that were freed and are kept for reuse. */
  readonly liveBuffers: number;
  readonly liveBytes: number;
  readonly pooledBuffers: number;
  readonly pooledBytes: number;
  /** Mappable buffers for readback, kept for reuse. */
  readonly stagingBuffers: number;
  readonly stagingBytes: number;
  /** Kernel variants compiled, and bind groups kept for reuse. */
  readonly pipelines: number;
  readonly bindGroups: number;
}

/** The counts that accumulate; storage and queue know the resources that are held. */
export interface Counters {
  dispatches: number;
  submits: number;
  uploads: number;
  bytesUploaded: number;
  readbacks: number;
  bytesReadBack: number;
  pipelines: number;
  readonly operations: Map<string, { calls: number; dispatches: number; bytesRead: number; bytesWritten: number }>;
}

export function newCounters(): Counters {
  return {
    dispatches: 0,
    submits: 0,
    uploads: 0,
    bytesUploaded: 0,
    readbacks: 0,
    bytesReadBack: 0,
    pipelines: 0,
    operations: new Map(),
  };
}

/** Resets all counts except that of compiled pipelines. */
export function resetCounters(counters: Counters): void {
  const { pipelines } = counters;
  counters.operations.clear();
  Object.assign(counters, { ...newCounters(), pipelines, operations: counters.operations });
}

/** Counts one call of an operation and returns its counters, to which the caller adds its dispatches. */
export function countCall(counters: Counters, operation: string) {
  let row = counters.operations.get(operation);
  if (!row) {
    row = { calls: 0, dispatches: 0, bytesRead: 0, bytesWritten: 0 };
    counters.operations.set(operation, row);
  }
  row.calls++;
  return row;
}
