// The same with the clock of a browser's device.
import './webgpu-time.test.js';
