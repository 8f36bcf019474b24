// A plugin for typedoc that takes the title of a README from its first heading. Front matter with a title would be visible when a README is read as a file.

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on('createDocument', (_context, document) => {
    const [first] = document.content;
    const title = first?.kind === 'text' ? /^# (.+)$/m.exec(first.text) : null;
    if (document.name.endsWith('README') && title) document.name = title[1].replace(/^@softgrad\/cli$/, 'Command line');
  });
}
