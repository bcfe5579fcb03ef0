// Puts the page together: what is read, how often, and who is told.

import { read } from "./calls.js";
import { Cluster } from "./cluster.js";
import { offerCopy } from "./copy.js";
import { Crowd } from "./crowd.js";
import { at, say } from "./dom.js";
import { Market } from "./market.js";
import { News } from "./news.js";
import { count } from "./numbers.js";
import { repeat } from "./repeat.js";
import { Stream } from "./stream.js";
import { Tape } from "./tape.js";
import { offerThemes } from "./theme-switch.js";
import { Ticket } from "./ticket.js";
import { leaderOf, Watch } from "./watch.js";
import { Wires } from "./wires.js";

// Often enough to tell how long a fail-over took, which is a third of a second.
const REPLICAS_MS = 250;
const STATUS_MS = 1000;

const news = new News();
const watch = new Watch((text, kind) => news.tell(text, kind));
const tape = new Tape();
const market = new Market(
  (name) => ticket.pick(name),
  (changed, relisted) => ticket.update(changed, relisted),
);
const ticket = new Ticket(market);
const wires = new Wires(at("wires"));
const cluster = new Cluster(() => requestAnimationFrame(() => wires.draw()));
wires.cards = () => cluster.cards;
new Crowd(at("crowd"), market);
offerCopy(at("copy"), at("kill"));

// The charts come when they have been loaded: nothing else waits for them.
let charts = null;
import("./charts.js").then(({ Charts }) => (charts = new Charts()));
offerThemes(at("theme"), () => charts?.recolour());

let streaming = "connecting";
let wasLive = false;
let notice = null;

const stream = new Stream({
  order(order) {
    tape.add(order);
    wires.pulse();
    if (streaming === "live") showState();
  },
  quote: (quote) => market.quote(quote),
  leader({ id, term, partition }) {
    watch.leads(id, term, performance.now(), partition);
    lookAtReplicas();
  },
  began(orders) {
    tape.begin(orders);
    market.clear();
    fillMarket();
  },
  state(state, replayed) {
    streaming = state;
    if (state === "reconnecting") news.tell("The stream of events is interrupted: reconnecting…", "bad");
    if (state === "live") {
      const missed = replayed > 0 ? `: ${count(replayed)} ${replayed === 1 ? "trade was" : "trades were"} replayed` : "";
      if (wasLive) news.tell(`Caught up${missed}.`, "good");
      else news.tell("Connected. What you see is live.", "good");
      wasLive = true;
    }
    showState();
  },
});

async function fillMarket() {
  // The stream brings all stocks, too; this is there sooner where it is refused.
  for (const stock of (await read("stocks").catch(() => null)) ?? []) {
    if (market.get(stock.name) === undefined) market.quote(stock);
  }
}

const lookAtReplicas = repeat(async () => {
  let replicas;
  try {
    replicas = await read("replicas");
  } catch {
    watch.unreachable(performance.now());
    cluster.unreachable();
    showState();
    return;
  }
  if (replicas === null) return;
  watch.replicas(replicas, performance.now());
  cluster.replicas(replicas);
  const leader = leaderOf(replicas);
  if (leader !== undefined) {
    say(at("kill"), `pkill -9 -f 'bazaar-order --id=${leader.id}'`);
    stream.expect(leader.last_number);
  }
  showState();
}, REPLICAS_MS);

repeat(async () => {
  try {
    const status = await read("status");
    if (status === null) return;
    if (status.notice !== notice && status.notice !== null) news.tell(`${status.notice}.`, "bad");
    notice = status.notice;
    cluster.status(status);
    charts?.add(status.figures);
  } catch {
    charts?.skip();
  }
}, STATUS_MS);

/** The one word for how it is: what is worst comes first. */
function showState() {
  const pill = at("state");
  const [state, text] =
    watch.state === "unreachable" ? ["bad", "front-end unreachable, retrying"]
    : watch.state === "leaderless" ? ["waiting", "no leader, trades wait"]
    : streaming === "live" ? ["live", `live · order ${count(stream.last)}`]
    : streaming === "replaying" ? ["waiting", "catching up"]
    : [streaming === "connecting" ? "connecting" : "bad", `${streaming}…`];
  pill.dataset.state = state;
  say(at("state-text"), text);
}
