// The cluster as it is: front-ends, replicas and catalogs, each as a card.

import { at, make, say } from "./dom.js";
import { count, duration } from "./numbers.js";
import { leaderOf } from "./watch.js";

const NEW_MS = 8000;
const STALE_MS = 1600;
const ROLES = {
  leader: "leader",
  follower: "follower",
  candidate: "candidate",
  suspect: "catching up",
  unknown: "no answer",
};

export class Cluster {
  #replicas = new Map();
  #frontends = new Map();
  #catalogs = new Map();
  #status = null;
  #heard = 0;
  #leader = 0;
  #several = false;
  #longest = 1;
  #redrawn;

  /** `redrawn` is called when cards have come, gone or changed their part. */
  constructor(redrawn) {
    this.#redrawn = redrawn;
    const shrink = () => {
      requestAnimationFrame(shrink);
      if (!document.hidden) this.#shrink();
    };
    shrink();
  }

  /** The cards that lines are drawn between. */
  get cards() {
    const [frontends, replicas, catalogs] = [this.#frontends, this.#replicas, this.#catalogs].map(
      (cards) => [...cards.values()],
    );
    const leaders = replicas.filter((card) => card.dataset.part === "leader");
    const serving = catalogs.find((card) => card.dataset.part === "serving");
    // With several partitions, the log is in an engine, and not in the replicas.
    const followers = this.#several ? [] : replicas.filter((card) => !leaders.includes(card));
    return { frontends, followers, leaders, serving };
  }

