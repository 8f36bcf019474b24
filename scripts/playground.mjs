// `npm run playground`: installs, builds, and serves the page on this machine alone.
import { prepare } from './workspace.mjs';

const wanted = process.env.PORT ?? '5210';
const port = Number(wanted);
if (!Number.isInteger(port) || port < 0 || port > 65535) {
  console.error(`PORT=${wanted}: expected a port from 0 to 65535 (0 takes a free one)`);
  process.exit(2);
}
prepare({ quiet: true });
// The server is a package's own file: it may be loaded once the packages are there.
const { startServer } = await import('../packages/playground/server.mjs');
try {
  const { url } = await startServer({ port });
  console.log(`softgrad playground: ${url}`);
  console.error('Ctrl-C ends it.');
} catch (error) {
  if (error.code !== 'EADDRINUSE') throw error;
  console.error(`port ${port} is in use: PORT=0 npm run playground takes a free one`);
  process.exitCode = 1;
}
