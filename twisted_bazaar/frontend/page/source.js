// Server-sent events over fetch, which can show an API key: an EventSource sends no headers. It has
// what the page needs of an EventSource: listeners, and that it connects again by itself, with the
// last id that it was given.

import { admitted, shownKey } from "./access.js";

const AGAIN_MS = 1000;
const FIELD = /^([^:]+)(?:: ?(.*))?$/;

export class Source extends EventTarget {
  #target;
  #lastId = "";
  #stop = new AbortController();
  #timer = 0;
  #again = AGAIN_MS;

  /** Whether it has given up: the answer was an error, or it was closed. */
  isClosed = false;

  constructor(target) {
    super();
    this.#target = target;
    this.#run();
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.#timer);
    this.#stop.abort();
  }

  async #run() {
    try {
      const headers = { Accept: "text/event-stream", ...shownKey() };
      if (this.#lastId !== "") headers["Last-Event-ID"] = this.#lastId;
      const options = { headers, cache: "no-store", signal: this.#stop.signal };
      const answer = await fetch(this.#target, options);
      if (answer.status !== 200) {
        admitted(answer.status, true);
        this.isClosed = true;
      } else {
        this.dispatchEvent(new Event("open"));
        await this.#read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
      }
    } catch {
      // The connection broke, or could not be made.
    }
    if (this.#stop.signal.aborted) return;
    this.dispatchEvent(new Event("error"));
    if (!this.isClosed) this.#timer = setTimeout(() => this.#run(), this.#again);
  }

  async #read(reader) {
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      // An event is whole once the empty line after it has come.
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) this.#take(part);
    }
  }

  #take(part) {
    let [kind, data] = ["message", ""];
    for (const line of part.split("\n")) {
      const [, name, value = ""] = FIELD.exec(line) ?? [];
      if (name === "event") kind = value;
      else if (name === "data") data = value;
      else if (name === "id") this.#lastId = value;
      else if (name === "retry") this.#again = Number(value);
    }
    if (data === "") return;
    this.dispatchEvent(new MessageEvent(kind, { data, lastEventId: this.#lastId }));
  }
}
