import { sharedBuilt, sharedWithChromium, useSoftwareVulkan } from '../../vitest.shared.ts';

await useSoftwareVulkan();

export default await sharedWithChromium(sharedBuilt(import.meta.dirname, { afresh: ['calls.test.ts'] }));
