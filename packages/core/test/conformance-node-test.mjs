import { test } from 'node:test';
import { conformance, exact } from '@softgrad/core/conformance';

for (const c of await conformance(exact)) (c.skip ? test.skip : test)(c.name, c.run);
