import { useEffect, useRef, useState } from 'preact/hooks';
import type { Looks } from './charts.js';

/** The module that draws. */
export type Charts = typeof import('./charts.js');

/** The module that draws, which is loaded, with its library, when there is something to draw; null until then. */
export function useCharts(): Charts | null {
  const [charts, setCharts] = useState<Charts | null>(null);
  useEffect(() => {
    void import('./charts.js').then(setCharts);
  }, []);
  return charts;
}

interface Props {
  readonly draw: (width: number) => Element;
}

/** A chart with the width of its container. */
export function Chart({ draw }: Props) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    let width = 0;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth === width || element.clientWidth === 0) return;
      width = element.clientWidth;
      element.replaceChildren(draw(width));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [draw]);
  return <div class="chart-place" ref={place} />;
}

interface LegendProps {
  readonly charts: Charts;
  readonly looks: Looks;
  readonly dashed: boolean;
}

export function Legend({ charts, looks, dashed }: LegendProps) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => place.current?.replaceChildren(charts.legend(looks)), [charts, looks]);
  return (
    <div class="legend">
      <div ref={place} />
      {dashed && <span class="quiet">solid: A, dashed: B</span>}
    </div>
  );
}
