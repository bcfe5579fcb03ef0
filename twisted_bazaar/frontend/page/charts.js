// Charts over time: requests a second, how long answers take, and how many lookups the cache answers.

import { at, say } from "./dom.js";
import { duration, rate } from "./numbers.js";
import { between } from "./rates.js";
import uPlot from "./uPlot.esm.js";

const SHOWN_SECONDS = 120;
const LEAST_SECONDS = 20;
const HEIGHT = 132;
// Percentiles and shares are of this many seconds: of one alone there may be few requests.
const WINDOW = 5;

const percent = (value) => `${Math.round(value * 100)} %`;
const FIGURES = [
  { id: "chart-rate", keys: ["one", "two"], says: (value) => `${rate(value)}/s`, axis: rate, least: 4 },
  { id: "chart-latency", keys: ["one", "one thin", "two", "two thin"], says: duration, axis: duration, least: 0.002 },
  { id: "chart-hits", keys: ["three"], says: percent, axis: percent, most: 1 },
];

export class Charts {
  #answers = [];
  #rows = [];
  #plots = [];

  constructor() {
    this.recolour();
    new ResizeObserver(() => this.#fit()).observe(at("chart-rate"));
  }

  /** Takes in the `figures` of an answer of `/status`. */
  add(figures) {
    const last = this.#answers.at(-1);
    const time = Date.now() / 1000;
    if (last !== undefined) {
      const now = between(last, figures);
      if (now === null) this.#answers = [];
      const over = between(this.#answers.at(-WINDOW) ?? this.#answers[0] ?? figures, figures);
      const { trades = null, lookups = null } = now ?? {};
      const { tradeSeconds = [null, null], lookupSeconds = [null, null], hitRate = null } = over ?? {};
      this.#rows.push([time, trades, lookups, ...tradeSeconds, ...lookupSeconds, hitRate]);
    }
    this.#answers = [...this.#answers, figures].slice(-WINDOW);
    this.#rows = this.#rows.filter(([at]) => at > time - SHOWN_SECONDS);
    this.#draw();
  }

  /** Nothing is known of this moment. */
  skip() {
    this.#rows.push([Date.now() / 1000, ...Array(7).fill(null)]);
    this.#draw();
  }

  /** Draws the charts anew, in the colours that count now. */
  recolour() {
    for (const plot of this.#plots) plot.destroy();
    this.#plots = FIGURES.map((figure) => new uPlot(options(figure, () => this.#span()), [[]], at(figure.id).querySelector(".plot")));
    this.#draw();
  }

  /** The seconds that are shown: what there is, up to two minutes. */
  #span() {
    const first = this.#rows[0]?.[0] ?? Infinity;
    return Math.min(SHOWN_SECONDS, Math.max(LEAST_SECONDS, Date.now() / 1000 - first));
  }

  #fit() {
    FIGURES.forEach(({ id }, index) => {
      const width = at(id).querySelector(".plot").clientWidth;
      if (width > 0) this.#plots[index].setSize({ width, height: HEIGHT });
    });
  }

  #draw() {
    const columns = Array.from({ length: 8 }, (_, index) => this.#rows.map((row) => row[index]));
    const [time, trades, lookups, ...rest] = columns;
    const data = [[time, trades, lookups], [time, ...rest.slice(0, 4)], [time, rest[4]]];
    FIGURES.forEach(({ id, says }, index) => {
      this.#plots[index].setData(data[index]);
      const figure = at(id);
      const words = [];
      figure.querySelectorAll(".key").forEach((key, place) => {
        const value = data[index][place + 1].at(-1) ?? null;
        const text = value === null ? "–" : says(value);
        say(key.querySelector("b"), text);
        words.push(`${key.firstChild.textContent.trim()} ${value === null ? "not known" : text}`);
      });
      const title = figure.querySelector("figcaption").textContent;
      figure.querySelector(".plot").setAttribute("aria-label", `${title} over two minutes; now ${words.join(", ")}`);
    });
  }
}

function options({ id, keys, axis, least = 0, most }, span) {
  const figure = at(id);
  const colour = (name) => getComputedStyle(figure.querySelector(`.key.${name.split(" ").join(".")}`)).getPropertyValue("border-left-color");
  const faint = getComputedStyle(figure.querySelector("figcaption")).color;
  const line = getComputedStyle(figure).getPropertyValue("border-left-color");
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const grid = { stroke: line, width: 1 };
  const now = () => Date.now() / 1000;
  return {
    width: figure.querySelector(".plot").clientWidth || 240,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { time: false, range: () => [now() - span(), now()] },
      y: { range: (_, __, highest) => [0, most ?? Math.max(least, (highest ?? 0) * 1.15)] },
    },
    axes: [
      {
        stroke: faint, font, grid: { show: false }, ticks: { show: false }, size: 22,
        // The outer labels stand inside, so that none is cut off.
        splits: (_, __, from, to) => [0.07, 0.5, 0.96].map((share) => from + share * (to - from)),
        values: () => [`${Math.round(span())} s ago`, `${Math.round(span() / 2)} s`, "now"],
      },
      { stroke: faint, font, grid, ticks: { show: false }, size: 50, space: 30, values: (_, ticks) => ticks.map(axis) },
    ],
    series: [
      {},
      ...keys.map((key) => ({
        stroke: colour(key),
        width: key.includes("thin") ? 1 : 2,
        dash: key.includes("thin") ? [4, 3] : undefined,
        fill: keys.length === 1 ? `${colour(key).replace("rgb(", "rgba(").replace(")", ", 0.12)")}` : undefined,
        points: { show: false },
      })),
    ],
  };
}
