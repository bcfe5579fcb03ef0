"""Each answer names its request: by the client's own id, or by one that is made."""

import pytest
from twisted.python.failure import Failure

from tests.fakes.frontend_world import FrontEnd, failures_logged
from twisted_bazaar.http.request_ids import RequestIds, carried, given_id


def answered(raw: bytes) -> bytes:
    """The id in the answer to `raw`."""
    answer = FrontEnd().connect().send(raw)
    [line] = [line for line in answer.split(b"\r\n") if line.lower().startswith(b"x-request-id:")]
    return line.partition(b": ")[2]


@pytest.mark.parametrize("given", [b"a", b"bot/7:trade-1", b"!~", b"x" * 128])
def test_the_clients_own_id_is_in_the_answer(given: bytes) -> None:
    head = b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Request-ID: " + given + b"\r\n\r\n"
    assert answered(head) == given


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [b"X-Request-ID:"],
        [b"X-Request-ID: a b"],
        [b"X-Request-ID: \xe9"],
        [b"X-Request-ID: " + b"x" * 129],
        [b"X-Request-ID: a", b"X-Request-ID: a"],
    ],
)
def test_one_is_made_where_the_client_gives_none_that_can_be_taken(headers: list[bytes]) -> None:
    head = b"".join(line + b"\r\n" for line in (b"GET /ping HTTP/1.1", b"Host: x", *headers))
    assert answered(head + b"\r\n") == b"request-1"


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (b"GET /nope HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n", 404),
        (b"PUT /ping HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n", 405),
        (b"POST /orders HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n", 403),
        (b"GET /ping HTTP/1.1\r\nX-Request-ID: mine\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nX-Request-ID: mine\r\n folded\r\n", 400),
        (b"POST / HTTP/1.1\r\nX-Request-ID: mine\r\nTransfer-Encoding: gzip\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nX-Request-ID: mine\r\nContent-Length: 1" + b"0" * 9 + b"\r\n\r\n",
            413,
        ),
        (b"GET / HTTP/1.1\r\nX-Request-ID: mine\r\n" + b"A: b\r\n" * 501, 431),
    ],
)
def test_a_refusal_names_it_too_as_far_as_the_head_was_read(rest: bytes, code: int) -> None:
    assert FrontEnd().connect().send(rest).startswith(b"HTTP/1.1 %d " % code)
    assert answered(rest) == b"mine"


@pytest.mark.parametrize("raw", [b"nonsense\r\n", b"\x16\x03\x01", b"GET /" + b"x" * 20000])
def test_what_is_no_request_is_answered_with_one_that_is_made(raw: bytes) -> None:
    assert answered(raw) == b"request-1"


def test_an_unexpected_error_is_logged_under_the_clients_id(
    logged_failures: list[Failure],
) -> None:
    frontend = FrontEnd()
    frontend.bazaar.answer = RuntimeError("a bug")
    with failures_logged() as failures:
        answer = frontend.get("/stocks/GameStart", X_Request_ID="mine")
    assert (answer.code, answer.header("x-request-id")) == (500, "mine")
    assert "knows this request as mine" in answer.message
    logged_failures.clear()
    assert failures[0].startswith("request mine failed: GET /stocks/GameStart")


def test_it_goes_along_with_trades_and_reads() -> None:
    frontend = FrontEnd()
    trade = {"name": "GameStart", "quantity": 1, "type": "buy"}
    headers = {"X-Request-ID": "mine"}
    frontend.ask("POST", "/orders", json=trade, headers=headers)
    frontend.ask("POST", "/orders/batch", json={"orders": [trade]}, headers=headers)
    frontend.get("/orders/1", X_Request_ID="mine")
    frontend.get("/orders", X_Request_ID="mine")
    assert frontend.bazaar.request_ids == ["mine"] * 4


def test_those_that_are_made_differ() -> None:
    ids, others = RequestIds("a"), RequestIds("b")
    made = [ids() for _ in range(1000)] + [others() for _ in range(1000)]
    assert len(set(made)) == 2000
    assert all(given_id([each.encode()]) == each for each in made)


def test_a_call_carries_those_of_its_first_requests_without_repeats() -> None:
    assert carried([]) == ""
    assert carried(["a", "a", "b"]) == "a b"
    assert len(carried("x" * 127 + str(number % 10) for number in range(1000))) < 1200
