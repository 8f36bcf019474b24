import { mergeConfig } from 'vitest/config';
import { shared, sharedWithChromium, useSoftwareVulkan } from '../../vitest.shared.ts';

await useSoftwareVulkan();

export default await sharedWithChromium(mergeConfig(shared, { test: { setupFiles: ['test/setup.ts'] } }));
