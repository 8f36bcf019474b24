import { useEffect, useState } from 'preact/hooks';
import { lacksNumbers } from './last-state.js';

/** The panels of the page, in the order of its navigation. */
export const panels = ['explore', 'doctor', 'conformance', 'bench'] as const;
export type PanelName = (typeof panels)[number];

/** The content of the URL: `#explore?row=2&t=0.5` is a panel and its state. */
export interface View {
  readonly panel: PanelName;
  readonly parameters: URLSearchParams;
}

/** One visit of a view, by a link or by hand. Each visit is a new object, so that a panel starts again from its URL. */
export interface Visit extends View {
  readonly number: number;
}

/** The last state of each panel, so that the link to the panel restores it. */
const left = new Map<PanelName, string>();
const linksChanged = new EventTarget();

export function readView(): View {
  const [name, query = ''] = location.hash.slice(1).split('?', 2);
  return { panel: panels.find((panel) => panel === name) ?? 'explore', parameters: new URLSearchParams(query) };
}

/** What the page last read or wrote. If the URL has something else, a link was followed whose event is still to come. */
let known = '';

/** A change that comes later than this after another one is a step of its own. */
const pauseMs = 1000;

/** Until when a change belongs to the last step in the history. A drag is one step, however long the pointer rests. */
let stepEnds = 0;
let isPressed = false;

addEventListener(
  'pointerdown',
  () => {
    isPressed = true;
    stepEnds = 0;
  },
  { capture: true },
);
for (const released of ['pointerup', 'pointercancel']) {
  addEventListener(
    released,
    () => {
      isPressed = false;
      if (stepEnds === Infinity) stepEnds = performance.now() + pauseMs;
    },
    { capture: true },
  );
}

/** Whether a change begins a step of the history: one drag, and keys that follow one another quickly, would make hundreds. */
function beginsStep(): boolean {
  const now = performance.now();
  const begins = now >= stepEnds;
  stepEnds = isPressed ? Infinity : now + pauseMs;
  return begins;
}

/**
 * Writes a panel's state into the URL.
 *
 * @param isChange whether the user has changed the state: then the browser's Back returns to the state before. There is no way back to a state that is too long for a link.
 */
export function writeParameters(panel: PanelName, parameters: URLSearchParams, isChange = false): void {
  const query = parameters.toString();
  left.set(panel, query);
  linksChanged.dispatchEvent(new Event('change'));
  if (location.hash !== known || readView().panel !== panel) return;
  const next = hrefOf(panel);
  if (next === location.hash) return;
  const isStep = isChange && beginsStep() && !lacksNumbers(readView().parameters);
  history[isStep ? 'pushState' : 'replaceState'](null, '', next);
  known = location.hash;
}

export function hrefOf(panel: PanelName): string {
  const query = left.get(panel) ?? '';
  return query === '' ? `#${panel}` : `#${panel}?${query}`;
}

/** Renders a component again whenever the link to a panel changes. */
export function useLinks(): void {
  const [, setChanges] = useState(0);
  useEffect(() => {
    const update = () => setChanges((changes) => changes + 1);
    linksChanged.addEventListener('change', update);
    return () => linksChanged.removeEventListener('change', update);
  }, []);
}

/** The view in the URL, updated whenever the user goes to another one; changes that panels write themselves do not count. */
export function useVisit(): Visit {
  const [visit, setVisit] = useState<Visit>(() => ({ ...visited(), number: 0 }));
  useEffect(() => {
    const follow = () => {
      const view = visited();
      setVisit(({ number }) => ({ ...view, number: number + 1 }));
    };
    addEventListener('hashchange', follow);
    // A link may have been followed before there was a listener.
    if (location.hash !== known) follow();
    return () => removeEventListener('hashchange', follow);
  }, []);
  return visit;
}

function visited(): View {
  known = location.hash;
  stepEnds = 0;
  return readView();
}
