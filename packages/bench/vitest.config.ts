import { sharedWithChromium } from '../../vitest.shared.ts';

export default await sharedWithChromium();
