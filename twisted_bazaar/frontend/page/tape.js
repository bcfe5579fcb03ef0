// The tape: the latest trades, the last one first.

import { at, isCalm, make, say } from "./dom.js";
import { count, price, shares, timeOfDay } from "./numbers.js";

const KEPT = 100;

export class Tape {
  #rows = at("tape");
  #waiting = [];
  #drawing = false;

  /** Begins anew with `orders`, the last one first. */
  begin(orders) {
    this.#waiting = [];
    this.#rows.replaceChildren(...orders.map(row));
    this.#sum(orders[0]);
  }

  /** Takes in the next order. */
  add(order) {
    this.#waiting.push(order);
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.#drawing = false;
    const orders = this.#waiting.splice(0).reverse();
    if (orders.length === 0) return;
    const rows = orders.slice(0, KEPT).map(row);
    this.#rows.prepend(...rows);
    while (this.#rows.rows.length > KEPT) this.#rows.deleteRow(-1);
    if (!isCalm()) for (const each of rows) each.animate(ARRIVES, 900);
    this.#sum(orders[0]);
  }

  #sum(last) {
    at("tape-empty").hidden = last !== undefined;
    // Of several partitions, a number does not say how many there are.
    const isCount = last !== undefined && last.partition === undefined;
    say(at("tape-count"), isCount ? `${count(last.number)} in all` : "");
  }
}

const ARRIVES = [{ backgroundColor: "var(--arrives)" }, { backgroundColor: "transparent" }];

function row(order) {
  const time = new Date(order.time);
  const verb = order.type === "buy" ? "Buy" : "Sell";
  const at = order.price === null ? "" : ` at ${price(order.price)}`;
  return make(
    "tr",
    { dataset: { number: order.number }, title: `${verb} ${shares(order.quantity)}${at}` },
    make("td", { className: "number faint" }, count(order.number)),
    make("td", {}, make("time", { dateTime: order.time }, timeOfDay(time))),
    make(
      "td",
      {},
      make("span", { className: order.type }, verb),
      ` ${count(order.quantity)} `,
      make("b", {}, order.name),
    ),
    make("td", { className: "number" }, price(order.total)),
  );
}
