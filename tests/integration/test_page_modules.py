"""Modules of the live page, each tried by itself in a browser, without a bazaar."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route

import twisted_bazaar.frontend.page

from .browser import chromium

FOLDER = Path(twisted_bazaar.frontend.page.__file__).parent
HOST = "http://page.test"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that runs nothing, and can import the modules."""

    def serve(route: Route) -> None:
        route.fulfill(path=FOLDER / urlsplit(route.request.url).path.lstrip("/"))

    page = browser.new_page()
    page.route(f"{HOST}/*.js", serve)
    page.goto(f"{HOST}/rates.js")
    yield page
    page.close()


def test_a_fail_over_is_told_in_sentences(page: Page) -> None:
    said = page.evaluate("""async () => {
      const { Watch } = await import("./watch.js");
      const said = [], states = [];
      const watch = new Watch((text, kind) => said.push([text, kind]));
      const replica = (id, role, term) => ({ id, role, term, reachable: role !== "unknown" });
      const looks = (now, term, ...roles) => {
        watch.replicas(roles.map((role, index) => replica(index + 1, role, term)), now);
        states.push(watch.state);
      };
      looks(1000, 1, "follower", "follower", "leader");
      looks(9000, 1, "follower", "follower", "leader");
      looks(9200, 1, "follower", "follower", "unknown");
      looks(9400, 2, "follower", "leader", "unknown");
      watch.leads(3, 1, 9500);
      looks(9900, 2, "follower", "leader", "follower");
      watch.unreachable(10000);
      states.push(watch.state);
      looks(12000, 2, "follower", "leader", "follower");
      return [said, states];
    }""")
    assert said == [
        [
            ["Replica 3, the leader, does not answer. Trades wait for another one.", "bad"],
            [
                "Replica 2 took over from replica 3 after about 0.3 s, in term 2. Trades go on.",
                "good",
            ],
            ["Replica 3 is back, and follows.", "good"],
            ["The front-end does not answer. This page tries again until it does.", "bad"],
            ["The front-end answers again, after 2.0 s.", "good"],
        ],
        ["fine", "fine", "leaderless", "fine", "fine", "unreachable", "fine"],
    ]


def test_a_fail_over_of_several_partitions_names_each(page: Page) -> None:
    said = page.evaluate("""async () => {
      const { Watch } = await import("./watch.js");
      const said = [], states = [];
      const watch = new Watch((text) => said.push(text));
      const look = (now, alive, ...leaders) => {
        const replicas = [2, 3].map((id) => ({
          id, term: 1, reachable: alive.includes(id),
          role: leaders[0] === id ? "leader" : "follower",
          partitions: leaders.map((leader, partition) => (
            { partition, role: leader === id ? "leader" : "follower", term: leader === 2 ? 2 : 1 }
          )),
        }));
        watch.replicas(replicas, now);
        states.push(watch.state);
      };
      look(1000, [2, 3], 3, 2, 3);
      look(9000, [2], 3, 2, 3);
      watch.leads(2, 2, 9500, 2);
      look(9700, [2], 2, 2, 2);
      return [said, states];
    }""")
    assert said == [
        [
            "Replica 3, the leader of partition 0, does not answer. "
            "Trades of its stocks wait for another one.",
            "Replica 3, the leader of partition 2, does not answer. "
            "Trades of its stocks wait for another one.",
            "Replica 2 took over partition 2 from replica 3 after about 4.5 s, in term 2. "
            "Trades go on.",
            "Replica 2 took over partition 0 from replica 3 after about 4.7 s, in term 2. "
            "Trades go on.",
        ],
        ["fine", "leaderless", "fine"],
    ]


