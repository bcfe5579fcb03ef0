// What becomes of the cluster, in sentences. It knows no page: it is handed what was seen, and when.

// A replica that has just been elected is announced before its own report says that it leads.
const SETTLES_MS = 1000;

/** The replica that leads, among those that `/replicas` shows; undefined: none is known to. */
export function leaderOf(replicas) {
  const leading = replicas.filter(({ role, reachable }) => role === "leader" && reachable);
  return leading.sort((one, other) => other.term - one.term)[0];
}

export class Watch {
  #tell;
  #leader = 0;
  #term = 0;
  #lost = null;
  #seen = 0;
  #since = -Infinity;
  #reachable = new Map();
  #unreachable = null;

  /** `tell` is given a sentence, and "good", "bad" or "plain". */
  constructor(tell) {
    this.#tell = tell;
  }

  /** "fine", "leaderless" or "unreachable". */
  get state() {
    if (this.#unreachable !== null) return "unreachable";
    return this.#lost === null ? "fine" : "leaderless";
  }

  /** The front-end showed `replicas` at `now`, in milliseconds. */
  replicas(replicas, now) {
    this.#back(now);
    const leader = leaderOf(replicas);
    const known = replicas.find(({ id }) => id === this.#leader);
    const settles = now - this.#since < SETTLES_MS && known?.reachable;
    if (leader === undefined) {
      if (!settles) this.#leaderless(now);
    } else {
      this.leads(leader.id, leader.term, now);
      if (leader.id === this.#leader) this.#seen = now;
    }
    for (const { id, reachable, role } of replicas) {
      const before = this.#reachable.get(id);
      this.#reachable.set(id, reachable);
      if (before === undefined || before === reachable) continue;
      if (reachable) this.#tell(`Replica ${id} is back${role === "follower" ? ", and follows" : ""}.`, "good");
      else if (id !== this.#leader) this.#tell(`Replica ${id} does not answer.`, "bad");
    }
  }

  /** Replica `id` leads in `term`, as was seen at `now`. */
  leads(id, term, now) {
    if (term < this.#term || (term === this.#term && this.#lost === null)) return;
    const [before, lost] = [this.#leader, this.#lost ?? this.#seen];
    [this.#leader, this.#term, this.#lost] = [id, term, null];
    [this.#seen, this.#since] = [now, now];
    if (before === 0) return;
    if (this.#unreachable !== null || lost === 0) return;
    const after = Math.max(0.1, (now - lost) / 1000).toFixed(1);
    const whom = before === id ? "leads again" : `took over from replica ${before}`;
    this.#tell(`Replica ${id} ${whom} after about ${after} s, in term ${term}. Trades go on.`, "good");
  }

  /** The front-end did not answer at `now`. */
  unreachable(now) {
    if (this.#unreachable !== null) return;
    this.#unreachable = now;
    this.#tell("The front-end does not answer. This page tries again until it does.", "bad");
  }

  #back(now) {
    if (this.#unreachable === null) return;
    const seconds = ((now - this.#unreachable) / 1000).toFixed(1);
    this.#unreachable = null;
    this.#tell(`The front-end answers again, after ${seconds} s.`, "good");
  }

  #leaderless(now) {
    if (this.#lost !== null || this.#leader === 0) return;
    // It fell silent between two looks: half way is the best guess.
    this.#lost = (this.#seen + now) / 2;
    this.#tell(`Replica ${this.#leader}, the leader, does not answer. Trades wait for another one.`, "bad");
  }
}
