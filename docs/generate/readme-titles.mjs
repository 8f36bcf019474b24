// A plugin of typedoc: READMEs stand in the site under the title that they open with, since front matter would show where they are read as files.

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on('createDocument', (_context, document) => {
    const [first] = document.content;
    const title = first?.kind === 'text' ? /^# (.+)$/m.exec(first.text) : null;
    if (document.name.endsWith('README') && title) document.name = title[1].replace(/^@softgrad\/cli$/, 'Command line');
  });
}
