import { test } from 'node:test';
import { conformance, exact } from '@softgrad/core/conformance';

// A few sections are enough to show that the cases work in this runner.
const sections = ['supports', 'sigmoid', 'lifecycle'];
for (const c of await conformance(exact, { composed: false })) {
  if (sections.includes(c.section)) (c.skip ? test.skip : test)(c.name, c.run);
}
