"""Bad requests harm neither the ledger, nor the log, nor another client.

One bazaar serves all tests here, and a background trader trades in it all the time. After each
test every order and every quantity is checked (`checked_market`).
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from .background_trader import BackgroundTrader
from .bazaar import Bazaar
from .checked_market import BACKGROUND_STOCK, LISTED, CheckedMarket
from .raw_client import RawAnswer, request

LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CheckedMarket]:
    with Bazaar(
        tmp_path_factory.mktemp("bad-input"),
        *("--replicas=1", "--cache=off", "--host=shop.example"),
    ) as bazaar:
        address = bazaar.processes()["frontend"]["address"]
        with BackgroundTrader(address, BACKGROUND_STOCK) as background:
            yield CheckedMarket(bazaar, background)
    assert "Traceback" not in bazaar.log.read_text(), bazaar.tail()


@pytest.fixture
def market(running: CheckedMarket) -> Iterator[CheckedMarket]:
    """The bazaar to send things to; afterwards nothing must have come of it."""
    yield running
    running.check()


def assert_refused(answer: RawAnswer | None, *codes: int, said: str = "") -> None:
    """An error in the one shape that errors have."""
    assert answer is not None, "closed without an answer"
    assert answer.code in codes, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.json.keys() == {"error"}
    assert answer.json["error"].keys() == {"code", "reason", "message"}
    assert answer.json["error"]["code"] == answer.code
    assert said in answer.json["error"]["message"]


def order(
    name: object = "GameStart", quantity: object = 1, side: object = "buy", **more: object
) -> bytes:
    return json.dumps({"name": name, "quantity": quantity, "type": side, **more}).encode()


def with_quantity(literal: str) -> bytes:
    return b'{"name": "GameStart", "quantity": %b, "type": "sell"}' % literal.encode()


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        *[b"", b" \r\n\t", b"\0", b"{", b"}", b"{}", b"[]", b"null", b"true", b"5", b'"buy"'],
        *[b"nonsense", b"name=GameStart&quantity=1&type=buy", b"<order/>", b"{'name': 1}"],
        *[b"[" * 30_000, b'{"a":' * 10_000, b"\xff\xfe" + order(), b"\xef\xbb\xbf" + order()],
        *[order().decode().encode("utf-16"), order()[:-1], order() + b"x", order() * 2],
        *[b"[" + order() + b"]", b'"' + b"x" * 60_000 + b'"', order().replace(b"buy", b"\xff")],
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_no_json_object_of_a_trade_is_400(
    market: CheckedMarket, body: bytes
) -> None:
    assert_refused(market.ask(request("POST", "/orders", body)), 400)


@pytest.mark.parametrize(
    "literal",
    [
        *["0", "-0", "-1", "-5", str(10**9 + 1), str(2**31 - 1), str(2**31), str(2**32 + 1)],
        *[str(2**53), str(2**63 - 1), str(2**63), str(2**64 + 1), str(2**70), str(-(2**63))],
        *["1" + "0" * 400, "1" + "0" * 5000, "-1" + "0" * 400, "1e400", "-1e400", "1e-400"],
        *["0.5", "10.5", "1e10", "5.0000000000000000001", "NaN", "Infinity", "-Infinity"],
        *['"1"', '""', "true", "false", "null", "[1]", '{"value": 1}', "01", "+1", "0x1", "1_0"],
    ],
    ids=lambda literal: literal[:20],
)
def test_a_quantity_that_is_no_integer_from_1_to_a_thousand_million_is_400(
    market: CheckedMarket, literal: str
) -> None:
    assert_refused(market.ask(request("POST", "/orders", with_quantity(literal))), 400)


@pytest.mark.parametrize(
    "name",
    [
        *["Nope", "", " ", "gamestart", "GameStart ", "GameStart\0", "\0", "Gáme", "\U0001f4c8"],
        *["x" * 64, "x" * 65, "x" * 60_000, "\ud800", "../../etc/passwd", "*", "%s%n", "'; --"],
        *[5, True, None, 1e300, ["GameStart"], {"GameStart": 1}],
    ],
    ids=lambda name: repr(name)[:20],
)
def test_a_name_that_no_stock_has_is_400(market: CheckedMarket, name: object) -> None:
    assert_refused(market.ask(request("POST", "/orders", order(name))), 400)


@pytest.mark.parametrize("side", ["", "BUY", "buy ", "short", None, True, 1, ["buy"], {}])
def test_a_type_that_is_neither_buy_nor_sell_is_400(market: CheckedMarket, side: object) -> None:
    answer = market.ask(request("POST", "/orders", order(side=side)))
    assert_refused(answer, 400, said='type must be "buy" or "sell"')


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (order()[:-1] + b', "quantity": 1}', 'the field "quantity" is given twice'),
        (order()[:-1] + b', "n\\u0061me": "GameStart"}', 'the field "name" is given twice'),
        (order(price=1), 'unknown field "price"'),
        (order(**{"x" * 50_000: 1}), 'unknown field "xxx'),
        (order(**{"__class__": "x"}), 'unknown field "__class__"'),
        (b'{"quantity": 1, "type": "buy"}', "the field name is missing"),
        (b'{"name": "GameStart", "type": "buy"}', "the field quantity is missing"),
        (b'{"name": "GameStart", "quantity": 1}', "the field type is missing"),
        (order(client_order_id=""), "client_order_id must be"),
        (order(client_order_id="x" * 129), "client_order_id must be"),
        (order(client_order_id="\x7f"), "client_order_id must be"),
        (order(client_order_id="caf\xe9"), "client_order_id must be"),
        (order(client_order_id=5), "client_order_id must be"),
    ],
    ids=lambda value: repr(value)[-30:],
)
def test_fields_that_are_unknown_missing_or_given_twice_are_400_by_name(
    market: CheckedMarket, body: bytes, said: str
) -> None:
    assert_refused(market.ask(request("POST", "/orders", body)), 400, said=said)


@pytest.mark.parametrize(
    "headers",
    [
        ["Idempotency-Key: a", "Idempotency-Key: b"],
        ['Idempotency-Key: "a'],
        ["X-Idempotency-Key: a"],
        ["Idempotency-Key:"],
        ["Idempotency-Key: " + "x" * 129],
        ["Idempotency-Key: \xe9"],
        ["Idempotency-Key: \x7f"],
    ],
    ids=lambda headers: repr(headers)[-20:],
)
def test_an_invalid_key_is_400(market: CheckedMarket, headers: list[str]) -> None:
    answer = market.ask(request("POST", "/orders", order(), *headers))
    assert_refused(answer, 400, said="Idempotency-Key")


@pytest.mark.parametrize(
    ("literal", "quantity"), [("10.0", 10), ("1e0", 1), ("2", 2), ("2.0E+0", 2)]
)
def test_a_quantity_may_be_written_as_any_number_that_is_an_integer(
    market: CheckedMarket, literal: str, quantity: int
) -> None:
    body = with_quantity(literal).replace(b"}", b', "client_order_id": null}')
    assert market.ask(request("POST", "/orders", body)).code == 200
    market.expected["GameStart", "sell", quantity] += 1


def test_a_key_is_the_same_in_quotation_marks_and_in_the_body(market: CheckedMarket) -> None:
    named = order("BoarCo", client_order_id="same")
    answers = [
        market.ask(request("POST", "/orders", named)),
        market.ask(request("POST", "/orders", order("BoarCo"), "Idempotency-Key: same")),
        market.ask(request("POST", "/orders", named, 'Idempotency-Key: "same"')),
    ]
    assert [answer.code for answer in answers] == [200] * 3
    assert len({answer.body for answer in answers}) == 1
    market.expected["BoarCo", "buy", 1] += 1


@pytest.mark.parametrize(
    ("headers", "code", "reason"),
    [
        (["Host: evil.example"], 403, "foreign_host"),
        (["Host: localhost.evil.example:8081"], 403, "foreign_host"),
        (["Host: 192.0.2.7"], 403, "foreign_host"),
        (["Origin: http://evil.example"], 403, "foreign_origin"),
        (["Origin: null"], 403, "foreign_origin"),
        (["Origin: http://localhost:3000"], 403, "foreign_origin"),
        (["Sec-Fetch-Site: cross-site"], 403, "foreign_origin"),
        (["Sec-Fetch-Site: same-site"], 403, "foreign_origin"),
        (["Content-Type: text/plain"], 415, "unsupported_media_type"),
        (["Content-Type: application/x-www-form-urlencoded"], 415, "unsupported_media_type"),
        (["Content-Type: application/json; charset=utf-16"], 415, "unsupported_media_type"),
        (["Content-Type"], 415, "unsupported_media_type"),
        (["Content-Encoding: gzip"], 415, "unsupported_media_type"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_trade_that_a_foreign_page_may_have_sent_is_refused(
    market: CheckedMarket, headers: list[str], code: int, reason: str
) -> None:
    answer = market.ask(changed(request("POST", "/orders", order()), headers))
    assert_refused(answer, code)
    assert answer.json["error"]["reason"] == reason


def changed(sent: bytes, headers: list[str]) -> bytes:
    """`sent`, with these headers instead of its own; those without a value are left out."""
    for header in headers:
        name, _, value = header.partition(":")
        head, separator, body = sent.partition(b"\r\n\r\n")
        kept = [x for x in head.split(b"\r\n") if not x.startswith(name.encode() + b":")]
        sent = b"\r\n".join(kept + ([header.encode()] if value else [])) + separator + body
    return sent


@pytest.mark.parametrize(
    "headers",
    [
        ["Origin: http://localhost"],
        ["Origin: http://localhost", "Sec-Fetch-Site: same-origin"],
        ["Host: 127.0.0.1:1"],
        ["Host: [::1]"],
        ["Host: Shop.Example:1"],
        ["Sec-Fetch-Site: none"],
        ["Content-Type: Application/JSON; charset=UTF-8", "Content-Encoding: identity"],
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_trade_of_its_own_pages_and_of_programs_is_taken(
    market: CheckedMarket, headers: list[str]
) -> None:
    assert market.ask(changed(request("POST", "/orders", order("BoarCo")), headers)).code == 200
    market.expected["BoarCo", "buy", 1] += 1


@pytest.mark.parametrize("chunk", [0, 1000, 100_000])
def test_a_body_of_a_megabyte_is_413_and_the_connection_goes_on(
    market: CheckedMarket, chunk: int
) -> None:
    with market.connect() as client:
        for body in order().ljust(1_000_000), order().ljust(LIMIT + 1):
            client.send(request("POST", "/orders", body, chunk=chunk))
            assert_refused(client.answer(), 413)
        client.send(request("POST", "/orders", order("BoarCo").ljust(LIMIT), chunk=chunk))
        answer = client.answer()
        assert answer is not None
        assert answer.code == 200, answer
    market.expected["BoarCo", "buy", 1] += 1


def test_a_body_without_end_is_413_and_the_connection_is_closed(market: CheckedMarket) -> None:
    head = request("POST", "/orders", None, "Content-Length: 9999999999999")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    endless = request("POST", "/orders", None, "Transfer-Encoding: chunked") + chunk * 200
    for sent in head, endless:
        with market.connect() as client:
            client.send(sent)
            assert_refused(client.answer(), 413)
            assert client.answers() == []


# Paths and methods


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        (b"/stocks/%C3%9C", [404]),
        (b"/stocks/Game%00Start", [404]),
        (b"/stocks/" + b"%78" * 1000, [404]),
        (b"/stocks/" + b"x" * 10_000, [404]),
        (b"/stocks/..%2f..%2fetc%2fpasswd", [404]),
        (b"/stocks/../../etc/passwd", [404]),
        (b"/stocks/%ff", [404]),
        (b"/stocks/%c3%28", [404]),
        (b"/stocks/%ed%a0%80", [404]),
        (b"/stocks/%", [404]),
        (b"/stocks/%zz", [404]),
        (b"/stocks/\xff", [400, 404]),
        (b"/stocks/\xc3\x9c", [400, 404]),
        (b"/stocks/Game Start", [400]),
        (b"/stocks/Game\tStart", [400, 404]),
        (b"/stocks/Game\0Start", [400, 404]),
        (b"/stocks/" + b"x" * 100_000, [414]),
        (b"/" + b"%2e/" * 4000, [404]),
        (b"/orders/" + b"9" * 5000, [404]),
        (b"/orders/-1", [404]),
        (b"/orders/1e3", [404]),
        (b"/orders/%D9%A1", [404]),
        (b"/orders/0x1", [404]),
        (b"/orders?after=" + b"9" * 400, [400]),
        (b"/orders?after=-1", [400]),
        (b"/orders?limit=NaN", [400]),
        (b"/orders?limit=%D9%A1", [400]),
        (b"/orders?%00=1", [400]),
        (b"/orders?%ff", [400]),
        (b"/orders?" + b"after=0&" * 1500, [400]),
        (b"http://", [400, 404]),
        (b"*", [404]),
        (b"", [400]),
        (b"stocks", [404]),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_unknown_path_is_refused_in_json(
    market: CheckedMarket, path: bytes, codes: list[int]
) -> None:
    assert_refused(market.ask(request("GET", path)), *codes)


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "TRACE", "BREW", "X" * 1000, "CONNECT", "post", "Get"]
)
def test_a_method_that_is_unknown_is_405(market: CheckedMarket, method: str) -> None:
    for path, allowed in ("/orders", "GET, HEAD, POST"), ("/stocks/GameStart", "GET, HEAD"):
        answer = market.ask(request(method, path, order()))
        assert_refused(answer, 405)
        assert answer.headers["allow"] == allowed


def test_the_public_port_takes_no_pushes(
    market: CheckedMarket,
) -> None:
    push = b'{"life":1,"history":"x","upto":1,"floors":{},"stamp":null,"seconds":0.0}'
    for headers in [], ["X-Bazaar-Signature: " + "0" * 64]:
        answer = market.ask(request("POST", "/invalidations", push, *headers))
        assert_refused(answer, 404, said="there is nothing at this path")


# What is no HTTP


@pytest.mark.parametrize(
    "garbage",
    [
        *[b"\r\n" * 10, b"\0" * 1000, b"GARBAGE\r\n\r\n", b"GET\r\n\r\n", b"\xff" * 70_000],
        *[b"GET /ping HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PING\r\n"],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"GET /ping HTTP/1.1\nHost: localhost\n\n",
        b"GET /ping HTTP/1.1\r\n\r\n",
        request("GET", "/ping", None, "Host: localhost"),
        request("POST", "/orders", order(), "Content-Length: 1"),
        request("POST", "/orders", order(), "X: a", " folded: b"),
        request("POST", "/orders", order(), "Content-Length : 1"),
        request("POST", "/orders", None, "Transfer-Encoding: identity") + order(),
        request("POST", "/orders", None, "Content-Length: x") + order(),
        request("POST", "/orders", None, "Content-Length: -1") + order(),
        request("POST", "/orders", None, "Content-Length: 1, 2") + order(),
        request("POST", "/orders", order(), "Transfer-Encoding: chunked"),
        request("POST", "/orders", None, "Transfer-Encoding: chunked") + b"zz\r\n" + order(),
        request("POST", "/orders", None, "Transfer-Encoding: chunked") + b"-1\r\n" + order(),
        request("POST", "/orders", None, "Transfer-Encoding: gzip, chunked") + order(),
        request("POST", "/orders", None, "No colon here", "Content-Length: 5") + order(),
        request("GET", "/ping", None, *["X: x"] * 2000),
        request("GET", "/ping", None, "X: " + "x" * 100_000),
    ],
    ids=lambda garbage: repr(garbage[-20:]),
)
def test_a_request_that_is_no_http_is_refused_and_nothing_after_it_is_read(
    market: CheckedMarket, garbage: bytes
) -> None:
    with market.connect() as client:
        client.send(garbage)
        client.send(request("POST", "/orders", order()))
        answer, *more = client.answers()
    assert_refused(answer, 400, 414, 431)
    assert answer.headers["connection"] == "close"
    assert more == []


@pytest.mark.parametrize("begun", [b"\x16\x03\x01\x02\x00", b"hello", b"\0", b"GET /ping\n"])
def test_bytes_that_cannot_begin_a_request_are_refused_at_once(
    market: CheckedMarket, begun: bytes
) -> None:
    with market.connect() as client:
        client.send(begun)
        [answer] = client.answers()
    assert_refused(answer, 400)


# Clients that hang up


def test_a_client_that_half_closes_gets_its_answers(market: CheckedMarket) -> None:
    with market.connect() as client:
        client.send(request("GET", "/ping") + request("POST", "/orders", order("BoarCo")))
        client.end()
        ping, traded = client.answers()
    assert (ping.code, traded.code) == (200, 200)
    market.expected["BoarCo", "buy", 1] += 1


def test_part_of_a_request_is_not_executed(market: CheckedMarket) -> None:
    for whole in request("POST", "/orders", order()), request("POST", "/orders", order(), chunk=7):
        for length in range(5, len(whole), 9):
            with market.connect() as client:
                client.send(whole[:length])
                if length % 2:
                    client.reset()


def test_a_trade_whose_client_hangs_up_at_once_exists_once_or_not_at_all(
    market: CheckedMarket,
) -> None:
    stock = "BankCo"
    quantities = range(1, 14)  # 91 shares, each order told from the others by how many
    sent = {
        quantity: request("POST", "/orders", order(stock, quantity), f"Idempotency-Key: {quantity}")
        for quantity in quantities
    }
    for quantity in quantities:
        client = market.connect()
        client.send(sent[quantity])
        if quantity % 3 == 0:
            client.end()
        if quantity % 3 == 1:
            client.reset()
        else:
            client.close()
    first = {
        shown["quantity"]: shown["number"] for shown in market.orders(0) if shown["name"] == stock
    }
    for quantity in quantities:
        answer = market.ask(sent[quantity])
        assert answer.code == 200, answer
        number = answer.json["data"]["transaction_number"]
        assert first.get(quantity, number) == number
        if quantity in first:
            assert answer.headers["idempotent-replayed"] == "true"
        market.expected[stock, "buy", quantity] = 1


# Many at a time


def test_pipelined_requests_are_answered_in_their_order(market: CheckedMarket) -> None:
    stock = "DruidCo"
    pings = [request("GET", "/ping"), request("GET", f"/stocks/{stock}")]
    trades = [request("POST", "/orders", order(stock)), request("POST", "/orders", b"{}")]
    with market.connect() as client:
        client.send(b"".join((pings + trades) * 20))
        answers = [client.answer() for _ in range(80)]
    for n in range(20):
        ping, looked_up, traded, refused = answers[4 * n : 4 * n + 4]
        assert ping is not None
        assert ping.json == {"data": "pong"}
        assert looked_up is not None
        assert looked_up.json["data"]["quantity"] == LISTED - n
        assert traded is not None
        assert traded.code == 200
        assert_refused(refused, 400)
    market.expected[stock, "buy", 1] = 20


def test_pipelined_requests_whose_client_hangs_up_are_carried_out_from_the_first(
    market: CheckedMarket,
) -> None:
    stock = "MindComp"
    sent = [
        request("POST", "/orders", order(stock, n), f"Idempotency-Key: piped-{n}")
        for n in range(1, 11)
    ]
    client = market.connect()
    client.send(b"".join(sent))
    client.reset()
    numbers = [market.ask(each).json["data"]["transaction_number"] for each in sent]
    # Those that the front-end read before it noticed have the lower numbers.
    assert numbers == sorted(numbers)
    for n in range(1, 11):
        market.expected[stock, "buy", n] = 1


def test_two_hundred_idle_connections_delay_no_other_and_stay_usable(market: CheckedMarket) -> None:
    half = request("POST", "/orders", order())[:-1]
    with ExitStack() as stack:
        idle = [stack.enter_context(market.connect()) for _ in range(200)]
        for client in idle[::2]:
            client.send(half)
        market.check()
        for client in idle[1::2]:
            client.send(request("GET", "/ping"))
        for client in idle[1::2]:
            answer = client.answer()
            assert answer is not None
            assert answer.json == {"data": "pong"}


def test_a_client_that_never_reads_delays_no_other(market: CheckedMarket) -> None:
    with market.connect() as client:
        client.send_until_stuck(request("GET", "/stocks") * 100)
        market.check()
        client.reset()
