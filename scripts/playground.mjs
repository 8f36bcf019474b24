// `npm run playground`: installs, builds, and serves the page on this machine; `-- --port 8080` chooses the port. `-- --build DIR` instead writes the
// page into a folder for a static host; `--docs URL` adds a link to the documentation.
import { resolve } from 'node:path';
import { argumentsOf } from './arguments.mjs';
import { prepare } from './workspace.mjs';

const { port, build, docs } = readOptions();
// npm runs scripts in the root of the repository: a relative folder is one of the folder in which npm was started.
const folder = build === undefined ? null : resolve(process.env.INIT_CWD ?? process.cwd(), build);
// Before the build, which takes long. This file needs no installed package.
if (folder !== null) await told(import('../packages/playground/static.mjs').then((page) => page.checkFolder(folder)));
await prepare();
// Import after installation, because this is a file of a package.
if (folder === null) await serve();
else await write(folder);

async function serve() {
  const { startServer } = await import('../packages/playground/server.mjs');
  try {
    const { url } = await startServer({ port });
    console.log(`softgrad playground: ${url}`);
    console.error('Ctrl-C ends it.');
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    console.error(`port ${port} is in use: npm run playground -- --port 0 takes a free one`);
    process.exitCode = 1;
  }
}

async function write(folder) {
  const { writeStaticPage } = await import('../packages/playground/static.mjs');
  await told(writeStaticPage(folder, { docs }));
  console.log(
    `softgrad playground: ${folder} can be put on any static host, or served with npx serve ${quoted(folder)}`,
  );
}

/** Ends the process with the message of what fails. */
async function told(work) {
  await work.catch((error) => {
    console.error(error.message);
    process.exit(2);
  });
}

/** For a shell. */
function quoted(path) {
  return /^[\w./:\\-]+$/.test(path) ? path : JSON.stringify(path);
}

function readOptions() {
  const { values } = argumentsOf(import.meta.url, {
    options: { port: { type: 'string', default: '5210' }, build: { type: 'string' }, docs: { type: 'string' } },
  });
  const port = Number(values.port);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return { ...values, port };
  console.error(`--port ${values.port}: expected a port from 0 to 65535; 0 takes a free one`);
  process.exit(2);
}
