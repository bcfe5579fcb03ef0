// The lines between the cards: trades go from a front-end to the leader, entries of the log from the
// leader to its followers and to the catalog, and invalidations back to the front-ends. An order
// that was traded runs along them.

import { isCalm } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const PULSE_MS = 420;
const MOST_PULSES = 4;

export class Wires {
  #svg;
  #cards = () => ({});
  #paths = { trades: [], entries: [], back: [] };
  #pulses = 0;

  constructor(svg) {
    this.#svg = svg;
    new ResizeObserver(() => this.draw()).observe(svg.parentElement);
  }

  /** Where the cards come from. */
  set cards(cards) {
    this.#cards = cards;
  }

  /** Draws all lines anew. */
  draw() {
    this.#svg.replaceChildren();
    this.#paths = { trades: [], entries: [], back: [] };
    const { frontends = [], followers = [], leaders = [], serving } = this.#cards();
    const area = this.#svg.getBoundingClientRect();
    const wide = getComputedStyle(this.#svg).display !== "none";
    if (!wide || area.width === 0) return;
    const box = (card) => {
      const { left, right, top, bottom } = card.getBoundingClientRect();
      return { left: left - area.left, right: right - area.left, top: top - area.top, bottom: bottom - area.top, middle: (top + bottom) / 2 - area.top };
    };
    const alive = frontends.filter((card) => card.dataset.part !== "dead");
    for (const leader of leaders) {
      const to = box(leader);
      for (const card of alive) this.#add("trades", across(box(card), to));
      for (const card of followers) {
        const at = box(card);
        const bend = to.left - 22;
        this.#add("entries", `M${to.left} ${to.middle + 8}C${bend} ${to.middle + 8} ${bend} ${at.middle} ${at.left} ${at.middle}`, card.dataset.part === "dead");
      }
      if (serving) this.#add("entries", across(to, box(serving)));
    }
    if (serving) {
      const from = box(serving);
      const low = area.height - 6;
      const x = (from.left + from.right) / 2;
      for (const card of alive) {
        const to = box(card);
        const end = (to.left + to.right) / 2;
        this.#add("back", `M${x} ${from.bottom}V${low - 8}Q${x} ${low} ${x - 8} ${low}H${end + 8}Q${end} ${low} ${end} ${low - 8}V${to.bottom}`);
      }
    }
  }

  /** An order was traded. */
  pulse() {
    if (isCalm() || document.hidden || this.#pulses >= MOST_PULSES) return;
    this.#pulses += 1;
    this.#run("trades", 0);
    this.#run("entries", PULSE_MS * 0.7);
    this.#run("back", PULSE_MS * 1.4);
    setTimeout(() => (this.#pulses -= 1), PULSE_MS);
  }

  #add(kind, shape, broken = false) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", `${kind}${broken ? " broken" : ""}`);
    path.setAttribute("d", shape);
    this.#svg.append(path);
    if (!broken) this.#paths[kind].push(path);
  }

  #run(kind, delay) {
    for (const path of this.#paths[kind]) {
      const dot = path.cloneNode();
      dot.setAttribute("class", `pulse ${kind}`);
      dot.setAttribute("pathLength", "100");
      this.#svg.append(dot);
      const run = [{ strokeDashoffset: 8 }, { strokeDashoffset: -100 }];
      const timing = { duration: PULSE_MS * (kind === "back" ? 1.6 : 1), delay, fill: "both", easing: "ease-in-out" };
      dot.animate(run, timing).finished.then(() => dot.remove(), () => dot.remove());
    }
  }
}

/** From the right edge of one box to the left edge of another. */
function across(from, to) {
  const bend = (from.right + to.left) / 2;
  return `M${from.right} ${from.middle}C${bend} ${from.middle} ${bend} ${to.middle} ${to.left} ${to.middle}`;
}
