// Writes the same logits to each place: a folder or s3://BUCKET/PREFIX. Arguments: the places.
import { openStore } from '@softgrad/distributed';
import { npyElements, npyHeader } from '@softgrad/formats';

const [files, rows, classes] = [2, 100_000, 128];
const stores = await Promise.all(process.argv.slice(2).map(openStore));
let state = 1;
for (let file = 0; file < files; file++) {
  const logits = Float32Array.from({ length: rows * classes }, () => {
    state = (state * 48271) % 2147483647;
    return (state / 2147483647 - 0.5) * 20;
  });
  const bytes = Buffer.concat([npyHeader('<f4', [rows, classes]), npyElements(logits, '<f4')]);
  for (const store of stores) await store.putOnce(`logits/${file}.npy`, bytes);
}
