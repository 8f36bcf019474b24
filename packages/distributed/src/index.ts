/**
 * `@softgrad/distributed`: the operations of softgrad over many files, split into shards that are computed by any number of threads or machines.
 *
 * @module distributed
 */

export { changedInputs } from './changed-inputs.js';
export { type EmbeddedOptions, type Progress, runEmbedded, type Share } from './embedded.js';
export { folderStore } from './folder-store.js';
export { openStore } from './open-store.js';
export { partsReader } from './parts-reader.js';
export { MismatchError } from './pins.js';
export { createPlan, defaultShardBytes, type RunOptions } from './plan.js';
export type { Point, PointMessage } from './points.js';
export { type Damage, readManifest, readPlan } from './run-folder.js';
export { type Manifest, manifestSchema, type Operation, type Plan, planSchema } from './schema.js';
export { idOf } from './shards.js';
export { type RunStatus, statusOf } from './status.js';
export type { NewObject, Store, StoredObject } from './store.js';
export { removeDamaged, type Verification, verify } from './verify.js';
export { version } from './version.js';
