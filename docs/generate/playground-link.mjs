// A plugin for typedoc that adds a link to the playground at the top of every page, if the site contains it (`npm run docs -- --site DIR`).
import { JSX } from 'typedoc';

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.options.addDeclaration({ name: 'playground', help: 'Where the playground is in the site.', defaultValue: '' });
  app.renderer.hooks.on('content.begin', (context) => {
    const playground = String(app.options.getValue('playground'));
    if (playground === '') return JSX.createElement(JSX.Fragment, null);
    return JSX.createElement(
      'p',
      { class: 'softgrad-playground' },
      JSX.createElement('a', { href: context.relativeURL(playground) }, 'Open the playground'),
    );
  });
}
