"""HTTP/1.0 and 1.1 as clients rely on it; what servers read differently is refused."""

import json

import pytest
from twisted.internet.defer import Deferred

from tests.fakes.frontend_world import Connection, FrontEnd, failures_logged
from tests.fakes.placed import number_in
from twisted_bazaar.frontend.api.routes import Routes
from twisted_bazaar.market import Placed

BODY = b'{"name": "GameStart", "quantity": 5, "type": "buy"}'
JSON = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(BODY)}"


def head(line: str, *headers: str) -> bytes:
    return "".join(f"{each}\r\n" for each in (line, *headers, "")).encode("latin-1")


def get(path: str = "/ping", *headers: str, version: str = "1.1", method: str = "GET") -> bytes:
    return head(f"{method} {path} HTTP/{version}", "Host: localhost", *headers)


def post(*headers: str, path: str = "/orders") -> bytes:
    return head(f"POST {path} HTTP/1.1", "Host: localhost", JSON, *headers)


def header(raw: bytes, name: bytes) -> list[bytes]:
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [line.partition(b": ")[2] for line in lines if line.lower().startswith(name + b": ")]


def assert_refused(raw: bytes, code: int, reason: str) -> None:
    """`raw` is exactly one answer, which refuses."""
    start, _, body = raw.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 %d " % code), raw
    assert len(header(raw, b"date")) == 1
    error = json.loads(body)["error"]
    assert (error["code"], error["reason"]) == (code, reason)


def assert_given_up(connection: Connection, raw: bytes) -> None:
    """What was answered is the last that is; nothing more is read."""
    assert header(raw, b"connection") == [b"close"]
    assert connection.transport.half_closed
    assert connection.send(get()) == b""


# What is no HTTP: at once, without an end that is waited for


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 40,  # TLS
        b"\x80\x2e\x01\x03\x01",  # SSL 2
        b"\x05\x01\x00",  # SOCKS
        b"\0",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI *",
        b"hello",
        b"x" * 1000,
        b"get ",
        b"\xff\xfe",
        b"GET /ping\n",
        b"GET /ping HTTP/1.1\nHost: localhost\n\n",
        b"GET /ping HTTP/1.1\rHost",
        b"GET  /ping",
        b"GET /ping HTTP/3",
        b"GET /ping HTTPS",
        b"GET /p\xc3\xa4ng ",
        b"GET /a b c",
        b"{}",
        b"\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: localhost\nX",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\n",
        b"GET /ping HTTP/1.1\r\nHost: local\0",
        b"GET /ping HTTP/1.1\r\nHost: local\rhost",
    ],
    ids=lambda junk: repr(junk[:30]),
)
@pytest.mark.parametrize("size", [1, 1000], ids=["byte by byte", "at once"])
def test_what_is_no_http_is_refused_without_a_line_end(junk: bytes, size: int) -> None:
    connection = FrontEnd().connect()
    pieces = [junk[start : start + size] for start in range(0, len(junk), size)]
    answered = b"".join(connection.send(piece) for piece in pieces)
    assert_refused(answered, 400, "malformed")
    assert_given_up(connection, answered)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
def test_a_request_may_come_byte_by_byte(method: str) -> None:
    connection = FrontEnd().connect()
    asked = b"\r\n" + get("/ping?x=%20", "X: \t\x80", method=method)
    answers = [connection.send(asked[n : n + 1]) for n in range(len(asked))]
    assert set(answers[:-1]) == {b""}
    code = 200 if method in ("GET", "HEAD", "OPTIONS") else 405
    assert answers[-1].startswith(b"HTTP/1.1 %d " % code)


# What others may read otherwise, and so be made to miss a request that is smuggled in


