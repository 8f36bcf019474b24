// A local npm registry that serves the packed packages and forwards every other request to the registry that npm is configured with, so that
// an install line runs exactly as it is in a README.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** Serves the tarballs. Returns the registry's address, and `close`. */
export async function startRegistry(packed) {
  const upstream = execFileSync('npm', ['config', 'get', 'registry'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  }).trim();
  const tarballs = new Map();
  const documents = new Map();
  const server = createServer(({ url = '/' }, response) => {
    const path = decodeURIComponent(url.split('?')[0]).slice(1);
    const tarball = tarballs.get(path);
    const document = documents.get(path);
    if (tarball) response.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end(tarball);
    else if (document) response.writeHead(200, { 'Content-Type': 'application/json' }).end(document);
    else response.writeHead(307, { Location: new URL(url.slice(1), upstream).href }).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${server.address().port}/`;
  for (const { tarball } of packed) {
    const bytes = readFileSync(tarball);
    const manifest = manifestOf(bytes);
    const path = `-/softgrad/${basename(tarball)}`;
    tarballs.set(path, bytes);
    documents.set(manifest.name, JSON.stringify(documentOf(manifest, bytes, `${address}${path}`)));
  }
  return {
    address,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The registry's response for a package with a single version. */
function documentOf(manifest, bytes, url) {
  const dist = {
    tarball: url,
    integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
    shasum: createHash('sha1').update(bytes).digest('hex'),
  };
  const { name, version } = manifest;
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } };
}

/** The package.json in a tarball, in which `workspace:` is replaced by versions. */
function manifestOf(tarball) {
  const tar = gunzipSync(tarball);
  const text = (from, length) => tar.toString('utf8', from, from + length).split('\0')[0];
  for (let at = 0; at + 512 <= tar.length; ) {
    const [name, size] = [text(at, 100), Number.parseInt(text(at + 124, 12), 8) || 0];
    if (name === 'package/package.json') return JSON.parse(tar.toString('utf8', at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new Error('a tarball has no package/package.json');
}
