// docs/images/badges: what the README's first lines show, each read from the package.json that decides it. `npm run docs:tables` writes them.
import { readFileSync } from 'node:fs';
import { makeBadge } from 'badge-maker';

const manifest = (folder) => JSON.parse(readFileSync(new URL(`../../${folder}/package.json`, import.meta.url), 'utf8'));

/** A file's name and its text, for each badge. */
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