@pytest.mark.parametrize(
    "headers",
    [
        [LENGTH, "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", LENGTH],
        [LENGTH, "Content-Length: 0"],
        [LENGTH, LENGTH],
        [f"{LENGTH}, {len(BODY)}"],
        ["Content-Length: +51"],
        ["Content-Length: 5_1"],
        ["Content-Length: 0x33"],
        ["Content-Length: 51 1"],
        ["Content-Length:"],
        ["Content-Length: \xb2"],
        ["Content-Length: -1"],
        ["Transfer-Encoding: identity"],
        ["Transfer-Encoding: identity", LENGTH],
        ["Transfer-Encoding:"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: chunked, chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: \x0bchunked"],
        ["Transfer-Encoding : chunked", LENGTH],
        ["Content-Length : 51"],
        ["Content-Length\t: 51"],
        [" Content-Length: 51"],
        [LENGTH, "X: a", " continued"],
        [LENGTH, "X: a", "\tcontinued: b"],
        [LENGTH, ": no name"],
        [LENGTH, "no colon"],
        [LENGTH, "X\x00: a"],
        [LENGTH, "X: a\x00"],
        [LENGTH, "X: a\nContent-Length: 0"],
        [LENGTH, "X: a\rContent-Length: 0"],
    ],
    ids=repr,
)
def test_a_request_whose_end_is_disputed_is_refused(headers: list[str]) -> None:
    frontend = FrontEnd()
    for sent in post(*headers) + BODY, head("POST /orders HTTP/1.1", *headers) + BODY:
        connection = frontend.connect()
        with failures_logged() as failures:
            answered = connection.send(sent + get())
        assert_refused(answered, 400, "malformed")
        assert_given_up(connection, answered)
        assert (frontend.bazaar.asked, failures) == ([], [])


@pytest.mark.parametrize(
    "chunks",
    [b"5\nhello\n0\n\n", b"5\r", b"\n", b"5;x\n", b"5\r\nhello\n", b"0\r\n\n", b"0\r\nX: y\n\n"],
)
@pytest.mark.parametrize("size", [1, 1000], ids=["byte by byte", "at once"])
def test_a_line_feed_alone_ends_no_line_of_a_chunk(chunks: bytes, size: int) -> None:
    frontend = FrontEnd()
    connection = frontend.connect()
    connection.send(post("Transfer-Encoding: chunked"))
    pieces = [chunks[start : start + size] for start in range(0, len(chunks), size)]
    answered = b"".join(connection.send(piece) for piece in pieces)
    if chunks == b"5\r":
        assert answered == b""
        answered = connection.send(b"x")
    assert_refused(answered, 400, "malformed")
    assert frontend.bazaar.asked == []


def test_chunks_are_not_for_http_1_0() -> None:
    frontend = FrontEnd()
    sent = post("Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert_refused(frontend.connect().send(sent + b"0\r\n\r\n"), 400, "malformed")


def test_a_length_of_any_number_of_digits_is_too_large() -> None:
    for digits in 16, 5000, 16_000:
        with failures_logged() as failures:
            answered = FrontEnd().connect().send(post("Content-Length: " + "9" * digits))
        assert_refused(answered, 413, "too_large")
        assert failures == []


@pytest.mark.parametrize("path", ["/ping", "/nope", "http://localhost/ping", "/orders"])
@pytest.mark.parametrize(
    ("version", "hosts"),
    [("1.1", 0), ("1.1", 2), ("1.0", 2)],
)
def test_there_has_to_be_one_host(path: str, version: str, hosts: int) -> None:
    connection = FrontEnd().connect()
    answered = connection.send(head(f"GET {path} HTTP/{version}", *["Host: localhost"] * hosts))
    assert_refused(answered, 400, "malformed")
    assert_given_up(connection, answered)


def test_http_1_0_may_do_without() -> None:
    frontend = FrontEnd()
    assert b" 200 OK" in frontend.connect().send(head("GET /ping HTTP/1.0"))
    asked = head("POST /orders HTTP/1.0", JSON, LENGTH) + BODY
    assert number_in(frontend.connect().send(asked)) == 1


# Connections that are kept


@pytest.mark.parametrize("option", ["keep-alive", "Keep-Alive", "x, Keep-Alive"])
def test_http_1_0_keeps_a_connection_that_it_asks_to_be_kept(option: str) -> None:
    connection = FrontEnd().connect()
    for _ in range(2):
        answered = connection.send(get("/ping", f"Connection: {option}", version="1.0"))
        assert answered.endswith(b'{"data":"pong"}')
        assert header(answered, b"connection") == [b"keep-alive"]
        assert header(answered, b"content-length") == [b"15"]
        assert not connection.transport.disconnecting
    assert connection.send(get(version="1.0")).endswith(b'{"data":"pong"}')
    assert connection.transport.disconnecting


@pytest.mark.parametrize("options", [["close"], ["Close"], ["keep-alive, close"], ["x", "close"]])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_connection_that_is_not_to_be_kept_is_closed(version: str, options: list[str]) -> None:
    connection = FrontEnd().connect()
    lines = [f"Connection: {option}" for option in options]
    answered = connection.send(get("/ping", *lines, version=version) + get())
    assert answered.count(b"pong") == 1
    assert header(answered, b"connection") == [b"close"]
    assert connection.transport.disconnecting


# Targets and methods


@pytest.mark.parametrize(
    ("target", "answered"),
    [
        ("http://localhost/ping", b'{"data":"pong"}'),
        ("HTTP://shop.example:80/ping", b'{"data":"pong"}'),
        ("https://anything.example/ping?x", b'{"data":"pong"}'),
        ("http://localhost/stocks/GameStart", b'"name":"GameStart"'),
        ("http://localhost/orders?after=0", b'"next":null'),
        ("http://localhost", b"<!doctype html>"),
        ("http://localhost?x", b"<!doctype html>"),
    ],
)
def test_a_target_may_be_a_whole_url(target: str, answered: bytes) -> None:
    raw = FrontEnd().connect().send(get(target))
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert answered in raw


@pytest.mark.parametrize("target", ["http://localhost/x", "http://localhost//", "http://u@x/ping"])
def test_a_url_without_a_path_of_ours_is_404(target: str) -> None:
    assert_refused(FrontEnd().connect().send(get(target)), 404, "no_such_path")


@pytest.mark.parametrize(
    ("target", "host", "code"),
    [
        ("http://localhost/orders", "evil.example", 200),
        ("http://evil.example/orders", "localhost", 403),
    ],
)
def test_what_a_url_names_counts_and_not_the_host_header(target: str, host: str, code: int) -> None:
    asked = head(f"POST {target} HTTP/1.1", f"Host: {host}", JSON, LENGTH) + BODY
    assert FrontEnd().connect().send(asked).startswith(b"HTTP/1.1 %d " % code)


@pytest.mark.parametrize("path", ["/ping", "/stocks", "/stocks/GameStart", "/orders", "/orders/1"])
def test_a_slash_at_the_end_makes_no_difference(path: str) -> None:
    frontend = FrontEnd()
    assert frontend.trade("buy", 1).code == 200
    without, with_one = frontend.get(path), frontend.get(path + "/")
    assert (without.code, without.body) == (with_one.code, with_one.body)
    assert without.code == 200
    asked = post(LENGTH, path="/orders/") + BODY
    assert b'"transaction_number":2' in frontend.connect().send(asked)


@pytest.mark.parametrize("method", ["get", "Get", "gET", "post", "Post", "options", "head"])
def test_methods_are_told_apart_by_case(method: str) -> None:
    frontend = FrontEnd()
    raw = frontend.connect().send(post(LENGTH).replace(b"POST", method.encode()) + BODY)
    assert_refused(raw, 405, "method_not_allowed")
    assert header(raw, b"allow") == [b"GET, HEAD, POST"]
    raw = frontend.connect().send(get("/nope", method=method))
    assert_refused(raw, 404, "no_such_path")
    assert frontend.bazaar.asked == []


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("/orders", b"GET, HEAD, OPTIONS, POST"),
        ("/orders/", b"GET, HEAD, OPTIONS, POST"),
        ("/stocks/GameStart", b"GET, HEAD, OPTIONS"),
        ("/ping", b"GET, HEAD, OPTIONS"),
        ("*", b"GET, HEAD, OPTIONS, POST"),
        ("http://localhost", b"GET, HEAD, OPTIONS, POST"),
        ("http://localhost/orders/1", b"GET, HEAD, OPTIONS"),
    ],
)
def test_options_says_what_can_be_done(target: str, allowed: bytes) -> None:
    frontend = FrontEnd()
    raw = frontend.connect().send(get(target, "Origin: http://evil.example", method="OPTIONS"))
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert header(raw, b"allow") == [allowed]
    body = raw.partition(b"\r\n\r\n")[2]
    assert json.loads(body) == {"data": allowed.decode().split(", ")}
    assert not [line for line in raw.split(b"\r\n") if line.lower().startswith(b"access-control")]
    assert frontend.bazaar.asked == []


