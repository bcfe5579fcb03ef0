"""Requests pass as far as the rate of their client allows, and are told what is left."""

from hashlib import sha256
from typing import Any

import pytest

from tests.fakes.frontend_world import Answer, FrontEnd
from twisted_bazaar.access import Client, Permission
from twisted_bazaar.frontend.access.client_file import ClientEntry
from twisted_bazaar.frontend.access.gate import Gate
from twisted_bazaar.frontend.limits.limits import Limits
from twisted_bazaar.metrics.exposition import Exposition
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.metrics.resource import MetricsResource, WithMetrics
from twisted_bazaar.rate import Rate

TRADE = {"name": "GameStart", "quantity": 1, "type": "buy"}
STOCK = "/stocks/GameStart"


BOTH = frozenset({Permission.READ, Permission.TRADE})


def gate(permissions: frozenset[Permission] = BOTH, **rates: float | None) -> Gate:
    """Of a client of each name, whose API key is its name."""
    return Gate(
        ClientEntry(
            Client(
                name,
                permissions,
                None if rate is None else Rate.of(rate, 3),
            ),
            (f"sha256:{sha256(name.encode()).hexdigest()}",),
        )
        for name, rate in rates.items()
    )


def limited(burst: int = 3, thousandths: int = 1000, keys: Gate | None = None) -> FrontEnd:
    return FrontEnd(limits=Limits(Rate(thousandths, burst)), gate=keys)


def said(answer: Answer) -> list[str | None]:
    names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After")
    return [answer.header(name) for name in names]


def as_client(frontend: FrontEnd, key: str, path: str = STOCK) -> Answer:
    return frontend.ask("GET", path, headers={"Authorization": f"Bearer {key}"})


def test_each_answer_says_what_is_left_and_one_too_many_is_refused() -> None:
    frontend = limited()
    answers = [frontend.get(STOCK) for _ in range(4)]
    assert [each.code for each in answers] == [200, 200, 200, 429]
    assert [said(each) for each in answers] == [
        ["3", "2", "1", None],
        ["3", "1", "2", None],
        ["3", "0", "3", None],
        ["3", "0", "3", "1"],
    ]
    assert answers[-1].json["error"]["reason"] == "too_many_requests"
    assert len(frontend.bazaar.asked) == 3
    assert (frontend.limited.of_address.value, frontend.limited.of_client.value) == (1, 0)


def test_after_as_long_as_it_was_told_to_wait_it_is_let_through() -> None:
    frontend = limited(burst=1, thousandths=250)
    frontend.get(STOCK)
    assert said(frontend.get(STOCK)) == ["1", "0", "4", "4"]
    frontend.clock.advance(3.5)
    assert said(frontend.get(STOCK)) == ["1", "0", "1", "1"]
    frontend.clock.advance(0.5)
    assert frontend.get(STOCK).code == 200


def test_a_trade_that_is_refused_is_not_looked_at() -> None:
    frontend = limited(burst=1)
    frontend.get(STOCK)
    assert frontend.ask("POST", "/orders", data=b"no trade").code == 429
    assert frontend.bazaar.history == []


def test_a_batch_counts_as_its_trades() -> None:
    frontend = limited(burst=10)
    answer = frontend.ask("POST", "/orders/batch", json={"orders": [TRADE, {}, TRADE, TRADE]})
    assert (answer.code, said(answer)) == (200, ["10", "6", "4", None])
    refused = frontend.ask("POST", "/orders/batch", json={"orders": [TRADE] * 7})
    assert (refused.code, said(refused)) == (429, ["10", "5", "5", "2"])
    assert len(frontend.bazaar.history) == 3
    assert frontend.ask("POST", "/orders/batch", json={"orders": [TRADE] * 5}).code == 200


@pytest.mark.parametrize(
    "path", ["/", "/ping", "/livez", "/readyz", "/docs", "/openapi.json", "/nope"]
)
def test_what_everybody_may_call_is_not_limited(path: str) -> None:
    frontend = limited(burst=1)
    request = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode()
    for _ in range(3):
        head, _, _ = frontend.connect().send(request).lower().partition(b"\r\n\r\n")
        assert head.startswith((b"http/1.1 200", b"http/1.1 404"))
        assert b"x-ratelimit" not in head


