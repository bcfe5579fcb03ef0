// Says what is going on: the latest in one line, and before it in a list with times. Screen readers
// read it out, what comes within a second together, so that nobody is interrupted.

import { at, make, say } from "./dom.js";
import { timeOfDay } from "./numbers.js";

const TOGETHER_MS = 1000;
const KEPT = 6;

export class News {
  #waiting = [];
  #last = -Infinity;
  #timer = 0;

  /** Tells `text`. `kind` is "good", "bad" or "plain". */
  tell(text, kind = "plain") {
    const time = make("time", {}, timeOfDay(new Date()));
    const list = at("happened");
    list.prepend(make("li", { dataset: { kind } }, time, " ", text));
    while (list.children.length > KEPT) list.lastChild.remove();
    this.#waiting.push(text);
    at("news").dataset.kind = kind;
    say(at("news"), text);
    clearTimeout(this.#timer);
    const wait = this.#last + TOGETHER_MS - performance.now();
    this.#timer = setTimeout(() => this.#say(), Math.max(0, wait));
  }

  #say() {
    this.#last = performance.now();
    say(at("read-out"), this.#waiting.splice(0).join(" "));
  }
}
