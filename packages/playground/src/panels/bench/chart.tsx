import { useEffect, useRef, useState } from 'preact/hooks';
import type { Colours, ratioChart, timeChart } from './charts.js';

interface Charts {
  readonly timeChart: typeof timeChart;
  readonly ratioChart: typeof ratioChart;
}

interface Props {
  readonly draw: (charts: Charts, width: number) => Element;
}

/** A chart with the width of its container; the library is loaded with the first one. */
export function Chart({ draw }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const [charts, setCharts] = useState<Charts | null>(null);
  useEffect(() => {
    void import('./charts.js').then(setCharts);
  }, []);
  useEffect(() => {
    const element = place.current;
    if (!element || !charts) return;
    let width = 0;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth === width || element.clientWidth === 0) return;
      width = element.clientWidth;
      element.replaceChildren(draw(charts, width));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [charts, draw]);
  return <div class="chart-place" ref={place} />;
}

export function Legend({ colours, dashed }: { readonly colours: Colours; readonly dashed: boolean }) {
  return (
    <ul class="legend">
      {[...colours].map(([contender, colour]) => (
        <li key={contender}>
          <span class="swatch" style={{ background: colour }} aria-hidden="true" />
          {contender}
        </li>
      ))}
      {dashed && <li class="quiet">solid: A, dashed: B</li>}
    </ul>
  );
}
