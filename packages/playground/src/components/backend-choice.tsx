import { useEffect, useRef, useState } from 'preact/hooks';
import { type Availability, probe, unknownBackends } from '../backends.js';

interface Props {
  readonly legend: string;
  readonly chosen: string | readonly string[];
  readonly onChoose: (name: string) => void;
  /** Checkboxes for several instead of a choice of one. */
  readonly several?: boolean;
}

/** softgrad's backends; one that cannot run here has the reason, and is disabled unless a link has chosen it. They are checked when the list is first shown. */
export function BackendChoice({ legend, chosen, onChoose, several = false }: Props) {
  const [backends, setBackends] = useState<readonly Availability[]>(unknownBackends);
  const group = useRef<HTMLFieldSetElement>(null);
  useEffect(() => {
    const element = group.current;
    if (!element) return;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      void probeAll(setBackends);
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  // What a link has chosen can be taken back.
  const [linked] = useState(chosen);
  const canUndo = (name: string) => several && linked.includes(name);
  const isChosen = (name: string) => (typeof chosen === 'string' ? chosen === name : chosen.includes(name));
  return (
    <fieldset class="choice" ref={group}>
      <legend>{legend}</legend>
      {backends.map(({ name, state, reason }) => (
        <label key={name} class={state} data-backend={name}>
          <input
            type={several ? 'checkbox' : 'radio'}
            name={legend}
            checked={isChosen(name)}
            disabled={state === 'unavailable' && !canUndo(name)}
            aria-describedby={reason === null ? undefined : `reason-${name}`}
            onChange={() => onChoose(name)}
          />
          {name}
          {state === 'unknown' && <span class="quiet"> …</span>}
          {reason !== null && (
            <span class="reason" id={`reason-${name}`}>
              {reason}
            </span>
          )}
        </label>
      ))}
    </fieldset>
  );
}

/** Checks one after another, because engines that start at the same time slow down each other and the page. */
async function probeAll(show: (update: (before: readonly Availability[]) => readonly Availability[]) => void) {
  for (const { name } of unknownBackends()) {
    const found = await probe(name);
    show((before) => before.map((backend) => (backend.name === name ? found : backend)));
  }
}
