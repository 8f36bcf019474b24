import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

/** A plot on a white background, as an SVG file's text. */
export function picture(options: Plot.PlotOptions): string {
  const { document } = parseHTML('<html><body></body></html>');
  const style = { background: 'white', color: 'black' };
  const plot = Plot.plot({ document, width: 640, height: 360, style, ...options });
  plot.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return plot.outerHTML;
}
