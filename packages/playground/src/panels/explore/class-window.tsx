import { useState } from 'preact/hooks';
import { NumberField } from '../../components/number-field.js';
import { subscript } from '../../format.js';
import { mostClassesListed } from './compute.js';

/** How many classes have a slider at once: more of them make a long page on a phone. */
const atOnce = 12;

/** The classes that are shown of all, and how to show others. */
export interface ClassWindow {
  readonly classes: number;
  readonly shown: readonly number[];
  readonly first: number;
  readonly lastFirst: number;
  readonly isWhole: boolean;
  setFirst(first: number): void;
  /** Shows the last classes, of so many. */
  showLast(classes: number): void;
  setWhole(isWhole: boolean): void;
}

export function useClassWindow(classes: number): ClassWindow {
  const [chosen, setFirst] = useState(0);
  const [wanted, setWhole] = useState(false);
  const isWhole = wanted && classes <= mostClassesListed;
  const size = isWhole ? classes : Math.min(classes, atOnce);
  const lastFirst = classes - size;
  const first = Math.min(chosen, lastFirst);
  const shown = Array.from({ length: size }, (_, k) => first + k);
  const showLast = (of: number) => setFirst(Math.max(0, of - atOnce));
  return { classes, shown, first, lastFirst, isWhole, setFirst, showLast, setWhole };
}

interface Props {
  readonly window: ClassWindow;
  /** What is shown of each class, in the singular and in the plural. */
  readonly one: string;
  readonly many: string;
  readonly symbol: string;
}

/** Says which classes are shown, and has the controls that show others; nothing if all of them fit. */
export function ClassWindowControls({ window, one, many, symbol }: Props) {
  const { classes, shown, first, lastFirst, isWhole, setFirst, setWhole } = window;
  if (classes <= atOnce) return null;
  const last = first + shown.length - 1;
  const move = (by: number) => setFirst(Math.max(0, first + by));
  return (
    <fieldset class="class-window" aria-label={`Which ${many} are shown`}>
      <span class="quiet" role="status">
        {subscript(symbol, first)} to {subscript(symbol, last)} of {classes}
      </span>
      {!isWhole && (
        <>
          {/* A button that is disabled while it has the focus would lose it. */}
          <button
            type="button"
            aria-label={`previous ${many}`}
            aria-disabled={first === 0}
            onClick={() => move(-atOnce)}
          >
            ‹ Previous
          </button>
          <button
            type="button"
            aria-label={`next ${many}`}
            aria-disabled={first === lastFirst}
            onClick={() => move(atOnce)}
          >
            Next ›
          </button>
          <span class="class-window-first">
            <span aria-hidden="true">from</span>
            <NumberField label={`first ${one}`} value={first} least={0} most={lastFirst} integer onChange={setFirst} />
          </span>
        </>
      )}
      {classes <= mostClassesListed && (
        <button
          type="button"
          aria-label={isWhole ? `show ${atOnce} ${many}` : `show all ${classes} ${many}`}
          onClick={() => setWhole(!isWhole)}
        >
          {isWhole ? `Show ${atOnce}` : `Show all ${classes}`}
        </button>
      )}
    </fieldset>
  );
}
