import { registered } from '@softgrad/core';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Availability, probe, unknownBackends } from '../backends.js';

interface Props {
  readonly legend: string;
  /** Empty as long as it is not known. */
  readonly chosen: string | readonly string[];
  readonly onChoose: (name: string) => void;
  /** Checkboxes for several instead of a choice of one. */
  readonly several?: boolean;
}

/**
 * softgrad's backends, and others that a link has chosen, such as an unknown name; one that cannot run here has the reason, and is disabled unless a link
 * has chosen it. They are checked when the list is first shown.
 */
export function BackendChoice({ legend, chosen, onChoose, several = false }: Props) {
  // What a link has chosen can be taken back.
  const [linked] = useState(() => [chosen].flat().filter((name) => name !== ''));
  const [backends, setBackends] = useState<readonly Availability[]>(() => unknownBackends(linked));
  const group = useRef<HTMLFieldSetElement>(null);
  useEffect(() => {
    const element = group.current;
    if (!element) return;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      void probeAll(linked, setBackends);
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [linked]);
  const canUndo = (name: string) => several && linked.includes(name);
  const isChosen = (name: string) => (typeof chosen === 'string' ? chosen === name : chosen.includes(name));
  return (
    <fieldset class="choice" ref={group}>
      <legend>{legend}</legend>
      {backends.map(({ name, state, reason }, k) => (
        <label key={name} class={state} data-backend={name}>
          <input
            type={several ? 'checkbox' : 'radio'}
            name={legend}
            checked={isChosen(name)}
            disabled={state === 'unavailable' && !canUndo(name)}
            aria-describedby={reason === null ? undefined : `reason-${k}`}
            onChange={() => onChoose(name)}
          />
          {name}
          {state === 'unknown' && <span class="quiet"> …</span>}
          {reason !== null && (
            <span class="reason" id={`reason-${k}`}>
              {reason}
            </span>
          )}
        </label>
      ))}
    </fieldset>
  );
}

/** Checks one after another, because engines that start at the same time slow down each other and the page: first what a link has chosen. */
async function probeAll(
  linked: readonly string[],
  show: (update: (before: readonly Availability[]) => readonly Availability[]) => void,
) {
  for (const name of [...linked, ...registered()]) {
    const found = await probe(name);
    show((before) => before.map((backend) => (backend.name === name ? { ...found, name } : backend)));
  }
}
