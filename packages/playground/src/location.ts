import { useEffect, useState } from 'preact/hooks';

/** The panels of the page, in the order of its navigation. */
export const panels = ['explore', 'doctor', 'conformance', 'bench'] as const;
export type PanelName = (typeof panels)[number];

/** What the URL says: `#explore?row=2&t=0.5` is a panel and its state. */
export interface View {
  readonly panel: PanelName;
  readonly parameters: URLSearchParams;
}

/** A view that a reader came to, by a link or by hand: another one each time, so that a panel starts from its URL again. */
export interface Visit extends View {
  readonly number: number;
}

/** The state that each panel was left in, so that its link leads back to it. */
const left = new Map<PanelName, string>();

export function readView(): View {
  const [name, query = ''] = location.hash.slice(1).split('?', 2);
  return { panel: panels.find((panel) => panel === name) ?? 'explore', parameters: new URLSearchParams(query) };
}

/** Puts a panel's state in the URL, without a step in the history: a drag would make hundreds. */
export function writeParameters(panel: PanelName, parameters: URLSearchParams): void {
  const query = parameters.toString();
  left.set(panel, query);
  if (readView().panel === panel) history.replaceState(null, '', hrefOf(panel));
}

export function hrefOf(panel: PanelName): string {
  const query = left.get(panel) ?? '';
  return query === '' ? `#${panel}` : `#${panel}?${query}`;
}

/** The view that the URL names, again whenever the reader goes to another one; what panels write themselves is no visit. */
export function useVisit(): Visit {
  const [visit, setVisit] = useState<Visit>(() => ({ ...readView(), number: 0 }));
  useEffect(() => {
    const follow = () => setVisit(({ number }) => ({ ...readView(), number: number + 1 }));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return visit;
}
