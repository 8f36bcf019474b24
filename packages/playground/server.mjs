// Serves the built page on the loopback interface, cross-origin isolated and with a strict Content-Security-Policy.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const built = fileURLToPath(new URL('dist/', import.meta.url));

/**
 * Scripts, styles and data only from this origin; WebAssembly may be compiled, eval is forbidden. Competitors in the benchmark (jax-js, tfjs on
 * WebAssembly) create their workers from blobs; the policy applies to those too.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const headers = {
  'Content-Security-Policy': policy,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/**
 * Starts the server on 127.0.0.1 and resolves with its URL and a function that ends it; port 0 uses a free port.
 *
 * Another site could make its own name resolve to 127.0.0.1 (DNS rebinding) and then read what is served here, so requests with another
 * Host or Origin than this server's are refused.
 */
export async function startServer({ port = 0, folder = built } = {}) {
  let hosts = [];
  const server = createServer((request, response) => {
    answer(request, response, folder, hosts).catch((error) => {
      response.writeHead(500, headers).end(`${error.message}\n`);
    });
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const own = server.address().port;
  hosts = [`127.0.0.1:${own}`, `localhost:${own}`];
  return {
    url: `http://127.0.0.1:${own}/`,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(request, response, folder, hosts) {
  const { host = '', origin } = request.headers;
  const foreign = !hosts.includes(host) || (origin !== undefined && !hosts.some((own) => origin === `http://${own}`));
  if (foreign) return refuse(response, 403, 'this server only answers requests to its own name from this machine');
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'expected GET or HEAD');
  const path = fileOf(request.url, folder);
  const file = path && (await stat(path).catch(() => null));
  if (!file?.isFile()) return refuse(response, 404, 'no such file');
  const cache = path.includes(`${sep}assets${sep}`) ? 'max-age=31536000, immutable' : 'no-cache';
  response.writeHead(200, {
    ...headers,
    'Content-Type': types[extname(path)] ?? 'application/octet-stream',
    'Content-Length': file.size,
    'Cache-Control': cache,
  });
  if (request.method === 'HEAD') return response.end();
  createReadStream(path).pipe(response);
}

/** The file for a URL, or null if it would be outside of the folder. */
function fileOf(url, folder) {
  try {
    const path = decodeURIComponent(new URL(url, 'http://localhost').pathname);
    const file = normalize(join(folder, path.endsWith('/') ? `${path}index.html` : path));
    return file.startsWith(normalize(folder)) && !file.includes('\0') ? file : null;
  } catch {
    return null;
  }
}

function refuse(response, status, reason) {
  response.writeHead(status, { ...headers, 'Content-Type': 'text/plain; charset=utf-8' }).end(`${reason}\n`);
}
