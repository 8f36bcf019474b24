import { sharedBuilt } from '../../vitest.shared.ts';

export default sharedBuilt(import.meta.dirname);
