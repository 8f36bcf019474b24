import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { edited } from '../../scripts/mutants/named.mjs';
import { named } from '../../scripts/mutants/named-list.mjs';

const packages = fileURLToPath(new URL('../../packages', import.meta.url));

test.each(named)('$package: the lines exist of: $what', (fault) => {
  const text = readFileSync(join(packages, fault.package, fault.file), 'utf8');
  expect(edited(text, fault)).not.toBe(text);
});
