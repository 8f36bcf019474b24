import { useEffect, useRef, useState } from 'preact/hooks';
import { type Availability, probe, unknownBackends } from '../backends.js';

interface Props {
  readonly legend: string;
  readonly chosen: string | readonly string[];
  readonly onChoose: (name: string) => void;
  /** Boxes to tick instead of one to choose. */
  readonly several?: boolean;
}

/** softgrad's backends; one that can't run here is greyed, with the reason. They are looked at when the list is first seen. */
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
            disabled={state === 'unavailable'}
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

/** One after another: engines that start at once slow each other and the page. */
async function probeAll(show: (update: (before: readonly Availability[]) => readonly Availability[]) => void) {
  for (const { name } of unknownBackends()) {
    const found = await probe(name);
    show((before) => before.map((backend) => (backend.name === name ? found : backend)));
  }
}
