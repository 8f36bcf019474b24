import { sharedBuilt } from '../../vitest.shared.ts';

export default sharedBuilt(import.meta.dirname, { afresh: ['registry.test.ts'] });
