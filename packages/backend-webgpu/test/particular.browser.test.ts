// The tests that need no Node run in Chromium as well.
import './accuracy.test.js';
import './counts.test.js';
import './devices.test.js';
import './faults.test.js';
import './jacobian.test.js';
import './measure.test.js';
import './time.test.js';
