// Which orders were shown. Orders of one partition come by number; those of several have numbers
// above a thousand, of which the last three digits are the partition, and come by number in each.

const PARTITIONS = 1000;
const KEPT = 1000;

export class Shown {
  #highest = new Map();
  #latest = new Set();
  #id = null;
  #isOfSeveral = false;
  #last = 0;

  /** `latest` orders were shown, the last first. */
  constructor(latest = []) {
    for (const order of [...latest].reverse()) this.add(order, "");
  }

  /** The number of the last order that was shown; 0: none was. */
  get last() {
    return this.#last;
  }

  /** Whether there are several partitions, as far as orders show. */
  get isOfSeveral() {
    return this.#isOfSeveral;
  }

  /** What a stream is to go on behind; null: it can only begin now. */
  get after() {
    return this.#isOfSeveral ? this.#id : this.#last;
  }

  /** Takes in an order, with the id that the stream has there. Returns whether it was not shown. */
  add({ number, partition }, id) {
    if (id.startsWith("p")) this.#id = id;
    if (this.#latest.has(number)) return false;
    this.#isOfSeveral ||= partition !== undefined;
    // One that a stream brings late was not shown: only the very same is.
    if (!this.#isOfSeveral && number <= this.#last) return false;
    this.#latest.add(number);
    if (this.#latest.size > KEPT) this.#latest.delete(this.#latest.values().next().value);
    const of = this.#partition(number);
    this.#highest.set(of, Math.max(number, this.#highest.get(of) ?? 0));
    this.#last = number;
    return true;
  }

  /** Whether an order was shown, or is older than the page. */
  has(number) {
    const highest = this.#highest.get(this.#partition(number));
    return highest === undefined ? this.#isOfSeveral || number === 0 : number <= highest;
  }

  /** Whether orders were shown that come after the `latest`: these are of another log. */
  isAhead(latest) {
    if (!this.#isOfSeveral) return (latest[0]?.number ?? 0) < this.#last;
    const newest = new Map();
    for (const { number } of latest) {
      const of = this.#partition(number);
      newest.set(of, Math.max(number, newest.get(of) ?? 0));
    }
    if (newest.size === 0) return true;
    return [...newest].some(([of, number]) => number < (this.#highest.get(of) ?? 0));
  }

  #partition(number) {
    return this.#isOfSeveral ? number % PARTITIONS : 0;
  }
}
