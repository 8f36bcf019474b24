// A plugin for typedoc that converts formulas between lines of `$$` to MathML when the site is built, so that pages load nothing to render them.
import katex from 'katex';

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on('createDocument', (_context, document) => {
    document.content = joined(document.content).map((part) =>
      part.kind === 'text' ? { ...part, text: withFormulas(part.text) } : part,
    );
  });
}

/** The parts of a document, with adjacent texts joined, because typedoc splits texts at braces. */
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

/** Markdown with its formulas converted to MathML. @throws if TeX is not well-formed */
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
