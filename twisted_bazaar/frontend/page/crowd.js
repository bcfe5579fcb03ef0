// A crowd, made by this page for those who come alone: it buys a share of some stock, sells it again,
// and looks stocks up. It shows how trading goes on, and when it waits.

import { read, send } from "./calls.js";
import { freshKey } from "./settle.js";

const TRADE_MS = 250;
const LOOKUP_MS = 60;
const MOST_WAITING = 2;

export class Crowd {
  #market;
  #timers = [];
  #trading = 0;
  #looking = 0;
  #owned = [];

  constructor(checkbox, market) {
    this.#market = market;
    checkbox.addEventListener("change", () => (checkbox.checked ? this.#start() : this.#stop()));
  }

  #start() {
    const whileSeen = (work) => () => document.hidden || this.#market.names.length === 0 || work();
    this.#timers = [
      setInterval(whileSeen(() => this.#trade()), TRADE_MS),
      setInterval(whileSeen(() => this.#lookUp()), LOOKUP_MS),
    ];
  }

  #stop() {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #trade() {
    if (this.#trading >= MOST_WAITING) return;
    const sells = this.#owned.length > 4 || (this.#owned.length > 0 && Math.random() < 0.5);
    const name = sells ? this.#owned.shift() : this.#any();
    if (this.#market.get(name)?.halted) {
      if (sells) this.#owned.push(name);
      return;
    }
    this.#trading += 1;
    const quantity = 1;
    const type = sells ? "sell" : "buy";
    try {
      const { status } = await send({ name, type, quantity, client_order_id: freshKey() });
      if (status === 200 && !sells) this.#owned.push(name);
    } catch {
      // What became of it is to be seen on the tape.
    } finally {
      this.#trading -= 1;
    }
  }

  async #lookUp() {
    if (this.#looking >= 1) return;
    this.#looking += 1;
    try {
      await read(`stocks/${encodeURIComponent(this.#any())}`);
    } catch {
      // So does any client, while the front-end is down.
    } finally {
      this.#looking -= 1;
    }
  }

  #any() {
    const { names } = this.#market;
    return names[Math.floor(Math.random() * names.length)];
  }
}