def test_the_calls_of_the_replaced_system_are_limited_as_well() -> None:
    frontend = limited(burst=1)
    path = "/api/frontend_service/trade/stocks/GameStart"
    assert [frontend.get(path).code for _ in range(2)] == [200, 429]


def test_each_client_has_the_rate_of_its_own() -> None:
    frontend = limited(burst=1, keys=gate(alice=1.0, bob=2.0, carol=None))
    assert [as_client(frontend, "alice").code for _ in range(4)] == [200, 200, 200, 429]
    assert said(as_client(frontend, "bob")) == ["3", "2", "1", None]
    assert [as_client(frontend, "carol").code for _ in range(9)] == [200] * 9
    assert said(as_client(frontend, "carol")) == [None] * 4
    assert (frontend.limited.of_client.value, frontend.limited.of_address.value) == (1, 0)


def test_what_a_client_may_not_do_counts_for_the_client() -> None:
    frontend = limited(burst=1, keys=gate(frozenset(), alice=1.0))
    assert [as_client(frontend, "alice").code for _ in range(4)] == [403, 403, 403, 429]
    assert (frontend.limited.of_client.value, frontend.limited.of_address.value) == (1, 0)


def test_a_wrong_api_key_counts_for_its_address_and_not_for_those_with_a_right_one() -> None:
    frontend = limited(burst=2, keys=gate(alice=1.0))
    assert [as_client(frontend, "wrong").code for _ in range(3)] == [401, 401, 429]
    assert frontend.get(STOCK).code == 429
    assert as_client(frontend, "alice").code == 200
    assert as_client(frontend, "wrong", "/ping").code == 200


def test_metrics_for_clients_pass_the_same_entrance() -> None:
    frontend = limited(burst=2, keys=gate(alice=1.0))
    exposed = MetricsResource(Exposition(Metrics()))
    entrance = frontend.entrance
    metrics = WithMetrics(exposed, frontend.site.resource, entrance.admit_operator)
    served = FrontEnd(resource=metrics)
    assert [as_client(served, "wrong", "/metrics").code for _ in range(3)] == [401, 401, 429]
    codes = [as_client(served, "alice", "/metrics").code for _ in range(4)]
    assert codes == [403, 403, 403, 429], "it may not, which counts as well"
    assert as_client(served, "alice").code == 429


def test_metrics_count_for_no_rate_where_all_may_have_them() -> None:
    frontend = limited(burst=1)
    exposed = MetricsResource(Exposition(Metrics()))
    admit = frontend.entrance.admit_operator
    served = FrontEnd(resource=WithMetrics(exposed, frontend.site.resource, admit))
    request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(3):
        assert served.connect().send(request).startswith(b"HTTP/1.1 200 ")
    assert served.get(STOCK).code == 200


def test_clients_without_a_rate_of_addresses_are_limited_by_name_alone() -> None:
    frontend = FrontEnd(limits=Limits(), gate=gate(alice=1.0))
    assert [as_client(frontend, "wrong").code for _ in range(9)] == [401] * 9
    assert [as_client(frontend, "alice").code for _ in range(4)] == [200, 200, 200, 429]


def test_what_limits_say_is_described_where_there_are_some() -> None:
    def responses(frontend: FrontEnd, path: str) -> Any:
        return frontend.get("/openapi.json").json["paths"][path]["get"]["responses"]

    stock = responses(limited(), "/stocks/{name}")
    assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= (
        stock["200"]["headers"].keys() & stock["429"]["headers"].keys()
    )
    assert "Retry-After" in stock["429"]["headers"]
    assert "too_many_requests" in stock["429"]["description"]
    assert "X-RateLimit-Limit" not in responses(limited(), "/ping")["200"]["headers"]
    assert "X-RateLimit-Limit" not in responses(FrontEnd(), "/stocks/{name}")["200"]["headers"]
