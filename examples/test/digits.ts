import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../dist/digits/main.js', import.meta.url));

/** Accuracies in percent by epoch, from what the example prints. */
export function train(...options: string[]): Map<string, number[]> {
  const output = execFileSync(process.execPath, [main, '--backend', 'cpu', ...options], { encoding: 'utf8' });
  const byDerivative = new Map<string, number[]>();
  for (const [, derivative, accuracy] of output.matchAll(/^(\S+) +epoch .* accuracy +([\d.]+) %$/gm)) {
    byDerivative.set(derivative, [...(byDerivative.get(derivative) ?? []), Number(accuracy)]);
  }
  return byDerivative;
}
