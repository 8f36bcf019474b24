import { useEffect } from 'preact/hooks';
import { Lazy } from './components/lazy.js';
import { hrefOf, type PanelName, panels, useVisit } from './location.js';
import { Explore } from './panels/explore/panel.js';

const titles: Readonly<Record<PanelName, string>> = {
  explore: 'Explore',
  doctor: 'Doctor',
  conformance: 'Conformance',
  bench: 'Bench',
};

/** What Explore needs is in the first load; the other panels load when they are opened. */
const loaders = {
  doctor: async () => (await import('./panels/doctor/panel.js')).Doctor,
  conformance: async () => (await import('./panels/conformance/panel.js')).Conformance,
  bench: async () => (await import('./panels/bench/panel.js')).Bench,
};

export function App() {
  const { panel, parameters, number } = useVisit();
  useEffect(() => {
    document.title = `${titles[panel]} · softgrad playground`;
  }, [panel]);
  return (
    <>
      <header class="page-header">
        <a class="wordmark" href="#explore" aria-label="softgrad playground, start">
          <img src="./icon.svg" alt="" width="26" height="26" />
          <span>softgrad</span>
        </a>
        <nav aria-label="Panels">
          {panels.map((name) => (
            <a key={name} href={hrefOf(name)} aria-current={name === panel ? 'page' : undefined}>
              {titles[name]}
            </a>
          ))}
        </nav>
      </header>
      <main>
        {panel === 'explore' ? (
          <Explore key={number} parameters={parameters} />
        ) : (
          <Lazy key={number} load={loaders[panel]} parameters={parameters} />
        )}
      </main>
    </>
  );
}
