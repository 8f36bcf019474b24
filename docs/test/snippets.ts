import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A ```ts block of a document: code that runs unchanged, and the output in its comments. */
export interface Snippet {
  /** `packages/core/README.md:12`. */
  readonly place: string;
  readonly code: string;
  /** The comments after `console.log(…);`, in order. */
  readonly printed: readonly string[];
}

/** Every ```ts block of every README and page, except blocks marked `ts fragment`, which cannot run on their own. */
export function snippets(): readonly Snippet[] {
  return blocks('```ts');
}

/** Every block marked `ts fragment`. */
export function fragments(): readonly Snippet[] {
  return blocks('```ts fragment');
}

/** The first lines of all blocks that a reader takes for TypeScript or JavaScript. */
export function openings(): readonly string[] {
  return documents().flatMap(
    (path) => readFileSync(path, 'utf8').match(/^ *```(?:[jt]sx?|typescript|javascript)\b.*$/gim) ?? [],
  );
}

function blocks(opening: string): readonly Snippet[] {
  return documents().flatMap((path) => {
    const found: Snippet[] = [];
    const lines = readFileSync(path, 'utf8').split('\n');
    for (let line = 0; line < lines.length; line++) {
      if (lines[line].trim() !== opening) continue;
      const end = lines.indexOf('```', line + 1);
      const code = lines.slice(line + 1, end).join('\n');
      const printed = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, comment]) => comment);
      found.push({ place: `${relative(root, path)}:${line + 1}`, code, printed });
      line = end;
    }
    return found;
  });
}

/** Every README and page. */
export function documents(): readonly string[] {
  const packages = readdirSync(join(root, 'packages'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  return [root, join(root, 'docs'), join(root, 'docs/operations'), join(root, 'examples'), ...packages].flatMap(
    (folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.md'))
        .map((name) => join(folder, name)),
  );
}
