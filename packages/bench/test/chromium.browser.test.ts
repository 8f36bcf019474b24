import { inject } from 'vitest';
// One file, because each file has its own page, whose start takes longer than these tests.
import './page-in-chromium.js';
import './swap-in-chromium.js';

// The same as in Node, with the clock of a browser's device, which the tests of backend-webgpu read in Chromium.
if (inject('everything')) await import('./webgpu-time.test.js');
