// Prints, as one line of JSON, each part of a run with its size and the SHA-256 of its bytes, which must be that of the manifest. Arguments: the place
// of the store, the folder of the results.
import { createHash } from 'node:crypto';
import { openStore } from '@softgrad/distributed';

const [, , place, out] = process.argv;
const store = await openStore(place);
const read = async (path) => store.get(path, 0, (await store.stat(path)).byteLength);
const manifest = JSON.parse(new TextDecoder().decode(await read(`${out}/manifest.json`)));
const parts = Object.values(manifest.arrays).flatMap(({ parts }) => parts);
const found = {};
for (const { path, sha256 } of parts) {
  const bytes = await read(`${out}/${path}`);
  const hash = createHash('sha256').update(bytes).digest('hex');
  if (hash !== sha256) throw new Error(`${path} has the SHA-256 ${hash}, and in the manifest ${sha256}`);
  found[path] = `${bytes.length} bytes, ${hash}`;
}
const names = (await store.list(`${out}/softmax`)).map(({ path }) => path.slice(out.length + 1));
if (names.join() !== Object.keys(found).sort().join()) throw new Error(`there are other objects: ${names}`);
console.log(JSON.stringify(found));
