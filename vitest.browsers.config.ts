import { everyPackageInChromium } from './vitest.shared.ts';

export default everyPackageInChromium();