def test_orders_of_several_partitions_are_each_shown_once(page: Page) -> None:
    said = page.evaluate("""async () => {
      const { Shown } = await import("./shown.js");
      const order = (number) => ({ number, partition: number % 1000 });
      const shown = new Shown([2000, 7001, 1000].map(order));
      const said = [shown.after, shown.last];
      const come = (number) => said.push(shown.add(order(number), `p${number}`));
      [8001, 3000, 8001, 2000, 9001].forEach(come);
      said.push(shown.after, shown.has(9001), shown.has(4000), shown.has(5002));
      said.push(shown.isAhead([9001, 3000].map(order)), shown.isAhead([9001, 2000].map(order)));
      return [...said, shown.isAhead([]), new Shown().after, new Shown([{ number: 5 }]).after];
    }""")
    assert said == [
        *(None, 2000, True, True, False, False, True, "p9001", True, False, True),
        *(False, True, True, 0, 5),
    ]


def test_an_order_that_comes_twice_is_shown_once(page: Page) -> None:
    said = page.evaluate("""async () => {
      const sources = [], shown = [], states = [];
      window.fetch = async (target) => {
        const orders = JSON.stringify({ data: [{ number: 5 }] });
        if (!target.startsWith("events")) return new Response(orders);
        const start = (writer) => sources.push([writer, target]);
        return new Response(new ReadableStream({ start }));
      };
      const { Stream } = await import("./stream.js");
      new Stream({
        order: ({ number }) => shown.push(number),
        state: (state) => states.push(state),
        began() {}, quote() {}, leader() {},
      });
      const until = async (happened) => {
        for (let turn = 0; !happened(); turn += 1) {
          if (turn === 2000) throw new Error(`not yet: ${happened}`);
          await new Promise((resume) => setTimeout(resume, 5));
        }
      };
      await until(() => sources.length === 1);
      const [writer, url] = sources[0];
      await until(() => states.includes("live"));
      const event = (number) => `event: order\\nid: ${number}\\ndata: {"number": ${number}}\\n\\n`;
      const text = [6, 6, 7, 5, 8].map(event).join("");
      // Pieces end anywhere.
      for (let at = 0; at < text.length; at += 11) {
        writer.enqueue(new TextEncoder().encode(text.slice(at, at + 11)));
      }
      await until(() => shown.length === 3);
      return [url, shown];
    }""")
    assert said == ["events?after=5", [6, 7, 8]]


def test_a_stream_shows_its_api_key_and_goes_on_after_the_last_id(page: Page) -> None:
    said = page.evaluate("""async () => {
      sessionStorage.setItem("bazaar-api-key", "bz_mine");
      const asked = [];
      window.fetch = async (target, { headers }) => {
        asked.push([target, headers.Authorization, headers["Last-Event-ID"] ?? null]);
        if (asked.length === 3) return new Response("", { status: 503 });
        return new Response("retry: 1\\n\\nevent: order\\nid: p7\\ndata: {}\\n\\ndata: {}");
      };
      const { Source } = await import("./source.js");
      const source = new Source("events?after=5");
      const seen = [];
      source.addEventListener("order", ({ data, lastEventId }) => seen.push([data, lastEventId]));
      while (!source.isClosed) await new Promise((resume) => setTimeout(resume, 5));
      return [asked, seen];
    }""")
    target, key = "events?after=5", "Bearer bz_mine"
    assert said == [
        [[target, key, None], [target, key, "p7"], [target, key, "p7"]],
        [["{}", "p7"], ["{}", "p7"]],
    ]


def test_percentiles_and_restarts_are_counted_right(page: Page) -> None:
    said = page.evaluate("""async () => {
      const { between, percentile } = await import("./rates.js");
      const figures = (uptime, trade) => ({
        uptime_seconds: uptime, lookups: { hit: 0, miss: 0, off: 0 },
        seconds: { bounds: [1], lookup: [0, 0], trade },
      });
      return [
        percentile([1, 2, 4], [0, 10, 0, 0], 0.5),
        percentile([1, 2, 4], [98, 0, 2, 0], 0.99),
        percentile([1, 2, 4], [0, 0, 0, 3], 0.5),
        percentile([1, 2, 4], [0, 0, 0, 0], 0.5),
        between(figures(9, [5, 0]), figures(1, [1, 0])),
        between(figures(1, [5, 0]), figures(3, [9, 0])).trades,
        between(figures(1, [5, 0]), figures(3, [9, 0])).hitRate,
      ];
    }""")
    assert said == [1.5, 3, 4, None, None, 2, None]
