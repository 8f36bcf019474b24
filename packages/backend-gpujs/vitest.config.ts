import { sharedBuilt, sharedWithChromium } from '../../vitest.shared.ts';

export default await sharedWithChromium(sharedBuilt(import.meta.dirname, { afresh: ['engine.test.ts'] }));
