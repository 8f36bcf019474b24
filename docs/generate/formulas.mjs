// A plugin of typedoc: formulas between lines of `$$` become MathML when the site is made, so that no page loads anything for them.
import katex from 'katex';

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on('createDocument', (_context, document) => {
    document.content = joined(document.content).map((part) =>
      part.kind === 'text' ? { ...part, text: withFormulas(part.text) } : part,
    );
  });
}

/** The parts of a document, adjacent texts in one: typedoc ends a text at every brace. */
export function joined(parts) {
  const found = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (part.kind === 'text' && last?.kind === 'text')
      found[found.length - 1] = { ...last, text: last.text + part.text };
    else found.push(part);
  }
  return found;
}

/** Markdown with its formulas as MathML. @throws for TeX that is not well-formed */
export function withFormulas(markdown) {
  return markdown.replace(/^\$\$\n([\s\S]*?)\n\$\$$/gm, (_, tex) => {
    const math = katex.renderToString(tex, {
      displayMode: true,
      output: 'mathml',
      throwOnError: true,
      strict: 'error',
    });
    return `<p>${math.replaceAll('\n', ' ')}</p>`;
  });
}
