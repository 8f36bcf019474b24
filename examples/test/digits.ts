import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../dist/digits/main.js', import.meta.url));

/** Accuracies in percent by epoch, from what the example prints, and its standard error. */
export function train(...options: string[]): { readonly accuracies: Map<string, number[]>; readonly stderr: string } {
  const { stdout, stderr } = spawnSync(process.execPath, [main, '--backend', 'cpu', ...options], { encoding: 'utf8' });
  const accuracies = new Map<string, number[]>();
  for (const [, derivative, accuracy] of stdout.matchAll(/^(\S+) +epoch .* accuracy +([\d.]+) %$/gm)) {
    accuracies.set(derivative, [...(accuracies.get(derivative) ?? []), Number(accuracy)]);
  }
  return { accuracies, stderr };
}
