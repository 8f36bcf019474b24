// docs/images/jacobian.svg: the Jacobian of a softmax as a heat map, the sums of its rows, and the vector-Jacobian product. `npm run docs:tables` writes it.
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { softmax, tensor } from 'softgrad';

const logits = [1.2, -0.4, 2.1, 0.3, -1.5, 2.6, 0.9, -0.8];
const label = 2;
const width = 640;
/** The colours of the playground. */
const [negative, positive] = ['#2f73b3', '#d9652e'];

/** The picture as SVG, with a white background. */
export async function jacobianPicture() {
  const s = softmax(tensor([logits], { dtype: 'float64' }));
  const [probabilities] = await s.array();
  const [jacobian] = await softmax.jacobian(s).array();
  const upstream = probabilities.map((p, j) => (j === label ? -1 / p : 0));
  const [gradient] = await softmax.vjp(s, [upstream]).array();
  const sums = logits.map((_, j) => jacobian.reduce((sum, row) => sum + row[j], 0));

  const { document } = parseHTML('<html><body></body></html>');
  const parts = [
    heading('The Jacobian J of one softmax: J[i][j] = s_i (δ_ij − s_j), row i, column j'),
    heatMap(document, jacobian),
    heading('The sum of its rows: 0 in every column, for any logits'),
    bars(document, sums, 'sum'),
    heading(`The vector-Jacobian product Jᵀg for the loss −log s_${label}: what backpropagation needs`),
    bars(document, gradient, 'Jᵀ g'),
  ];
  let y = 0;
  const placed = parts.map((part) => {
    const markup = part.markup(y);
    y += part.height;
    return markup;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" color="#1a1c20" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${y}" fill="white"/>`,
    ...placed,
    '</svg>\n',
  ].join('\n');
}

function heading(text) {
  return {
    height: 34,
    markup: (y) => `<text x="8" y="${y + 24}" font-size="13" font-weight="600" fill="currentColor">${text}</text>`,
  };
}

function heatMap(document, jacobian) {
  const cells = jacobian.flatMap((row, i) => row.map((value, j) => ({ i, j, value: rounded(value) })));
  const largest = Math.max(...cells.map(({ value }) => Math.abs(value)));
  return chart(document, {
    height: 300,
    x: { label: 'j', tickSize: 0 },
    y: { label: 'i', tickSize: 0 },
    color: {
      type: 'diverging',
      domain: [-largest, largest],
      range: [negative, '#f6f4ef', positive],
      interpolate: 'rgb',
    },
    marks: [
      Plot.cell(cells, { x: 'j', y: 'i', fill: 'value', inset: 1 }),
      Plot.text(cells, {
        x: 'j',
        y: 'i',
        text: ({ value }) => decimals(value),
        fill: ({ value }) => (Math.abs(value) > 0.6 * largest ? 'white' : 'black'),
      }),
    ],
  });
}

function bars(document, values, name) {
  // The rounding error of a sum is too small to be visible, and would change the file if a kernel rounds differently.
  const points = values.map((value, j) => ({ j, value: rounded(value) }));
  return chart(document, {
    height: 130,
    marginTop: 20,
    x: { label: 'j', tickSize: 0 },
    y: { label: name, domain: [-0.8, 0.8], ticks: 3, grid: true },
    marks: [
      Plot.barY(points, { x: 'j', y: 'value', fill: ({ value }) => (value < 0 ? negative : positive) }),
      Plot.text(points, {
        x: 'j',
        y: 'value',
        lineAnchor: 'bottom',
        dy: -4,
        fill: ({ value }) => (value < -0.1 ? 'white' : 'black'),
        text: ({ value }) => decimals(value),
      }),
      Plot.ruleY([0]),
    ],
  });
}

function rounded(value) {
  return Math.round(value * 1e6) / 1e6;
}

/** A number with three decimals, or with four if it is small but not 0. */
function decimals(value) {
  const size = Math.abs(value);
  return size === 0 ? '0' : `${value < 0 ? '−' : ''}${size.toFixed(size < 0.0005 ? 4 : 3)}`;
}

function chart(document, { height, x, ...options }) {
  const svg = Plot.plot({
    document,
    width,
    height,
    marginLeft: 44,
    marginRight: 24,
    x: { type: 'band', ...x },
    ...options,
  });
  return {
    height,
    markup(y) {
      svg.setAttribute('y', String(y));
      return svg.outerHTML;
    },
  };
}
