import { SoftgradError } from '@softgrad/core';

/**
 * Suggests names for an unknown one of `--ops`. One that is like none of the known names is left to the package bench, whose error lists them all.
 *
 * @param known the names, each by the member of core that it stands for: `{ 'softmax.vjp': 'vjp' }` where `vjp` is that of softmax
 * @throws ERR_VALUE for an unknown name that differs from a member in case, dashes and colons only, is a member's beginning or ending (`vjp`), or begins
 *   with a member (`relu.gradient`)
 */
export function checkOps(chosen: readonly string[], known: Readonly<Record<string, string>>): void {
  for (const name of chosen) {
    if (Object.values(known).includes(name)) continue;
    const near = nearOps(name, known);
    if (near.length === 0) continue;
    const oneOf = near.length > 1 ? 'one of ' : '';
    throw new SoftgradError('ERR_VALUE', `--ops ${name}: unknown; did you mean ${oneOf}${near.join(', ')}?`);
  }
}

function nearOps(name: string, known: Readonly<Record<string, string>>): readonly string[] {
  const given = plain(name);
  const is = [
    (member: string) => member === given,
    (member: string) => member.startsWith(`${given}.`) || member.endsWith(`.${given}`),
    (member: string) => given.includes('.') && member.startsWith(given),
    (member: string) => given.startsWith(`${member}.`),
  ];
  const found = is.map((test) => Object.keys(known).filter((member) => test(plain(member))));
  return (found.find(({ length }) => length > 0) ?? []).map((member) => known[member] ?? member);
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, '').replace(':', '.');
}
