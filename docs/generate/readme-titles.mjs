// A plugin for typedoc that takes the title of a file whose name is in capitals, such as README or UPGRADING, from its first heading. Front matter with a title would be visible
// when such a file is read by itself. The pages of the project and of the packages have a title of their own, so that their READMEs lose the first heading there.

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on('createDocument', (_context, document) => {
    const [first] = document.content;
    const title = first?.kind === 'text' ? /^# (.+)$/m.exec(first.text) : null;
    if (/(?:^|\b)[A-Z]+$/.test(document.name) && title)
      document.name = title[1].replace(/^@softgrad\/cli$/, 'Command line');
  });
  app.renderer.on('beginRender', ({ project }) => {
    for (const { readme } of [project, ...(project.children ?? [])]) {
      const first = readme?.[0];
      if (first?.kind === 'text') first.text = first.text.replace(/^\s*# .+\n/, '');
    }
  });
}
