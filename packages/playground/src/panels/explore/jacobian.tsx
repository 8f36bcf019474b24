import type { TargetedKeyboardEvent } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatNumber, formatShape, subscript } from '../../format.js';
import { isRowNaN, largestOf, mostClassesDrawn, type Results } from './compute.js';

/** The largest number of classes with a number in each cell. */
const mostWithNumbers = 8;
/** The largest number of classes with a cell for each entry. */
const mostWithCells = 24;

/** The chosen row's Jacobian as a heat map, with its row sums. */
export function JacobianCard({ result }: { readonly result: Results }) {
  const { rows, classes } = result.state.signal;
  return (
    <section class="card" aria-labelledby="jacobian-title">
      <h2 id="jacobian-title">
        <span class="step">2</span> The Jacobian
      </h2>
      <p class="formula">
        J<sub>ij</sub> = ∂s<sub>i</sub>/∂x<sub>j</sub> = s<sub>i</sub> (δ<sub>ij</sub> − s<sub>j</sub>)
        {result.state.temperature !== 1 && ' / T'}
      </p>
      {result.jacobian && result.rowSums ? (
        <Matrix result={result} jacobian={result.jacobian} rowSums={result.rowSums} />
      ) : (
        <p>
          {classes} × {classes} entries are not drawn above {mostClassesDrawn} classes, and need not exist: the product
          below takes {classes} steps a row, not {classes}².
        </p>
      )}
      <p class="caption">
        One matrix a sample: {formatShape([rows, classes])} → {formatShape([rows, classes, classes])}.{' '}
        {isRowNaN(result)
          ? 'Of this sample every entry is NaN, as its probabilities are, and so is every sum.'
          : 'A logit raises its own probability and lowers the others by as much in total, so every row, and every column, adds up to 0.'}
      </p>
    </section>
  );
}

interface MatrixProps {
  readonly result: Results;
  readonly jacobian: NonNullable<Results['jacobian']>;
  readonly rowSums: readonly number[];
}

function Matrix({ result, jacobian, rowSums }: MatrixProps) {
  const { classes } = result.state.signal;
  if (classes > mostWithCells) return <Picture result={result} jacobian={jacobian} rowSums={rowSums} />;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a horizontally scrolling element must be reachable by keyboard
    <section class="matrix-scroll" tabIndex={0} aria-label="Jacobian with its row sums">
      {classes <= mostWithNumbers ? (
        <Entries result={result} jacobian={jacobian} rowSums={rowSums} />
      ) : (
        <DenseEntries key={classes} result={result} jacobian={jacobian} rowSums={rowSums} />
      )}
      <Scale largest={largestOf(jacobian)} />
      {rowSums.some((sum) => isZero(sum, result)) && (
        <p class="zero-note">
          <b>0</b> up to rounding; in grey, what rounding leaves in {result.dtype}
        </p>
      )}
    </section>
  );
}

interface EntriesProps extends MatrixProps {
  /** If given, the table is a grid of cells without numbers, of which one is chosen. */
  readonly grid?: {
    /** The index of the chosen entry, row by row. */
    readonly chosen: number;
    readonly onChoose: (k: number) => void;
    readonly onKeyDown: (event: TargetedKeyboardEvent<HTMLTableElement>) => void;
  };
}

