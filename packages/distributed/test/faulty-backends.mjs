// Registers backends, and ends or stops the process at the points that SOFTGRAD_TEST_FAULTS names: at each as often
// as it says, in all processes together.
import { subscribe } from 'node:diagnostics_channel';
import { closeSync, openSync } from 'node:fs';
import './register-backends.mjs';

const faults = JSON.parse(process.env.SOFTGRAD_TEST_FAULTS ?? '[]');

/** Takes one of a fault's times; false where all are taken. */
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
