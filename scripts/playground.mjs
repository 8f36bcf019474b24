// `npm run playground`: installs, builds, and serves the page on this machine alone; `-- --port 8080` chooses the port.
import { parseArgs } from 'node:util';
import { prepare } from './workspace.mjs';

const port = portOf(process.argv.slice(2));
prepare({ quiet: true });
// The server is a package's own file: it may be loaded once the packages are there.
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

function portOf(args) {
  try {
    const { values } = parseArgs({ args, options: { port: { type: 'string', default: '5210' } } });
    const given = Number(values.port);
    if (Number.isInteger(given) && given >= 0 && given <= 65535) return given;
    console.error(`--port ${values.port}: expected a port from 0 to 65535; 0 takes a free one`);
  } catch (error) {
    console.error(error.message);
  }
  process.exit(2);
}
