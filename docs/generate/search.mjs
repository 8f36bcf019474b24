// A plugin for typedoc by which the search finds words of the packages' READMEs, which are the pages of their modules, and code in pages and READMEs as it is
// written, such as `J.sum(axis=1)`, and finds what users call before what tests of backends do. By itself typedoc searches comments and documents only, and its index leaves out brackets at the end of a word.
import { IndexEvent } from 'typedoc';

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.renderer.on(IndexEvent.PREPARE_INDEX, ({ searchResults, searchFields }) => {
    for (const [k, reflection] of searchResults.entries()) {
      if (isOfConformance(reflection)) reflection.relevanceBoost = 0.05;
      const parts = reflection.isDocument() ? reflection.content : reflection.readme;
      if (!parts) continue;
      const text = parts.map(({ text }) => text).join('');
      searchFields[k] = { ...searchFields[k], document: `${text}\n${bracketed(text).join(' ')}` };
    }
  });
}

/** Whether a declaration is one of the conformance suite, whose reference has each operation and option of core a second time. */
function isOfConformance(reflection) {
  return /\bconformance\b/.test(reflection.getFullName());
}

/** The words of inline code that end with a bracket, with an underscore after it, so that the bracket is not at the end. */
function bracketed(text) {
  const words = [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code]) => code.split(/[\s-]+/));
  return [...new Set(words.filter((word) => /[)\]}]$/.test(word)))].map((word) => `${word}_`);
}
