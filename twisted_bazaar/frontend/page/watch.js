// What becomes of the cluster, in sentences. It knows no page: it is handed what was seen, and when.

// A replica that has just been elected is announced before its own report says that it leads.
const SETTLES_MS = 1000;

/** The replica that leads, among those that `/replicas` shows; undefined: none is known to. */
export function leaderOf(replicas) {
  const leading = replicas.filter(({ role, reachable }) => role === "leader" && reachable);
  return leading.sort((one, other) => other.term - one.term)[0];
}

/** By partition, `replicas` as they are in it; with one, they are so themselves. */
function byPartition(replicas) {
  const partitions = replicas[0]?.partitions;
  if (partitions === undefined) return [[undefined, replicas]];
  return partitions.map(({ partition }, index) => [
    partition,
    replicas.map(({ id, reachable, partitions: each }) => ({ id, reachable, ...each[index] })),
  ]);
}

export class Watch {
  #tell;
  #leads = new Map();
  #reachable = new Map();
  #unreachable = null;

  /** `tell` is given a sentence, and "good", "bad" or "plain". */
  constructor(tell) {
    this.#tell = tell;
  }

  /** "fine", "leaderless" or "unreachable". */
  get state() {
    if (this.#unreachable !== null) return "unreachable";
    return [...this.#leads.values()].some(({ lost }) => lost !== null) ? "leaderless" : "fine";
  }

  /** The front-end showed `replicas` at `now`, in milliseconds. */
  replicas(replicas, now) {
    this.#back(now);
    for (const [partition, seen] of byPartition(replicas)) this.#look(seen, now, partition);
    const leaders = new Set([...this.#leads.values()].map(({ leader }) => leader));
    for (const { id, reachable, role } of replicas) {
      const before = this.#reachable.get(id);
      this.#reachable.set(id, reachable);
      if (before === undefined || before === reachable) continue;
      if (reachable) this.#tell(`Replica ${id} is back${role === "follower" ? ", and follows" : ""}.`, "good");
      else if (!leaders.has(id)) this.#tell(`Replica ${id} does not answer.`, "bad");
    }
  }

  /** Replica `id` leads in `term`, as was seen at `now`; `partition` is undefined if there is one. */
  leads(id, term, now, partition) {
    const known = this.#of(partition);
    if (term < known.term || (term === known.term && known.lost === null)) return;
    const [before, lost] = [known.leader, known.lost ?? known.seen];
    Object.assign(known, { leader: id, term, lost: null, seen: now, since: now });
    if (before === 0) return;
    if (this.#unreachable !== null || lost === 0) return;
    const after = Math.max(0.1, (now - lost) / 1000).toFixed(1);
    const of = partition === undefined ? "" : ` partition ${partition}`;
    const whom = before === id ? `leads${of} again` : `took over${of} from replica ${before}`;
    this.#tell(`Replica ${id} ${whom} after about ${after} s, in term ${term}. Trades go on.`, "good");
  }

  /** The front-end did not answer at `now`. */
  unreachable(now) {
    if (this.#unreachable !== null) return;
    this.#unreachable = now;
    this.#tell("The front-end does not answer. This page tries again until it does.", "bad");
  }

  #of(partition) {
    const nothing = { leader: 0, term: 0, lost: null, seen: 0, since: -Infinity };
    if (!this.#leads.has(partition)) this.#leads.set(partition, nothing);
    return this.#leads.get(partition);
  }

  #look(replicas, now, partition) {
    const known = this.#of(partition);
    const leader = leaderOf(replicas);
    const settles = now - known.since < SETTLES_MS && replicas.find(({ id }) => id === known.leader)?.reachable;
    if (leader === undefined) {
      if (!settles) this.#leaderless(known, now, partition);
    } else {
      this.leads(leader.id, leader.term, now, partition);
      if (leader.id === known.leader) known.seen = now;
    }
  }

  #back(now) {
    if (this.#unreachable === null) return;
    const seconds = ((now - this.#unreachable) / 1000).toFixed(1);
    this.#unreachable = null;
    this.#tell(`The front-end answers again, after ${seconds} s.`, "good");
  }

  #leaderless(known, now, partition) {
    if (known.lost !== null || known.leader === 0) return;
    // It fell silent between two looks: half way is the best guess.
    known.lost = (known.seen + now) / 2;
    const [of, its] = partition === undefined ? ["", ""] : [` of partition ${partition}`, " of its stocks"];
    this.#tell(`Replica ${known.leader}, the leader${of}, does not answer. Trades${its} wait for another one.`, "bad");
  }
}
