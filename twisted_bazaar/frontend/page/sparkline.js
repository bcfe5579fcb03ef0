// A sparkline: how one figure of a stock went since the page was opened. Steps, as figures change at
// once.

const WIDTH = 100;
const HEIGHT = 24;
const EDGE = 2;
const SVG = "http://www.w3.org/2000/svg";

/** What a figure was, and when. Of more changes than can be seen, every other one is forgotten. */
export class Series {
  static #MOST = 240;
  points = [];

  add(time, value) {
    this.points.push([time, value]);
    if (this.points.length > Series.#MOST) {
      const last = this.points.length - 1;
      this.points = this.points.filter((_, index) => index % 2 === 0 || index === last);
    }
  }
}

/** An empty sparkline. Figures are beside it: it is hidden from screen readers. */
export function sparkline() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "path"), document.createElementNS(SVG, "path"));
  return svg;
}

/** Draws `series` from `begun` to `now`. */
export function draw(svg, series, begun, now) {
  const values = series.points.map(([, value]) => value);
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  const x = (time) => ((Math.max(time, begun) - begun) / Math.max(now - begun, 1)) * WIDTH;
  const y = (value) =>
    span === 0 ? HEIGHT / 2 : HEIGHT - EDGE - ((value - low) / span) * (HEIGHT - 2 * EDGE);
  let line = "";
  for (const [time, value] of series.points) {
    const [right, height] = [x(time).toFixed(1), y(value).toFixed(1)];
    line += line ? `H${right}V${height}` : `M${right} ${height}`;
  }
  line += `H${WIDTH}`;
  const [area, stroke] = svg.children;
  stroke.setAttribute("d", line);
  const flat = span === 0;
  area.setAttribute("d", flat ? "" : `${line}V${HEIGHT}H${x(series.points[0][0]).toFixed(1)}Z`);
  svg.classList.toggle("flat", flat);
}