  /** Shows what `/replicas` says. */
  replicas(reports) {
    this.#several = reports[0]?.partitions !== undefined;
    if (this.#several) {
      this.#members(reports);
      return;
    }
    const leader = leaderOf(reports);
    const detail = new Map((this.#status?.replicas ?? []).map((each) => [each.id, each]));
    let changed = false;
    for (const report of reports) {
      const card = cardOf(this.#replicas, at("replicas"), report.id, `Replica ${report.id}`);
      const { address = "", behind_seconds: late } = detail.get(report.id) ?? {};
      const leads = report.id === leader?.id;
      const part = !report.reachable ? "dead" : leads ? "leader" : report.role === "leader" ? "follower" : report.role;
      changed ||= card.dataset.part !== part;
      const behind = leader ? Math.max(0, leader.last_index - report.last_index) : 0;
      const word = report.joining && part !== "dead" ? "joining" : (ROLES[part] ?? part);
      show(card, part, part === "dead" ? "no answer" : word, address, [
        ["term", count(report.term), "Each election begins a new term"],
        ["order", count(report.last_number), "The number of the last order that it knows to be final"],
        [
          "behind",
          part === "dead" ? "–" : `${count(behind)}${behind > 0 && late ? `, ${duration(late)}` : ""}`,
          "Entries of the log that the leader has, and this one has not",
        ],
        ["disk", part === "dead" ? "–" : duration(report.disk_seconds), "How long a write to its log takes"],
      ]);
    }
    for (const [id, card] of this.#replicas) {
      // It was removed from the members.
      if (reports.some((each) => each.id === id)) continue;
      card.remove();
      this.#replicas.delete(id);
      changed = true;
    }
    if (leader && this.#leader && leader.id !== this.#leader) {
      const card = this.#replicas.get(leader.id);
      card.classList.add("new");
      setTimeout(() => card.classList.remove("new"), NEW_MS);
    }
    this.#leader = leader?.id ?? this.#leader;
    if (changed) this.#redrawn();
  }

  /** Shows members of several partitions. */
  #members(reports) {
    say(at("replicas-do"), "lead partitions; the log is in an engine");
    const addresses = new Map((this.#status?.replicas ?? []).map((each) => [each.id, each.address]));
    let changed = false;
    for (const { id, reachable, partitions } of reports) {
      const card = cardOf(this.#replicas, at("replicas"), id, `Replica ${id}`);
      const led = partitions.filter(({ role }) => role === "leader").map(({ partition }) => partition);
      const part = !reachable ? "dead" : led.length > 0 ? "leader" : "follower";
      changed ||= card.dataset.part !== part;
      const words = { dead: "no answer", leader: "leads", follower: "stands by" };
      show(card, part, words[part], addresses.get(id) ?? "", [
        ["partitions", part === "leader" ? led.join(", ") : "–", "Those that it leads"],
      ]);
    }
    if (changed) this.#redrawn();
  }

  /** Shows what `/status` says. */
  status(status) {
    this.#status = status;
    this.#heard = performance.now();
    let changed = false;
    const known = status.frontends ?? [];
    known.forEach((frontend) => {
      const card = cardOf(this.#frontends, at("frontends"), frontend.address, "Front-end");
      card.dataset.self = frontend.self ? "yes" : "no";
      const kept = frontend.kept_out_seconds > 0;
      const part = kept ? "kept-out" : "serving";
      changed ||= card.dataset.part !== part;
      show(card, part, kept ? "kept out" : frontend.self ? "serves you" : "serving", frontend.address, [
        ["cache lease", seconds(frontend.lease_seconds), "For how long it may answer from its cache without hearing from the catalog"],
      ]);
      this.#lease(card, frontend.lease_seconds);
    });
    changed = this.#drop(this.#frontends, known) || changed;
    for (const catalog of status.catalogs ?? []) {
      const card = cardOf(this.#catalogs, at("catalogs"), catalog.address, "Catalog");
      const part = !catalog.reachable ? "dead" : catalog.serving ? "serving" : "standby";
      changed ||= card.dataset.part !== part;
      const words = { dead: "no answer", serving: "serving", standby: "stands by" };
      show(card, part, words[part], catalog.address, [
        ["behind", catalog.behind === null ? "–" : count(catalog.behind), "Entries of the log that it has not taken in yet"],
        ["lease", seconds(catalog.lease_seconds), "For how long it may answer lookups without hearing from the leader"],
      ]);
      this.#lease(card, catalog.lease_seconds);
    }
    if (changed) this.#redrawn();
  }

  /** The front-end does not answer: what it serves is not known. */
  unreachable() {
    const own = [...this.#frontends.values()].filter((card) => card.dataset.self === "yes");
    for (const card of this.#frontends.size === 1 ? this.#frontends.values() : own) {
      card.dataset.part = "dead";
      say(card.querySelector(".badge"), "no answer");
    }
    this.#redrawn();
  }

  #drop(cards, known) {
    let dropped = false;
    for (const [address, card] of cards) {
      if (known.some((each) => each.address === address)) continue;
      // It has lost its subscription: its lease runs out, and then it is gone.
      if (Number(card.dataset.lease ?? 0) > performance.now() - this.#heard) continue;
      card.remove();
      cards.delete(address);
      dropped = true;
    }
    return dropped;
  }

  #lease(card, left) {
    if (left === null || left === undefined) return;
    card.dataset.lease = left;
    card.dataset.at = performance.now();
    this.#longest = Math.max(this.#longest, left);
  }

  /** A lease is renewed all the time. It is shown as it was told last, and runs out if nothing more
   * is heard. */
  #shrink() {
    const now = performance.now();
    for (const card of [...this.#frontends.values(), ...this.#catalogs.values()]) {
      const silent = Math.max(0, now - Number(card.dataset.at ?? now) - STALE_MS) / 1000;
      const left = Math.max(0, Number(card.dataset.lease ?? 0) - silent);
      const bar = card.querySelector("progress");
      // A front-end without a cache has no lease.
      bar.hidden = card.dataset.lease === undefined;
      bar.max = this.#longest;
      bar.value = left;
    }
  }
}

const seconds = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(1)} s`);

/** The card of `key`, which is made if it is not there. */
function cardOf(cards, list, key, title) {
  let card = cards.get(key);
  if (card === undefined) {
    const leased = list.id !== "replicas";
    card = make(
      "li",
      { className: "card" },
      make("p", { className: "name" }, make("b", {}, title), make("span", { className: "badge" })),
      make("p", { className: "address" }),
      make("dl"),
    );
    if (leased) {
      const bar = { attributes: { "aria-hidden": "true" }, className: "lease" };
      card.append(make("progress", bar));
    }
    cards.set(key, card);
    list.append(card);
  }
  return card;
}

function show(card, part, word, address, figures) {
  card.dataset.part = part;
  say(card.querySelector(".badge"), word);
  say(card.querySelector(".address"), address);
  const list = card.querySelector("dl");
  if (list.children.length !== figures.length) {
    list.replaceChildren(
      ...figures.map(([name, , says]) => make("div", { title: says }, make("dt", {}, name), make("dd"))),
    );
  }
  figures.forEach(([, value], index) => say(list.children[index].lastChild, value));
}
