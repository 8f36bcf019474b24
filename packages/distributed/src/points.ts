import { channel } from 'node:diagnostics_channel';

/**
 * The steps in the processing of a shard that can be observed on the diagnostics channel `softgrad:distributed`. Tests of faults end or stop a
 * process at each of them.
 */
export type Point =
  | 'shard:started'
  | 'shard:computed'
  | 'store:temporary'
  | 'store:linked'
  | 'shard:done'
  | 'merge:done'
  | 'merge:submitted';

/** A message on the diagnostics channel `softgrad:distributed`. */
export interface PointMessage {
  readonly point: Point;
  /** The shard's name or the object's path. */
  readonly subject: string;
}

const points = channel('softgrad:distributed');

export function reached(point: Point, subject: string): void {
  points.publish({ point, subject } satisfies PointMessage);
}
