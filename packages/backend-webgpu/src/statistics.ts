/** What one operation of the `Backend` interface has cost so far. */
export interface OperationStatistics {
  readonly calls: number;
  readonly dispatches: number;
  /** Bytes of operands that its kernels load from buffers, a value loaded twice counted twice, caches not considered. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * What a backend has done since it was opened, and what it holds: `backend.statistics()`.
 *
 * Software devices say nothing about speed; these counts say what a kernel costs on any device. The bounds that they keep to
 * (one dispatch and at most two loads of each input element up to 32768 classes, nothing read back between operations, no
 * growth) are asserted in this package's tests.
 */
export interface Statistics {
  /** By the name of the `Backend`, `Basis` ('basis.unary', …) or `Kernels` member. */
  readonly operations: Readonly<Record<string, OperationStatistics>>;
  readonly dispatches: number;
  /** Command buffers handed to the queue: several operations each. */
  readonly submits: number;
  /** `write`s to the device. */
  readonly uploads: number;
  readonly bytesUploaded: number;
  /** Times the host waited for the device's data: one a `read`, none for anything else. */
  readonly readbacks: number;
  readonly bytesReadBack: number;
  /** Buffers that were allocated and not freed, and those freed and kept for reuse. */
  readonly liveBuffers: number;
  readonly liveBytes: number;
  readonly pooledBuffers: number;
  readonly pooledBytes: number;
  /** Mapped buffers for reading, kept for reuse. */
  readonly stagingBuffers: number;
  readonly stagingBytes: number;
  /** Kernel variants compiled, and bind groups kept for reuse. */
  readonly pipelines: number;
  readonly bindGroups: number;
}

/** The counts that add up; what is held is known where it is held. */
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

/** Forgets what was counted; compiled pipelines stay. */
export function resetCounters(counters: Counters): void {
  const { pipelines } = counters;
  counters.operations.clear();
  Object.assign(counters, { ...newCounters(), pipelines, operations: counters.operations });
}

/** Counts one call of an operation and returns its row, to which its dispatches are added. */
export function countCall(counters: Counters, operation: string) {
  let row = counters.operations.get(operation);
  if (!row) {
    row = { calls: 0, dispatches: 0, bytesRead: 0, bytesWritten: 0 };
    counters.operations.set(operation, row);
  }
  row.calls++;
  return row;
}