def test_options_of_nothing_is_404() -> None:
    assert_refused(FrontEnd().connect().send(get("/nope", method="OPTIONS")), 404, "no_such_path")
    assert_refused(FrontEnd().connect().send(get("*")), 404, "no_such_path")


@pytest.mark.parametrize(
    "asked",
    [
        *[get(), get("/nope"), get("/orders?after=x"), get("//x"), get(method="PUT"), b"junk\r\n"],
        *[get(version="1.0"), head("GET /ping HTTP/1.1"), post(LENGTH, "Origin: null") + BODY],
        *[get("/" + "x" * 17_000), get("/ping", "X: " + "x" * 17_000), get(method="OPTIONS")],
        *[post("Content-Length: 65537") + b" " * 65537, post("Content-Length: 99999999")],
        *[get(method="HEAD")],
    ],
    ids=lambda asked: repr(asked[:40]),
)
def test_each_answer_has_one_date(asked: bytes) -> None:
    [date] = header(FrontEnd().connect().send(asked), b"date")
    assert date.endswith(b" GMT")


# Calls that change something


CHANGES = [
    (rule.rule, method)
    for rule in Routes.app.url_map.iter_rules()
    for method in rule.methods or ()
    if method not in ("GET", "HEAD", "OPTIONS")
]
FOREIGN = [
    ("Host: evil.example", 403, "foreign_host"),
    ("Origin: http://evil.example", 403, "foreign_origin"),
    ("Origin: null", 403, "foreign_origin"),
    ("Sec-Fetch-Site: cross-site", 403, "foreign_origin"),
    ("Content-Type: text/plain", 415, "unsupported_media_type"),
    ("Content-Type: application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ("Content-Type;", 415, "unsupported_media_type"),
    ("Content-Encoding: gzip", 415, "unsupported_media_type"),
    ("Content-Type: application/json; charset=latin-1", 415, "unsupported_media_type"),
]


@pytest.mark.parametrize(("path", "method"), CHANGES)
@pytest.mark.parametrize(("line", "code", "reason"), FOREIGN)
def test_every_call_that_changes_something_is_guarded(
    path: str, method: str, line: str, code: int, reason: str
) -> None:
    frontend = FrontEnd()
    lines = {"Host": "Host: localhost", "Content-Type": JSON, "Content-Length": LENGTH}
    name, colon, _ = line.partition(":")
    if colon:
        lines[name] = line
    else:
        del lines[line.removesuffix(";")]
    asked = head(f"{method} {path.replace('<number>', '1')} HTTP/1.1", *lines.values()) + BODY
    assert_refused(frontend.connect().send(asked), code, reason)
    assert frontend.bazaar.asked == []


def test_there_are_calls_that_change_something() -> None:
    assert ("/orders", "POST") in CHANGES


def test_reads_are_answered_under_any_name() -> None:
    """Load balancers and health checks name an address, or any name that they were given."""
    for host in "evil.example", "10.0.0.7:8081", "[::1", "":
        asked = head("GET /livez HTTP/1.1", f"Host: {host}", "Origin: http://evil.example")
        assert FrontEnd().connect().send(asked).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "header", ["Idempotency-Key: k", 'Idempotency-Key: "k"', "X-Idempotency-Key: k"]
)
def test_a_key_is_taken_or_refused_but_never_overlooked(header: str) -> None:
    frontend = FrontEnd()
    answered = frontend.connect().send(post(LENGTH, header) + BODY)
    if header.startswith("X"):
        assert_refused(answered, 400, "invalid_key")
    else:
        assert number_in(answered) == 1
    assert list(frontend.bazaar.by_key) == ([] if header.startswith("X") else ["k"])


# Half-closed connections


def test_a_client_that_sends_nothing_more_gets_all_its_answers() -> None:
    frontend = FrontEnd()
    frontend.bazaar.answer = work = Deferred()
    connection = frontend.connect()
    connection.send(post(LENGTH) + BODY + get() + get("/nope"))
    connection.channel.readConnectionLost()
    assert not connection.transport.disconnecting
    work.callback(Placed(7, False))
    answers = connection.transport.value().split(b"HTTP/1.1 ")
    assert [answer[:3] for answer in answers] == [b"", b"200", b"200", b"404"]
    assert connection.transport.disconnecting


@pytest.mark.parametrize("sent", [b"", b"GET", get()[:-1], post(LENGTH) + BODY[:-1], get()])
def test_a_client_that_sends_nothing_more_and_waits_for_nothing_is_let_go(sent: bytes) -> None:
    connection = FrontEnd().connect()
    connection.send(sent)
    assert not connection.transport.disconnecting
    connection.channel.readConnectionLost()
    assert connection.transport.disconnecting
