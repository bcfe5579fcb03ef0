// The market: what each stock costs, how many shares are left, how many were traded. Of many stocks,
// only some are shown at a time; all are kept up to date.

import { at, isCalm, make, say } from "./dom.js";
import { count, price } from "./numbers.js";
import { draw, Series, sparkline } from "./sparkline.js";

const FIRST_ROWS = 100;
const REDRAW_MS = 2000;
const MARK_MS = 4000;
const FIGURES = ["price", "quantity", "volume"];
const TITLES = { price: "Price", quantity: "Quantity", volume: "Volume" };

export class Market {
  #stocks = new Map();
  #names = [];
  #rows = new Map();
  #changed = new Set();
  #drawing = false;
  #relisted = false;
  #most = FIRST_ROWS;
  #drawn = "quantity";
  #begun = performance.now();
  #picked;
  #updated;

  /** `picked` is called with the name of a stock that is chosen, `updated` with what changed:
   * a set of names, and whether stocks were listed. */
  constructor(picked, updated) {
    this.#picked = picked;
    this.#updated = updated;
    at("find").addEventListener("input", () => this.#list());
    at("drawn").addEventListener("change", ({ target }) => {
      this.#drawn = target.value;
      say(at("drawn-title"), `${TITLES[this.#drawn]} since opened`);
      this.#redraw();
    });
    at("market-more").addEventListener("click", ({ target }) => {
      if (target.tagName !== "BUTTON") return;
      this.#most *= 5;
      this.#list();
    });
    setInterval(() => document.hidden || this.#redraw(), REDRAW_MS);
  }

  /** All names, in order. */
  get names() {
    return this.#names;
  }

  /** The stock of this name, or undefined. */
  get(name) {
    return this.#stocks.get(name);
  }

  /** Forgets all: the log is another one. */
  clear() {
    this.#stocks.clear();
    this.#rows.clear();
    this.#names = [];
    at("stocks").replaceChildren();
  }

  /** Takes in what a stock is now. One that is older than what is shown has no effect. */
  quote(quote) {
    const version = quote.version ?? 0;
    let stock = this.#stocks.get(quote.name);
    if (stock === undefined) {
      stock = { name: quote.name, version: -1, before: {}, series: {} };
      for (const each of FIGURES) stock.series[each] = new Series();
      this.#stocks.set(quote.name, stock);
      this.#relisted = true;
    }
    if (version < stock.version) return;
    const now = performance.now();
    for (const each of FIGURES) {
      if (stock[each] !== quote[each]) stock.series[each].add(now, quote[each]);
      stock[each] = quote[each];
    }
    stock.halted = quote.halted;
    stock.version = version;
    this.#changed.add(quote.name);
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#drawing = false;
    const changed = this.#changed;
    this.#changed = new Set();
    const relisted = this.#relisted;
    this.#relisted = false;
    if (relisted) {
      this.#names = [...this.#stocks.keys()].sort();
      this.#list();
    }
    for (const name of changed) {
      const row = this.#rows.get(name);
      if (row?.isConnected) this.#show(row, this.#stocks.get(name));
    }
    this.#updated(changed, relisted);
  }

  /** Chooses which rows are there. */
  #list() {
    const wanted = at("find").value.trim().toLowerCase();
    const found = this.#names.filter((name) => name.toLowerCase().includes(wanted));
    const shown = found.slice(0, this.#most);
    at("stocks").replaceChildren(...shown.map((name) => this.#row(name)));
    const all = this.#names.length;
    say(at("market-count"), all === found.length ? `${count(all)} stocks` : `${count(found.length)} of ${count(all)}`);
    const more = at("market-more");
    more.hidden = shown.length === found.length;
    if (!more.hidden) {
      const text = `${count(shown.length)} of ${count(found.length)} are shown. `;
      more.replaceChildren(text, make("button", { type: "button", className: "small" }, "Show more"));
    }
    this.#redraw();
  }

  #row(name) {
    let row = this.#rows.get(name);
    if (row === undefined) {
      const pick = make("button", { type: "button", title: `Trade ${name}` }, name);
      pick.addEventListener("click", () => this.#picked(name));
      const halted = make("span", { className: "badge", hidden: true, title: "Trades are refused for now" }, "halted");
      row = make("tr", { dataset: { stock: name } }, make("th", { scope: "row" }, pick, halted));
      for (const each of FIGURES) row.append(make("td", { className: "number", dataset: { figure: each } }));
      row.append(make("td", { className: "drawn" }, sparkline()));
      this.#rows.set(name, row);
    }
    this.#show(row, this.#stocks.get(name));
    return row;
  }

  #show(row, stock) {
    const [title, ...cells] = row.cells;
    FIGURES.forEach((figure, index) => {
      const [value, before] = [stock[figure], stock.before[figure]];
      const cell = cells[index];
      say(cell, figure === "price" ? price(value) : count(value));
      if (before !== undefined && before !== value) {
        // A volume only grows: that is no news.
        mark(cell, figure === "volume" ? "arrives" : value > before ? "up" : "down");
      }
      stock.before[figure] = value;
    });
    row.classList.toggle("halted", stock.halted);
    title.querySelector(".badge").hidden = !stock.halted;
    draw(cells.at(-1).firstChild, stock.series[this.#drawn], this.#begun, performance.now());
  }

  #redraw() {
    const now = performance.now();
    for (const row of at("stocks").rows) {
      const stock = this.#stocks.get(row.dataset.stock);
      draw(row.lastChild.firstChild, stock.series[this.#drawn], this.#begun, now);
    }
  }
}

const marks = new WeakMap();

/** Shows that a figure went up or down: by a mark for a while, and by a flash, where motion is
 * welcome. */
function mark(cell, way) {
  cell.dataset.changed = way;
  clearTimeout(marks.get(cell));
  marks.set(cell, setTimeout(() => delete cell.dataset.changed, MARK_MS));
  if (isCalm()) return;
  const flash = [{ backgroundColor: `var(--${way})` }, { backgroundColor: "transparent" }];
  cell.animate(flash, { duration: 1100, easing: "ease-out" });
}
