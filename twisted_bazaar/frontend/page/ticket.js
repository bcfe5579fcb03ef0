// The order ticket: what to trade, and what became of it.

import { at, make, say } from "./dom.js";
import { price, shares, total } from "./numbers.js";
import { freshKey, settle } from "./settle.js";

const SLOW_MS = 700;

export class Ticket {
  #form = at("ticket");
  #outcome = at("outcome");
  #market;
  #sending = 0;

  /** `market` knows the stocks. */
  constructor(market) {
    this.#market = market;
    this.#form.addEventListener("input", () => this.#estimate());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#place({ ...this.#trade(), client_order_id: freshKey() });
    });
  }

  /** Fills in a stock. */
  pick(name) {
    this.#form.elements.name.value = name;
    this.#estimate();
    this.#form.elements.quantity.focus();
    this.#form.elements.quantity.select();
  }

  /** The market has changed: the names of `changed`, and its list if `relisted`. */
  update(changed, relisted) {
    const select = this.#form.elements.name;
    if (relisted) {
      const chosen = select.value;
      // With a value of its own: that of the text has two spaces made one.
      select.replaceChildren(...this.#market.names.map((name) => new Option(name, name)));
      if (chosen) select.value = chosen;
    }
    if (relisted || changed.has(select.value)) this.#estimate();
  }

  #trade() {
    const { name, type, quantity, limit } = this.#form.elements;
    const trade = { name: name.value, type: type.value, quantity: Number(quantity.value) };
    if (limit.value !== "") trade.limit_price = Number(limit.value);
    return trade;
  }

  #estimate() {
    const { name, type, quantity } = this.#trade();
    const verb = type === "buy" ? "Buy" : "Sell";
    const fits = Number.isInteger(quantity) && quantity > 0;
    say(at("send"), fits && name ? `${verb} ${shares(quantity)} of ${name}` : verb);
    at("send").dataset.side = type;
    const stock = this.#market.get(name);
    if (stock === undefined) return say(at("estimate"), "");
    const left = `${shares(stock.quantity)} left at ${price(stock.price)}`;
    const costs = fits ? `${type === "buy" ? "costs" : "brings"} ${total(stock.price, quantity)}` : "";
    say(at("estimate"), stock.halted ? `${name} is halted: trades are refused for now` : [left, costs].filter(Boolean).join(" · "));
  }

  async #place(trade) {
    const turn = ++this.#sending;
    const done = `${trade.type === "buy" ? "Bought" : "Sold"} ${shares(trade.quantity)} of ${trade.name}`;
    const slow = setTimeout(() => {
      if (turn === this.#sending) this.#show("waiting", "Sent", "The front-end keeps it until a leader has decided it.");
    }, SLOW_MS);
    for await (const { kind, number, message, ...cost } of settle(trade)) {
      clearTimeout(slow);
      if (turn !== this.#sending) return;
      if (kind === "placed") {
        this.#show("placed", `Order ${number}`, `${done} at ${price(cost.price)}: ${price(cost.total)} in all.`);
      } else if (kind === "refused") {
        this.#show("refused", "Refused", sentence(message));
      } else if (kind === "not-executed") {
        this.#show("refused", "Not executed", sentence(message));
      } else if (kind === "unknown") {
        this.#show("waiting", "Outcome unknown", `${message} Its key is looked up until it is known.`);
      } else {
        const again = make("button", { type: "button", className: "small" }, "Send it again");
        again.addEventListener("click", () => this.#place(trade));
        this.#show("waiting", "No order so far", "Its key has no order. Sent again, it is executed once at most.", again);
      }
    }
  }

  #show(kind, title, text, ...more) {
    this.#outcome.dataset.kind = kind;
    this.#outcome.replaceChildren(make("b", {}, title), make("span", {}, text), ...more);
  }
}

const sentence = (message) => `${message[0].toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
