"""The live page in a browser, on real processes that are really killed."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from twisted_bazaar.market import MAX_STOCKS

from .bazaar import Bazaar
from .browser import DESKTOP, Opened, Theme, accessibility_faults, chromium, opened
from .replicas import leader
from .test_market_operations import market
from .waiting import wait_until

STOCKS = 250
ODD = "~<img src=x onerror=y()>  &amp;"
"""The last name: with markup, and two spaces in a row."""
NAMES = [*(f"Stock {number:03}" for number in range(STOCKS - 1)), ODD]
LISTING = "\n".join(
    ["name,price,quantity", *(f"{name},{n}.25,1000" for n, name in enumerate(NAMES))]
)
FIRST = "Stock 000"
KEYBOARD = ["Tab", "Enter", "Tab"]
"""To the link that skips to the ticket, along it, and to the first field."""
PHONE = 360, 740
BEHIND = "behind"
"""The figure follows at once in the text of a card: only its style sets it apart."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def bazaar(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    """A bazaar with more stocks than the page shows at a time, whose processes may be killed."""
    folder = tmp_path_factory.mktemp("page")
    listing = folder / "listing.csv"
    listing.write_text(LISTING)
    with Bazaar(folder / "bazaar", f"--listing={listing}") as running:
        yield running


@pytest.fixture
def page(browser: Browser, bazaar: Bazaar) -> Iterator[Opened]:
    """The page, live."""
    bazaar.wait_ready()
    with opened(browser, bazaar.url) as shown:
        shown.wait_live()
        yield shown


def buy(bazaar: Bazaar, quantity: int = 1, name: str = FIRST) -> int:
    """The number of an order that another client makes."""
    answer = bazaar.request("POST", "/orders", {"name": name, "quantity": quantity, "type": "buy"})
    number: int = answer.body["data"]["transaction_number"]
    return number


def press(page: Opened, *keys: str) -> None:
    for key in keys:
        page.page.keyboard.press(key)


def test_it_loads_from_its_own_host_alone_and_draws_the_cluster_with_leases_and_lines(
    page: Opened, bazaar: Bazaar
) -> None:
    page.wait("#replicas .card[data-part=leader]")
    page.wait("#frontends .card[data-part=serving]", "cache lease")
    page.wait("#catalogs .card[data-part=serving]", BEHIND + "0")
    assert page.page.locator("#replicas .card").filter(has_text=BEHIND + "0").count() == 3
    for part in ("frontends", "catalogs"):
        left = page.page.locator(f"#{part} progress.lease")
        wait_until(lambda left=left: left.evaluate("(bar) => bar.value") > 0, "a lease is shown")
    # From the front-end to the leader, to two followers and the catalog, and back.
    for kind, lines in (("trades", 1), ("entries", 3), ("back", 1)):
        drawn = page.page.locator(f"#wires path.{kind}:not(.pulse)")
        wait_until(lambda drawn=drawn, lines=lines: drawn.count() == lines, f"{lines} {kind}")
    page.wait("#chart-hits canvas")
    assert page.text("#news") == "Connected. What you see is live."
    wait_until(lambda: page.said() == page.text("#news"), "a screen reader is told")
    assert (page.errors, page.violations(), page.hosts) == ([], [], {bazaar.url})


def test_a_trade_by_keyboard_shows_its_number_and_cost_wherever_it_counts(
    page: Opened, bazaar: Bazaar
) -> None:
    press(page, *KEYBOARD)
    page.page.keyboard.type("Stock 002")
    press(page, "Tab", "Tab")
    page.page.keyboard.type("3")
    assert page.text("#send") == "Buy 3 shares of Stock 002"
    press(page, "Enter")
    page.wait("#outcome[data-kind=placed]", "Bought 3 shares of Stock 002 at 2.25: 6.75 in all.")
    number = int(page.text("#outcome b").removeprefix("Order "))
    order = bazaar.request("GET", f"/orders/{number}").body["data"]
    assert (order["name"], order["quantity"], order["total"]) == ("Stock 002", 3, 6.75)
    page.wait_number(number)
    row = "#stocks tr[data-stock='Stock 002']"
    page.wait(f"{row} [data-figure=quantity]", "997")
    page.wait(f"{row} [data-figure=volume]", "3")
    page.wait(f"{row} [data-figure=quantity][data-changed=down]")
    # A sparkline of one step at least; of a figure that never changed it is flat.
    steps = page.page.locator(f"{row} svg.spark path:last-child")
    wait_until(lambda: (steps.get_attribute("d") or "").count("V") > 0, "a sparkline with a step")
    assert (page.errors, page.violations()) == ([], [])


def test_a_refusal_is_shown_and_nothing_is_traded(page: Opened) -> None:
    before = page.numbers()
    page.page.fill("[name=quantity]", "1001")
    page.page.click("#send")
    page.wait("#outcome[data-kind=refused]", "Not enough shares")
    page.page.fill("[name=quantity]", "1")
    page.page.fill("[name=limit]", "0.01")
    page.page.click("#send")
    page.wait("#outcome[data-kind=refused]", "price")
    assert page.numbers() == before


def test_an_outcome_that_is_unknown_is_looked_up_until_it_is_known(
    page: Opened, bazaar: Bazaar
) -> None:
    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    page.page.route("**/orders", lose_the_answer, times=1)
    page.page.route("**/orders?client_order_id=*", lambda route: route.abort(), times=1)
    page.page.fill("[name=quantity]", "2")
    page.page.click("#send")
    page.wait("#outcome", "Outcome unknown")
    page.wait("#outcome[data-kind=placed]", "Bought 2 shares")
    number = int(page.text("#outcome b").removeprefix("Order "))
    assert bazaar.request("GET", f"/orders/{number}").body["data"]["quantity"] == 2


@pytest.mark.slow
def test_a_trade_that_may_be_lost_is_sent_again_with_its_key(page: Opened) -> None:
    keys: list[str] = []

    def lose_the_first(route: Route) -> None:
        keys.append(route.request.post_data_json["client_order_id"])
        route.abort() if len(keys) == 1 else route.continue_()

    page.page.route("**/orders", lose_the_first)
    page.page.click("#send")
    page.wait("#outcome", "No order so far")
    page.page.click("#outcome button")
    page.wait("#outcome[data-kind=placed]")
    assert keys == [keys[0]] * 2


@pytest.mark.slow
def test_a_trade_that_certainly_left_no_order_is_not_left_open(page: Opened) -> None:
    unknown = {"code": 503, "reason": "outcome_unknown", "message": "it may have been executed"}
    page.page.route(
        "**/orders", lambda route: route.fulfill(status=503, json={"error": unknown}), times=1
    )
    page.page.click("#send")
    page.wait("#outcome", "Outcome unknown")
    page.wait("#outcome[data-kind=refused]", "it was not executed")


def test_it_follows_the_kill_of_the_leader_and_trades_afterwards(
    page: Opened, bazaar: Bazaar
) -> None:
    page.wait("#replicas .card[data-part=leader]")
    old = leader(bazaar)
    page.wait("#kill", f"bazaar-order --id={old[-1]}")
    assert f"bazaar-order --id={old[-1]}" in " ".join(bazaar.processes()[old]["command"])
    bazaar.kill(old)
    page.wait("#happened", f"took over from replica {old[-1]} after about")
    page.wait("#replicas .card[data-part=leader]")
    new = leader(bazaar)
    assert new != old
    page.wait("#replicas .card.new", f"Replica {new[-1]}")
    page.wait("#kill", f"--id={new[-1]}")
    page.page.click("#send")
    page.wait("#outcome[data-kind=placed]")
    page.wait("#happened", f"Replica {old[-1]} is back")


@pytest.mark.slow
def test_a_replica_that_does_not_answer_is_visibly_dead(page: Opened, bazaar: Bazaar) -> None:
    name = next(f"order-{each}" for each in (1, 2, 3) if f"order-{each}" != leader(bazaar))
    bazaar.kill(name, signal.SIGSTOP)
    try:
        page.wait("#replicas .card[data-part=dead]", f"Replica {name[-1]}")
        page.wait("#happened", f"Replica {name[-1]} does not answer.")
    finally:
        bazaar.kill(name, signal.SIGCONT)
    page.wait("#happened", f"Replica {name[-1]} is back")


@pytest.mark.parametrize("refused", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_what_was_traded_while_the_front_end_was_away_is_replayed_once(
    page: Opened, bazaar: Bazaar, refused: bool
) -> None:
    """The browser connects again by itself, but for a stream that is refused once, as by a proxy,
    and is opened anew by the page."""
    page.wait_number(buy(bazaar))
    page.page.context.set_offline(True)
    old = bazaar.kill("frontend")
    page.wait("#state[data-state=bad]", "unreachable")
    page.wait("#happened", "reconnecting…")
    bazaar.wait_restarted("frontend", old)
    bazaar.wait_ready()
    missed = [buy(bazaar) for _ in range(12)]
    if refused:
        page.page.route("**/events?*", lambda route: route.fulfill(status=503), times=1)
    page.page.context.set_offline(False)
    page.wait("#happened", "Caught up: 12 trades were replayed.")
    page.wait_live()
    page.wait("#happened", "The front-end answers again")
    page.wait_number(buy(bazaar))
    numbers = page.numbers()
    assert numbers == [*range(missed[-1] + 1, missed[-1] + 1 - len(numbers), -1)]


@pytest.mark.slow
def test_a_front_end_that_is_killed_is_back_without_a_reload(page: Opened, bazaar: Bazaar) -> None:
    bazaar.kill("frontend")
    page.wait("#happened", "reconnecting…")
    page.wait("#happened", "Caught up")
    number = buy(bazaar)
    page.wait_number(number)
    assert page.numbers() == sorted(set(page.numbers()), reverse=True)


def test_stocks_beyond_those_shown_are_found_and_traded(page: Opened, bazaar: Bazaar) -> None:
    rows = page.page.locator("#stocks tr")
    page.wait("#market-count", f"{STOCKS} stocks")
    page.wait("#market-more", f"100 of {STOCKS} are shown.")
    assert rows.count() == 100
    page.page.click("#market-more button")
    wait_until(lambda: rows.count() == STOCKS, "all are shown")
    page.page.fill("#find", "stock 248")
    wait_until(lambda: rows.count() == 1, "one is found")
    page.page.click("#stocks button")
    assert page.text("#send") == "Buy 5 shares of Stock 248"
    buy(bazaar, 7, "Stock 248")
    page.wait("#stocks [data-figure=quantity]", "993")


def test_a_name_is_text_whatever_it_holds(page: Opened, bazaar: Bazaar) -> None:
    page.page.fill("#find", "onerror")
    page.page.click("#stocks button")
    assert page.page.input_value("[name=name]") == ODD
    page.page.click("#send")
    page.wait("#outcome[data-kind=placed]", "249.25")
    bought = bazaar.request("GET", "/orders?direction=desc&limit=1").body["data"][0]
    assert bought["name"] == ODD
    page.wait_number(bought["number"])
    assert (page.page.locator("img").count(), page.errors, page.violations()) == (0, [], [])


@pytest.mark.slow
def test_a_halted_stock_says_so_and_its_trades_are_refused(page: Opened, bazaar: Bazaar) -> None:
    done = market("halt", "Stock 001", f"--data={bazaar.data}")
    assert done.returncode == 0, done
    page.wait("#stocks tr[data-stock='Stock 001'] .badge", "halted")
    page.page.select_option("[name=name]", "Stock 001")
    page.wait("#estimate", "trades are refused for now")
    page.page.click("#send")
    page.wait("#outcome[data-kind=refused]", "halted")


@pytest.mark.slow
def test_charts_show_the_differences_of_the_figures(browser: Browser, bazaar: Bazaar) -> None:
    asked = 0

    def status(route: Route) -> None:
        nonlocal asked
        answer: Any = route.fetch().json()
        asked += 1
        answer["data"]["figures"] |= {
            "uptime_seconds": float(asked),
            "lookups": {"hit": 90 * asked, "miss": 10 * asked, "off": 0},
            "seconds": {
                "bounds": [0.001, 0.002, 0.004],
                "lookup": [100 * asked, 0, 0, 0],
                "trade": [0, 0, 10 * asked, 0],
            },
        }
        route.fulfill(json=answer)

    with opened(browser, bazaar.url) as page:
        page.page.route("**/status", status)
        page.wait("#chart-rate .key.one", "10/s")
        page.wait("#chart-rate .key.two", "100/s")
        page.wait("#chart-latency .key.one >> nth=0", "3.0 ms")
        page.wait("#chart-hits", "90 %")
        assert page.page.locator("#chart-rate .plot").get_attribute("aria-label") == (
            "Requests a second over two minutes; now trades 10/s, lookups 100/s"
        )


@pytest.mark.slow
def test_a_replica_that_lags_or_is_suspect_says_so(browser: Browser, bazaar: Bazaar) -> None:
    bazaar.wait_ready()
    leads = int(leader(bazaar)[-1])
    late, suspect = (each for each in (1, 2, 3) if each != leads)

    def replicas(route: Route) -> None:
        answer: Any = route.fetch().json()
        for each in answer["data"]:
            if each["id"] == late:
                each["last_index"] -= 7
            elif each["id"] == suspect:
                each["role"] = "suspect"
        route.fulfill(json=answer)

    with opened(browser, bazaar.url) as page:
        page.page.route("**/replicas", replicas)
        page.wait("#replicas .card[data-part=follower]", BEHIND + "7")
        page.wait("#replicas .card[data-part=suspect]", "catching up")


@pytest.mark.slow
def test_the_command_that_kills_the_leader_is_copied(page: Opened, bazaar: Bazaar) -> None:
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.wait("#kill", f"--id={leader(bazaar)[-1]}")
    page.page.click("#copy")
    page.wait("#copy", "Copied")
    copied = page.page.evaluate("navigator.clipboard.readText()")
    assert copied == f"pkill -9 -f 'bazaar-order --id={leader(bazaar)[-1]}'"


@pytest.mark.slow
def test_the_largest_market_is_shown_and_found(browser: Browser, tmp_path: Path) -> None:
    listing = tmp_path / "listing.csv"
    rows = (f"Stock {number:05},1.25,100" for number in range(MAX_STOCKS))
    listing.write_text("\n".join(["name,price,quantity", *rows]))
    with (
        Bazaar(tmp_path / "bazaar", f"--listing={listing}") as bazaar,
        opened(browser, bazaar.url) as page,
    ):
        page.wait_live()
        page.wait("#market-count", f"{MAX_STOCKS:,} stocks")
        page.page.fill("#find", "stock 19999")
        page.page.click("#stocks button")
        page.page.click("#send")
        page.wait("#outcome[data-kind=placed]", "Bought 5 shares of Stock 19999")
        page.wait("#stocks [data-figure=quantity]", "95")
        assert page.errors == []


@pytest.mark.slow
def test_a_crowd_trades_until_it_is_told_to_stop(page: Opened) -> None:
    before = page.numbers()[:1] or [0]
    page.page.check("#crowd")
    wait_until(lambda: page.numbers()[:1] > [before[0] + 2], "three trades")
    page.page.uncheck("#crowd")


@pytest.mark.slow
def test_colours_are_chosen_and_kept(page: Opened) -> None:
    def scheme() -> str:
        found: str = page.page.evaluate("getComputedStyle(document.documentElement).colorScheme")
        return found

    assert scheme() == "light dark"
    page.page.locator("#theme input[value=dark]").check()
    assert scheme() == "dark"
    page.page.reload()
    page.wait_live()
    assert scheme() == "dark"
    assert page.page.locator("#theme input[value=dark]").is_checked()


@pytest.mark.parametrize(
    ("theme", "size"),
    [
        ("light", PHONE),
        pytest.param("light", DESKTOP, marks=pytest.mark.slow),
        pytest.param("dark", PHONE, marks=pytest.mark.slow),
        pytest.param("dark", DESKTOP, marks=pytest.mark.slow),
    ],
)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    browser: Browser, bazaar: Bazaar, theme: Theme, size: tuple[int, int]
) -> None:
    with opened(browser, bazaar.url, size, theme) as page:
        page.wait_number(buy(bazaar))
        page.page.fill("[name=quantity]", "1001")
        page.page.click("#send")
        page.wait("#outcome[data-kind=refused]")
        page.page.click(".words summary")
        page.page.emulate_media(reduced_motion="reduce")
        assert accessibility_faults(page.page) == []
        assert page.page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.slow
def test_nothing_moves_for_those_who_ask_for_less_motion(page: Opened, bazaar: Bazaar) -> None:
    page.page.emulate_media(reduced_motion="reduce")
    number = buy(bazaar)
    page.wait_number(number)
    page.wait(f"#stocks tr[data-stock='{FIRST}'] td[data-changed=down]")
    assert page.page.evaluate("document.getAnimations().length") == 0
