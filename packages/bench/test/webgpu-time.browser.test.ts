// The clock of a page's device is shown as well.
import './webgpu-time.test.js';
