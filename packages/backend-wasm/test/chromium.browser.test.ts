// One file, because each file has its own page, whose start takes longer than these tests.
import './accuracy-in-chromium.js';
import './conforms-in-chromium.js';
import './threads-in-chromium.js';
