// `npm run release:repository -- URL`: writes repository, bugs and homepage into every package.json. With trusted publishing, the registry
// accepts a package only from the repository that its package.json names.
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { argumentsOf } from './arguments.mjs';
import { publishedPackages } from './packages.mjs';
import { root } from './workspace.mjs';

const {
  positionals: [text],
} = argumentsOf(import.meta.url, { allowPositionals: true });
const url = URL.canParse(text ?? '') ? new URL(text) : null;
if (url?.protocol !== 'https:' || url.pathname.length < 2) {
  console.error('Usage: npm run release:repository -- https://HOST/OWNER/NAME');
  process.exit(2);
}
const address = url.href.replace(/(\.git)?\/?$/, '');
for (const { folder, manifest } of publishedPackages()) {
  const directory = relative(root, folder).replaceAll('\\', '/');
  const written = {
    ...manifest,
    repository: { type: 'git', url: `git+${address}.git`, directory },
    bugs: `${address}/issues`,
    homepage: `${address}/tree/main/${directory}#readme`,
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(written, null, 2)}\n`);
  console.log(`${manifest.name}: ${written.repository.url}, ${directory}`);
}
