import { sharedWithChromium, useSoftwareVulkan } from '../../vitest.shared.ts';

await useSoftwareVulkan();

export default await sharedWithChromium({ setupFiles: ['test/setup.ts'] });
