// A plugin for typedoc by which the search finds words of the packages' READMEs, which are the pages of their modules. By itself typedoc searches comments and documents only.
import { IndexEvent } from 'typedoc';

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.renderer.on(IndexEvent.PREPARE_INDEX, ({ searchResults, searchFields }) => {
    for (const [k, reflection] of searchResults.entries()) {
      if (!reflection.isDeclaration() || !reflection.readme) continue;
      searchFields[k] = { ...searchFields[k], document: reflection.readme.map(({ text }) => text).join('') };
    }
  });
}
