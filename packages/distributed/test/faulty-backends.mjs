// Registers backends, and ends or stops the process at the points that SOFTGRAD_TEST_FAULTS names, each the given number of times
// over all processes.
import { subscribe } from 'node:diagnostics_channel';
import { closeSync, openSync } from 'node:fs';
import './register-backends.mjs';

const faults = JSON.parse(process.env.SOFTGRAD_TEST_FAULTS ?? '[]');

/** Uses up one of the occurrences of a fault; false if none is left. */
function take({ marker, times = 1 }) {
  for (let k = 0; k < times; k++) {
    try {
      closeSync(openSync(`${marker}-${k}`, 'wx'));
      return true;
    } catch {}
  }
  return false;
}

subscribe('softgrad:distributed', (message) => {
  for (const fault of faults) {
    const here = message.point === fault.point && message.subject.includes(fault.subject);
    if (here && take(fault)) process.kill(process.pid, fault.signal);
  }
});