/** The table of the entries, with the row sums. */
function Entries({ result, jacobian, rowSums, grid }: EntriesProps) {
  const { classes } = result.state.signal;
  const largest = largestOf(jacobian);
  const indices = Array.from({ length: classes }, (_, k) => k);
  return (
    <table class="matrix" {...(grid && gridProps(grid))}>
      <thead>
        <tr>
          <td />
          {indices.map((j) => (
            <th key={j} scope="col">
              {subscript('x', j)}
            </th>
          ))}
          <th scope="col" class="sum-head">
            row sum
          </th>
        </tr>
      </thead>
      <tbody>
        {rowSums.map((sum, i) => (
          <tr key={subscript('s', i)}>
            <th scope="row">{subscript('s', i)}</th>
            {indices.map((j) => {
              const k = i * classes + j;
              const value = jacobian[k] ?? Number.NaN;
              const text = `${nameOf(i, j)} = ${value}`;
              return (
                <td
                  key={j}
                  class={value < 0 ? 'entry negative' : 'entry'}
                  style={{ '--share': String(largest > 0 ? Math.abs(value) / largest : 0) }}
                  title={text}
                  {...(grid && cellProps(grid, k, text))}
                >
                  {grid ? '' : formatNumber(value, 3)}
                </td>
              );
            })}
            <td class="sum">
              <RowSum value={sum} result={result} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

type Grid = NonNullable<EntriesProps['grid']>;

function gridProps({ onKeyDown }: Grid) {
  return { class: 'matrix dense', role: 'grid', 'aria-label': 'entries', onKeyDown } as const;
}

/** One cell of a grid is a stop of the Tab key; the arrow keys move the focus to the others. */
function cellProps({ chosen, onChoose }: Grid, k: number, text: string) {
  const choose = () => onChoose(k);
  return {
    tabIndex: k === chosen ? 0 : -1,
    'aria-label': text,
    'aria-selected': k === chosen,
    onFocus: choose,
    onClick: choose,
  };
}

/** Entries whose cells have no room for a number: the number of the chosen one is below. */
function DenseEntries(props: MatrixProps) {
  const { classes } = props.result.state.signal;
  const [chosen, setChosen] = useState(0);
  const onKeyDown: Grid['onKeyDown'] = (event) => {
    const next = moved(chosen, event.key, classes);
    if (next === null) return;
    // Otherwise the keys would scroll the page.
    event.preventDefault();
    event.currentTarget.querySelectorAll<HTMLElement>('.entry')[next]?.focus();
  };
  return (
    <>
      <Entries {...props} grid={{ chosen, onChoose: setChosen, onKeyDown }} />
      <p class="chosen-entry">
        {nameOf(Math.floor(chosen / classes), chosen % classes)} ={' '}
        <b>{formatNumber(props.jacobian[chosen] ?? Number.NaN)}</b>{' '}
        <span class="quiet">the outlined entry: choose one with a tap, or with the arrow keys</span>
      </p>
    </>
  );
}

/** The entry to which a key moves; null if it is another key. */
function moved(from: number, key: string, classes: number): number | null {
  const [row, column] = [Math.floor(from / classes), from % classes];
  const last = classes - 1;
  const to: Readonly<Record<string, readonly [row: number, column: number]>> = {
    ArrowLeft: [row, Math.max(0, column - 1)],
    ArrowRight: [row, Math.min(last, column + 1)],
    ArrowUp: [Math.max(0, row - 1), column],
    ArrowDown: [Math.min(last, row + 1), column],
    Home: [row, 0],
    End: [row, last],
  };
  const next = to[key];
  return next === undefined ? null : next[0] * classes + next[1];
}

function nameOf(i: number, j: number): string {
  return `∂${subscript('s', i)}/∂${subscript('x', j)}`;
}

/** What the colours mean. They follow the largest entry, so that a saturated Jacobian is as colourful as another one: only these numbers tell. */
function Scale({ largest, picture = false }: { readonly largest: number; readonly picture?: boolean }) {
  if (!(largest > 0)) return null;
  return (
    <p class={picture ? 'scale picture' : 'scale'}>
      <span>{formatNumber(-largest, 3)}</span>
      <span class="scale-bar" aria-hidden="true" />
      <span>{formatNumber(largest, 3)}, the largest entry</span>
    </p>
  );
}

/** A row sum, which is 0 up to rounding unless it is NaN. */
export function RowSum({ value, result }: { readonly value: number; readonly result: Results }) {
  return isZero(value, result) ? <Zero value={value} /> : formatNumber(value);
}

/** A number that is 0 up to rounding: shown as 0, followed by the rounding error. */
export function Zero({ value }: { readonly value: number }) {
  return (
    <>
      <b>0</b> <span class="noise">{value === 0 ? 'exactly' : formatNumber(value)}</span>
    </>
  );
}

/** True if a sum is 0 up to rounding, which NaN is not. */
function isZero(sum: number, { roundingNoise }: Results): boolean {
  return Math.abs(sum) <= roundingNoise;
}

/** More entries than cells can show: one pixel each, and only the largest row sums. */
function Picture({ result, jacobian, rowSums }: MatrixProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { classes } = result.state.signal;
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const paint = () => draw(element, jacobian, classes);
    paint();
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', paint);
    return () => dark.removeEventListener('change', paint);
  }, [jacobian, classes]);
  const isAllNaN = isRowNaN(result);
  const largestSum = rowSums.reduce(
    (most, sum) => (Math.abs(sum) > Math.abs(most) ? sum : most),
    isAllNaN ? Number.NaN : 0,
  );
  return (
    <div>
      <canvas
        ref={canvas}
        class="matrix-picture"
        width={classes}
        height={classes}
        role="img"
        aria-label={`Jacobian of ${classes} by ${classes} entries: ${isAllNaN ? 'all are NaN' : 'the diagonal is positive, the rest negative'}`}
      />
      <Scale largest={largestOf(jacobian)} picture />
      <p class="zero-note">
        Largest of the {classes} row sums: <RowSum value={largestSum} result={result} />
      </p>
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, jacobian: NonNullable<Results['jacobian']>, classes: number): void {
  // The colours of the style sheet are read back from it.
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return;
  const style = getComputedStyle(canvas);
  const colour = (name: string) => channels(style.getPropertyValue(name), context);
  const [cell, positive, negative] = [colour('--cell'), colour('--positive'), colour('--negative')];
  const image = context.createImageData(classes, classes);
  const largest = largestOf(jacobian);
  for (const [k, entry] of jacobian.entries()) {
    // The diagonal is much larger than the rest, so a square root keeps the rest visible.
    const share = largest > 0 ? Math.sqrt(Math.abs(entry) / largest) : 0;
    const full = entry < 0 ? negative : positive;
    const mixed = (from: number, to: number) => from + (to - from) * share;
    image.data.set([mixed(cell[0], full[0]), mixed(cell[1], full[1]), mixed(cell[2], full[2]), 255], 4 * k);
  }
  context.putImageData(image, 0, 0);
}

/** Red, green and blue of a colour in the browser's syntax. */
function channels(colour: string, context: CanvasRenderingContext2D): readonly [number, number, number] {
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue];
}
