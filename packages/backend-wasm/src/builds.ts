import type { Build } from './module.js';

/** Separate dynamic imports, so that an application loads only one of the modules. */
export const builds = {
  simd: (): Promise<Build> => import('./simd.generated.js'),
  relaxed: (): Promise<Build> => import('./relaxed.generated.js'),
  /** The kernels of float32 alone. */
  float32: {
    simd: (): Promise<Build> => import('./simd-float32.generated.js'),
    relaxed: (): Promise<Build> => import('./relaxed-float32.generated.js'),
  },
};
