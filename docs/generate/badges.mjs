// docs/images/badges: the badges at the top of the README, each with a value from a package.json. `npm run docs:tables` writes them.
import { readFileSync } from 'node:fs';
import { makeBadge } from 'badge-maker';

const manifest = (folder) => JSON.parse(readFileSync(new URL(`../../${folder}/package.json`, import.meta.url), 'utf8'));

/** The name and text of the file of each badge. */
export function badges() {
  const core = manifest('packages/core');
  const dependencies = Object.keys(core.dependencies ?? {}).length;
  const facts = {
    node: ['Node', core.engines.node.replace('>=', '≥ ')],
    types: ['types', core.types?.endsWith('.d.ts') ? 'included' : 'missing'],
    dependencies: ['dependencies of core', dependencies === 0 ? 'none' : String(dependencies)],
    license: ['license', core.license],
  };
  return new Map(
    Object.entries(facts).map(([name, [label, message]]) => [
      `${name}.svg`,
      `${makeBadge({ label, message, color: '#2166ac' })}\n`,
    ]),
  );
}
