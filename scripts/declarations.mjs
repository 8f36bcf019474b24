// The declarations that consumers of a package compile.
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** TypeScript infers `Float64Array<ArrayBufferLike>` for a result without a type annotation, and before 5.7 no typed array is generic. */
const genericArray = /\b(?:(?:Big)?(?:Float|Ui?nt|Int)\d+(?:Clamped)?Array|DataView)</;

/** A line for each place in the declarations of a built package that TypeScript 5.4 refuses. */
export function unsupportedDeclarations({ folder, manifest }) {
  const problems = [];
  const seen = new Set();
  const visit = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, 'utf8');
    for (const [index, line] of text.split('\n').entries()) {
      const [found] = genericArray.exec(line) ?? [];
      if (found === undefined) continue;
      problems.push(
        `${relative(folder, file)}:${index + 1} has ${found}…>, which TypeScript 5.4 refuses: annotate the type in the source`,
      );
    }
    for (const [, name] of text.matchAll(/\b(?:from|import\() ?['"](\.[^'"]+)\.js['"]/g))
      visit(join(dirname(file), `${name}.d.ts`));
  };
  for (const target of Object.values(manifest.exports)) if (target.types) visit(join(folder, target.types));
  return problems;
}
