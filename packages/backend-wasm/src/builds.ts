import type { Build } from './module.js';

/** Separate dynamic imports, so that an application loads only one of the builds. */
export const builds = {
  simd: (): Promise<Build> => import('./simd.generated.js'),
  relaxed: (): Promise<Build> => import('./relaxed.generated.js'),
};
