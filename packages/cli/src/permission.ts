/** What Node's permission model can deny, by the name of the permission, and the option of node that allows it. */
const permissions: Readonly<Record<string, readonly [what: string, option: string]>> = {
  FileSystemRead: ['reading', '--allow-fs-read'],
  FileSystemWrite: ['writing', '--allow-fs-write'],
  ChildProcess: ['starting a process', '--allow-child-process'],
  WorkerThreads: ['starting a worker thread', '--allow-worker'],
  Net: ['access to the network', '--allow-net'],
};

/**
 * Which permission is missing, if an error says that Node's permission model or an option of node denied something; else null.
 * That is a choice of the user, not a defect of the program.
 */
export function missingPermission(cause: unknown): string | null {
  if (!(cause instanceof Error && 'code' in cause)) return null;
  if (cause.code === 'ERR_DLOPEN_DISABLED') return denied('loading native addons', '--allow-addons');
  if (cause.code !== 'ERR_ACCESS_DENIED') return null;
  const name = 'permission' in cause ? String(cause.permission) : '';
  const known = permissions[name];
  if (known === undefined) return `Node's permission model denies ${name || 'it'}: ${cause.message}`;
  const resource = 'resource' in cause && cause.resource ? ` ${cause.resource}` : '';
  return denied(`${known[0]}${resource}`, known[1]);
}

function denied(what: string, option: string): string {
  return `Node's permission model denies ${what}; the option ${option} of node allows it`;
}
