// The exported declarations of an entry of a package, as Markdown: `npm run api` writes them into api/, so that a pull request shows changes of the API.
import ts from 'typescript';

const options = { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, types: [], noLib: true };

/** A TypeScript program for declaration files. Of other projects, whose declarations are six times as many, it reads nothing: a report has none of them. */
export function programOf(files) {
  const host = ts.createCompilerHost(options);
  host.resolveModuleNameLiterals = (literals, file, redirected, settings, source) =>
    literals.map((literal) => {
      if (!/^(?:\.|softgrad(?:\/|$)|@softgrad\/)/.test(literal.text)) return { resolvedModule: undefined };
      const mode = ts.getModeForUsageLocation(source, literal, settings);
      return ts.resolveModuleName(literal.text, file, settings, host, undefined, redirected, mode);
    });
  return ts.createProgram(files, options, host);
}

/** For each entry, `name` is the module specifier, and `types` the file with its types. */
export function apiReport(title, entries, program = programOf(entries.map(({ types }) => types))) {
  const checker = program.getTypeChecker();
  const printer = ts.createPrinter({ removeComments: true });
  const sections = entries.map(({ name, types }) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(types));
    const exported = checker.getExportsOfModule(module).sort((a, b) => (a.name < b.name ? -1 : 1));
    const texts = exported.map((symbol) => declarationsOf(symbol, checker, printer));
    return `## \`${name}\`\n\n\`\`\`ts\n${texts.join('\n')}\n\`\`\`\n`;
  });
  return `# ${title}\n\nWhat the package exports, without comments. \`npm run api\` writes this file.\n\n${sections.join('\n')}`;
}

function declarationsOf(symbol, checker, printer) {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const [first] = target.declarations ?? [];
  if (first === undefined) throw new Error(`${symbol.name}: declared outside of the workspace`);
  // `export * as` exports a whole file.
  if (ts.isSourceFile(first)) return namespaceOf(symbol, target, checker);
  const renamed = target.name === symbol.name ? '' : `// exported as ${symbol.name}\n`;
  const declarations = target.declarations.map((declaration) => {
    // The node with `const` is two levels above the declared name.
    const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
    return printer.printNode(ts.EmitHint.Unspecified, node, declaration.getSourceFile());
  });
  return `${renamed}${declarations.join('\n')}`;
}

function namespaceOf({ name }, module, checker) {
  const names = checker.getExportsOfModule(module).map((member) => member.name);
  return `namespace ${name} { ${names.sort().join(', ')} }`;
}
