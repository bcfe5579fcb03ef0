// The stream of events, without gaps and without doubles, over any number of connections.
//
// A source connects again by itself with the id of the last order that it was given. Where it
// gives up, because the answer was an error, a new stream begins behind the last order that was
// shown. Before that, the newest number is asked for: if it is lower than what was shown, the log is
// another one, and everything begins anew. Where there are several partitions, each has numbers of
// its own, and a stream names where it is in all of them by an id.

import { read } from "./calls.js";
import { Shown } from "./shown.js";
import { Source } from "./source.js";

const AGAIN_MS = [500, 1000, 2000, 4000];
// A browser makes six connections to a server, for all tabs together: hidden ones give theirs up.
const HIDDEN_MS = 20_000;
const SILENT_MS = 4000;

export class Stream {
  #source = null;
  #attempt = 0;
  #timer = 0;
  #past = new Shown();
  #goal = null;
  #replayed = 0;
  #state = "connecting";
  #lagging = 0;
  #resting = false;
  #shown;

  /** `shown` has a function for each of `order`, `quote`, `leader`, for `began` (a log of which
   * nothing was shown; it is given the latest orders, the last first), and for `state`, which is
   * given "connecting", "replaying", "live" or "reconnecting", and how many orders were replayed. */
  constructor(shown) {
    this.#shown = shown;
    this.#open();
    let hidden = 0;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hidden);
      this.#resting = false;
      if (document.hidden) hidden = setTimeout(() => this.#rest(), HIDDEN_MS);
      else if (this.#source === null) this.#open();
    });
  }

  /** The number of the last order that was shown. */
  get last() {
    return this.#past.last;
  }

  /** `number` is known to be there: a stream that does not bring it for a while is dead. */
  expect(number) {
    if (this.#past.has(number) || this.#state !== "live") this.#lagging = 0;
    else if (this.#lagging === 0) this.#lagging = performance.now();
    else if (performance.now() - this.#lagging > SILENT_MS) this.#again();
  }

  async #open() {
    clearTimeout(this.#timer);
    this.#close();
    let latest;
    try {
      latest = await read("orders?direction=desc&limit=50");
    } catch {
      latest = null;
    }
    if (this.#source !== null || this.#resting) return;
    if (latest === null) {
      this.#again();
      return;
    }
    if (this.#past.last === 0 || this.#past.isAhead(latest)) {
      this.#past = new Shown(latest);
      this.#shown.began(latest);
    }
    this.#connect();
  }

  #connect() {
    const after = this.#past.after;
    const source = new Source(after === null ? "events" : `events?after=${after}`);
    this.#source = source;
    this.#goal = null;
    source.addEventListener("open", () => this.#opened(source));
    source.addEventListener("error", () => {
      if (source !== this.#source) return;
      if (source.isClosed) this.#again();
      else this.#say("reconnecting");
    });
    const on = (kind, shown) =>
      source.addEventListener(kind, ({ data, lastEventId }) => {
        if (source === this.#source) shown(JSON.parse(data), lastEventId);
      });
    on("order", (order, id) => this.#order(order, id));
    on("quote", this.#shown.quote);
    on("leader", this.#shown.leader);
  }

  async #opened(source) {
    this.#attempt = 0;
    this.#replayed = 0;
    this.#goal = null;
    this.#say("replaying");
    let latest = [];
    let begunAnew = false;
    try {
      latest = await read(`orders?direction=desc&limit=${this.#past.isOfSeveral ? 50 : 1}`);
      begunAnew = latest !== null && this.#past.isAhead(latest);
    } catch {
      // Then the stream counts as caught up.
    }
    if (source !== this.#source) return;
    this.#goal = latest ?? [];
    if (begunAnew && this.#replayed === 0) {
      this.#again();
      return;
    }
    // A stream that begins now has not got what was traded since the page has looked.
    if (this.#past.after === null) for (const order of [...this.#goal].reverse()) this.#order(order, "");
    this.#arrived();
  }

  #order(order, id) {
    if (!this.#past.add(order, id)) return;
    this.#lagging = 0;
    if (this.#state === "replaying") this.#replayed += 1;
    this.#shown.order(order);
    this.#arrived();
  }

  #arrived() {
    const isThere = ({ number }) => this.#past.has(number);
    if (this.#state === "replaying" && this.#goal?.every(isThere)) this.#say("live");
  }

  #again() {
    this.#close();
    this.#lagging = 0;
    this.#say("reconnecting");
    const pause = AGAIN_MS[Math.min(this.#attempt++, AGAIN_MS.length - 1)];
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), pause * (0.75 + Math.random() / 2));
  }

  #rest() {
    this.#resting = true;
    clearTimeout(this.#timer);
    this.#close();
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }

  #say(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#shown.state(state, this.#replayed);
  }
}
