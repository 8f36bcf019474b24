import { useEffect } from 'preact/hooks';
import { CopyLink } from './components/copy-link.js';
import { Lazy } from './components/lazy.js';
import { useKept } from './kept.js';
import { hrefOf, type PanelName, panels, useLinks, useVisit } from './location.js';
import { Explore } from './panels/explore/panel.js';
import { running } from './running.js';

const titles: Readonly<Record<PanelName, string>> = {
  explore: 'Explore',
  doctor: 'Doctor',
  conformance: 'Conformance',
  bench: 'Bench',
};

/** Explore is part of the first load; the other panels are loaded when they are opened. */
const loaders = {
  doctor: async () => (await import('./panels/doctor/panel.js')).Doctor,
  conformance: async () => (await import('./panels/conformance/panel.js')).Conformance,
  bench: async () => (await import('./panels/bench/panel.js')).Bench,
};

/** What the page lacks on this server: shared memory needs two headers, which static hosts do not send. */
function Hosting() {
  const docs = document.querySelector<HTMLLinkElement>('link[rel=help]');
  if (crossOriginIsolated && docs === null) return null;
  return (
    <footer class="hosting quiet">
      {docs !== null && <a href={docs.href}>Documentation</a>}
      {!crossOriginIsolated && (
        <span>
          Engines run on one thread here, because this page is served without the headers that let threads share memory
          (Cross-Origin-Opener-Policy, Cross-Origin-Embedder-Policy). The numbers are the same.
        </span>
      )}
    </footer>
  );
}

/** The links restore what each panel last showed; the link to the current one does not reset it. One whose run goes on meanwhile says so. */
function Navigation({ panel }: { readonly panel: PanelName }) {
  useLinks();
  const runs = useKept(running);
  return (
    <nav aria-label="Panels">
      {panels.map((name) => (
        <a key={name} href={hrefOf(name)} aria-current={name === panel ? 'page' : undefined}>
          {titles[name]}
          {runs[name] && name !== panel && <span class="running"> running</span>}
        </a>
      ))}
    </nav>
  );
}

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
        <Navigation panel={panel} />
        <CopyLink key={number} />
      </header>
      <main>
        {panel === 'explore' ? (
          // It follows links to itself, so that Back keeps the focus and the place on the page.
          <Explore parameters={parameters} />
        ) : (
          <Lazy key={number} load={loaders[panel]} parameters={parameters} />
        )}
      </main>
      <Hosting />
    </>
  );
}
