// Servers of Debian's packages on free ports of the loopback interface, with their data in a temporary folder: Ceph's S3 gateway with a cluster of one
// node, and Redis. They end with `stop`, or with this process.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages } from '../system-packages.mjs';
import { freePort } from './free-port.mjs';

/** The Debian package of each command. */
const packageOf = {
  'ceph-mon': 'ceph-mon',
  'ceph-osd': 'ceph-osd',
  radosgw: 'radosgw',
  ceph: 'ceph-common',
  'redis-server': 'redis-server',
};

/** Installs the packages that the servers need, if this process is root. @throws the command that installs them, in one line, if they are missing */
export async function installServers() {
  await installPackages(missing());
  const packages = missing();
  if (packages.length > 0) {
    throw new Error(`missing: sudo apt-get install --no-install-recommends ${packages.join(' ')}`);
  }
  return 'installed';
}

function missing() {
  return Object.keys(packageOf)
    .filter((command) => spawnSync(command, ['--version']).error !== undefined)
    .map((command) => packageOf[command]);
}

export const keys = { accessKeyId: 'softgrad-access-key', secretAccessKey: 'softgrad-secret-key' };

/**
 * A Ceph cluster with one monitor, one storage daemon in memory and one gateway, without replicas and without authentication among the daemons. Resolves
 * when the gateway answers.
 */
export async function startCeph() {
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-ceph-'));
  const group = daemons(folder);
  try {
    for (const name of ['mon', 'osd', 'rgw']) mkdirSync(join(folder, name));
    const [monitor, gateway] = [await freePort(), await freePort()];
    const address = `v2:127.0.0.1:${monitor}`;
    const fsid = crypto.randomUUID();
    writeFileSync(join(folder, 'ceph.conf'), settings({ folder, fsid, address, gateway }));
    const run = (command, ...args) =>
      promisify(execFile)(command, args, {
        cwd: folder,
        env: { ...process.env, CEPH_CONF: join(folder, 'ceph.conf') },
        timeout: 120_000,
      });
    const start = (command, ...args) => group.start(command, ['--conf', 'ceph.conf', '--foreground', ...args]);
    await run('monmaptool', '--create', '--fsid', fsid, '--addv', 'a', `[${address}]`, 'monmap');
    await run('ceph-mon', '--mkfs', '--id', 'a', '--monmap', 'monmap');
    start('ceph-mon', '--id', 'a');
    const disk = crypto.randomUUID();
    await run('ceph', 'osd', 'new', disk, '0');
    await run('ceph-osd', '--mkfs', '--id', '0', '--osd-uuid', disk);
    start('ceph-osd', '--id', '0');
    // Waits until the storage daemon works, which creates the pools.
    const user = ['--uid=softgrad', '--display-name=softgrad'];
    const access = [`--access-key=${keys.accessKeyId}`, `--secret-key=${keys.secretAccessKey}`];
    await run('radosgw-admin', 'user', 'create', ...user, ...access);
    start('radosgw', '--name', 'client.rgw.a');
    const url = `http://127.0.0.1:${gateway}`;
    await group.until(() => fetch(url).then(({ ok }) => ok));
    const { stdout } = await run('radosgw', '--version');
    return { url, version: /ceph version (\S+)/.exec(stdout)?.[1] ?? stdout.trim(), stop: group.stop };
  } catch (error) {
    group.stop();
    throw error;
  }
}

function settings({ folder, fsid, address, gateway }) {
  return `[global]
fsid = ${fsid}
mon host = [${address}/0]
public addr = 127.0.0.1
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
# Every message between the daemons stays on this machine.
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
run dir = ${folder}
admin socket = ${folder}/$name.asok
pid file = ${folder}/$name.pid
log file = ${folder}/$name.log
crash dir = ${folder}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
# It needs little of the disk, however full that is.
mon data avail warn = 1
mon data avail crit = 1
[mon.a]
mon data = ${folder}/mon
public addr = [${address}/0]
[osd.0]
osd data = ${folder}/osd
osd objectstore = memstore
memstore device bytes = ${4 * 2 ** 30}
[client.rgw.a]
rgw data = ${folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:${gateway}
`;
}

/** Redis with settings that lose no jobs. */
export async function startRedis() {
  const folder = mkdtempSync(join(tmpdir(), 'softgrad-redis-'));
  const group = daemons(folder);
  const port = await freePort();
  const options = {
    port,
    bind: '127.0.0.1',
    dir: folder,
    save: '',
    appendonly: 'yes',
    'maxmemory-policy': 'noeviction',
  };
  group.start(
    'redis-server',
    Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
  );
  try {
    await group.until(() => promisify(execFile)('redis-cli', ['-p', String(port), 'ping']));
  } catch (error) {
    group.stop();
    throw error;
  }
  return { url: `redis://127.0.0.1:${port}`, stop: group.stop };
}

/** Processes in a folder, which is deleted with them. */
function daemons(folder) {
  const children = [];
  let ended;
  const stop = () => {
    process.off('exit', stop);
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  process.on('exit', stop);
  return {
    stop,
    start(command, args) {
      const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
      let output = '';
      child.stderr.on('data', (chunk) => {
        output = `${output}${chunk}`.slice(-2000);
      });
      children.push(child);
      once(child, 'exit').then(([code]) => {
        ended = `${command} ended with ${code}:\n${output}`;
      });
    },
    /** Waits until a request succeeds. @throws if a process ended instead, or after a minute */
    async until(request) {
      for (let tries = 0; ; tries++) {
        const succeeded = await Promise.resolve()
          .then(request)
          .catch(() => false);
        if (succeeded) return;
        if (ended !== undefined || tries === 300) throw new Error(ended ?? 'the server did not answer for a minute');
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    },
  };
}
