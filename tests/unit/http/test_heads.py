"""Usual requests are read at once, and all others line by line: none can see a difference."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.fakes.frontend_world import Connection
from twisted_bazaar.http.access_log import AccessLog
from twisted_bazaar.http.connections import Phase
from twisted_bazaar.http.heads import HeadReader
from twisted_bazaar.http.site import BazaarRequest, BazaarSite

LIMIT = 100
"""Of bodies."""


def head(line: bytes, *headers: bytes) -> bytes:
    return b"".join(each + b"\r\n" for each in (line, *headers, b""))


def get(*headers: bytes, target: bytes = b"/now", version: bytes = b"1.1") -> bytes:
    return head(b"GET %b HTTP/%b" % (target, version), b"Host: localhost", *headers)


def post(*headers: bytes, body: bytes = b"") -> bytes:
    return head(b"POST /now HTTP/1.1", b"Host: localhost", *headers) + body


SIZED = post(b"Content-Length: 5", body=b"abcde")

USUAL = {
    "one header": get(),
    "several": get(b"User-Agent: curl/7.88.1", b"Accept: */*", b"Idempotency-Key: a-1"),
    "no header": b"GET /now HTTP/1.0\r\n\r\n",
    "no host": b"GET /now HTTP/1.1\r\n\r\n" + get(),
    "two hosts": get(b"Host: localhost"),
    "an empty value": get(b"X:", b"Y: ", b"Z:\t"),
    "white space around a value": get(b"X: \t a  b\tc \t", b"Y:a"),
    "colons in a value": get(b"X: a:b: c"),
    "bytes that are not ASCII": get(b"X: \x80\xff"),
    "a repeated header": get(b"X: a", b"Y: b", b"x: c", b"X: a"),
    "names in other letters": head(b"GET /now HTTP/1.1", b"hOST: a", b"ETAG: b", b"x-b-c: d"),
    "an odd name": get(b"!#$%&'*+.^_`|~09Az-: a"),
    "an id": get(b"X-Request-ID: mine-1"),
    "a cookie": get(b"Cookie: a=b; c=d"),
    "the last request": get(b"Connection: close") + get(),
    "HTTP/1.0": get(version=b"1.0") + get(),
    "HTTP/1.0, to be kept": get(b"Connection: keep-alive", version=b"1.0") + get(),
    "a whole URL": get(target=b"http://shop.example:80/now?a=b#c"),
    "a path that is no UTF-8": get(target=b"/%ff"),
    "an escaped path": get(target=b"/%41%c3%a4?b=%ff"),
    "an empty segment": get(target=b"//now"),
    "an odd target": get(target=b"~"),
    "OPTIONS *": head(b"OPTIONS * HTTP/1.1", b"Host: localhost"),
    "HEAD": head(b"HEAD /now HTTP/1.1", b"Host: localhost"),
    "a length of 0": post(b"Content-Length: 0") + get(),
    "a body": SIZED,
    "a body of GET": get(b"Content-Length: 5") + b"\r\n\r\na",
    "a body that looks like a head": post(b"Content-Length: 22", body=get()[:22]),
    "the largest body": post(b"Content-Length: 100", body=b"x" * LIMIT),
    "a length with zeros before it": post(b"Content-Length: 000000000000005", body=b"abcde"),
    "several requests": get() + SIZED + get(b"X: y") + SIZED + SIZED,
    "one that is answered later": get(target=b"/later") + SIZED + get(target=b"/later") + get(),
    "one without an end": get(target=b"/endless") + get(),
    "a large answer": get(target=b"/large") + get(),
    "one that is refused by its head": get(target=b"/refused") + get() + SIZED,
    "no content": get(target=b"/204") + get(target=b"/304") + get(),
    "a failure": get(target=b"/fails") + get(),
}

ODD = {
    "an unknown method": head(b"brew /now HTTP/1.1", b"Host: localhost"),
    "an empty line before it": b"\r\n" + get() + get(),
    "two empty lines before it": b"\r\n\r\n" + get(),
    "an empty line after a body": SIZED + b"\r\n" + SIZED,
    "no request line": b"Host: localhost\r\n\r\n",
    "another version": head(b"GET /now HTTP/2.0", b"Host: localhost"),
    "no version": head(b"GET /now", b"Host: localhost"),
    "two spaces": head(b"GET  /now HTTP/1.1", b"Host: localhost"),
    "a tab": head(b"GET\t/now HTTP/1.1", b"Host: localhost"),
    "a space at the end": head(b"GET /now HTTP/1.1 ", b"Host: localhost"),
    "a target that is not ASCII": get(target=b"/\xc3\xa4"),
    "a control in the target": get(target=b"/\x01"),
    "a line feed alone": b"GET /now HTTP/1.1\nHost: localhost\n\n" + get(),
    "a line feed in a value": get(b"X: a\nContent-Length: 5"),
    "a line feed before the end": get(b"X: a\n"),
    "a return in a value": get(b"X: a\rContent-Length: 5"),
    "a return before the end": get(b"X: a\r"),
    "a NUL in a value": get(b"X: a\0"),
    "a control in a value": get(b"X: a\x01\x7f"),
    "a control in a name": get(b"X\x01: a"),
    "no colon": get(b"X"),
    "no name": get(b": a"),
    "a space before the colon": get(b"X : a"),
    "a continued line": get(b"X: a", b" b: c"),
    "a line continued by a tab": get(b"X: a", b"\tb"),
    "two lengths apart": post(b"Content-Length: 5", b"X: a", b"content-length: 5", body=b"abcde"),
    "a length and another header in one": post(b"X: a\r\n\tContent-Length: 5", body=b"abcde"),
    "two lengths": post(b"Content-Length: 5", b"Content-Length: 5", body=b"abcde"),
    "two other lengths": post(b"Content-Length: 5", b"Content-Length: 0", body=b"abcde"),
    "two lengths in one": post(b"Content-Length: 5, 5", body=b"abcde"),
    "an empty length": post(b"Content-Length:", body=b"abcde"),
    "a sign": post(b"Content-Length: +5", body=b"abcde"),
    "a negative length": post(b"Content-Length: -1"),
    "digits that are not ASCII": post(b"Content-Length: \xb2"),
    "an underscore": post(b"Content-Length: 0_5", body=b"abcde"),
    "16 digits": post(b"Content-Length: 0000000000000005", body=b"abcde"),
    "a length and chunks": post(
        b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "chunks": post(b"Transfer-Encoding: chunked", body=b"5\r\nabcde\r\n0\r\n\r\n") + get(),
    "another coding": post(b"Transfer-Encoding: gzip", b"Content-Length: 5", body=b"abcde"),
    "a request to go on": post(b"Expect: 100-continue", b"Content-Length: 5", body=b"abcde"),
    "another expectation": post(b"Expect: more", b"Content-Length: 5", body=b"abcde"),
    "a body that is too large": post(b"Content-Length: 101", body=b"x" * 101) + get(),
    "a body that never ends": post(b"Content-Length: 50", body=b"x" * 49),
    "a body that no one would read": post(b"Content-Length: 99999999", body=b"x"),
    "65 headers": get(*[b"X: a"] * 64) + get(),
    "501 headers": get(*[b"X: a"] * 500) + get(),
    "a head of 5 KB": get(b"X: " + b"a" * 5000) + get(),
    "headers of 17 KB": get(b"X: " + b"a" * 9000, b"Y: " + b"a" * 8000) + get(),
    "a target of 17 KB": get(target=b"/" + b"a" * 17_000) + get(),
    "half a head": SIZED + get()[:-2],
    "half a line": SIZED + get(b"Connection")[:-4],
    "another protocol": b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    "nothing more": get() + b"\r\n",
}
"""What is refused, or is read line by line."""


class Answering(Resource):
    """Answers by the path, and keeps what it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Any, ...]] = []
        self.waiting: list[BazaarRequest] = []

    def render(self, request: BazaarRequest) -> int:
        self.asked.append(
            (
                *(request.method, request.uri, request.path, request.clientproto),
                *(request.authority, request.request_id, request.client_address),
                *(request.came_at, request.content.read(), request.channel.persistent),
                [(name, list(each)) for name, each in request.requestHeaders.getAllRawHeaders()],
            )
        )
        request.requestHeaders.setRawHeaders(b"X", [b"none of the next request's"])
        request.responseHeaders.setRawHeaders(b"X-Answer", [b"%d" % len(self.asked)])
        if request.path == b"/later":
            self.waiting.append(request)
        elif request.path == b"/endless":
            request.begin_stream(Stream())
            request.write(b"begun")
        elif request.path == b"/large":
            request.respond(b"x" * 300_000)
        elif request.path == b"/fails":
            request.respond(request.refuse(request.too_large))
        else:
            if request.path in (b"/204", b"/304"):
                request.setResponseCode(int(request.path[1:]))
            request.respond(b"answer %d" % len(self.asked))
        return NOT_DONE_YET


class Refusing(BazaarRequest):
    """May be refused by its head alone."""

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        super().gotLength(length)
        if self.channel._path == b"/refused" and self.channel._command == b"GET":
            self.channel.refuse(self.too_large)


class Stream:
    def end(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...


class Lines(AccessLog):
    """Keeps the events."""

    log: Any

    def __init__(self) -> None:
        self.log = self
        self.events: list[dict[str, object]] = []

    def info(self, line: str, **event: object) -> None:
        self.events.append({"line": line, **event})


class LineByLine(HeadReader):
    """Finds nothing usual."""

    __slots__ = ()

    def whole_request(self, data: bytes, most_body_bytes: int) -> None:
        return None


class Seen(NamedTuple):
    """All that can be seen of a connection."""

    asked: list[tuple[Any, ...]]
    sent: list[bytes]
    """What was sent after each piece, and after each answer that was given later."""
    events: list[dict[str, object]]
    phases: list[Phase]
    ended: tuple[int, bool, bool, bool]
    """How many requests have no answer, and how the connection is closed."""

    @property
    def whatever_the_pieces(self) -> tuple[object, ...]:
        return self.asked, b"".join(self.sent), self.events, self.phases[-1], self.ended


def see(
    *pieces: bytes, reader: HeadReader | None = None, while_answering: Sequence[bytes] = ()
) -> Seen:
    resource, clock, lines = Answering(), Clock(), Lines()
    ids = map("id-{}".format, itertools.count(1)).__next__
    site = BazaarSite(resource, clock, clock.seconds, ids, max_body_bytes=LIMIT)
    site.access_log = lines
    site.requestFactory = Refusing  # type: ignore[assignment]
    connection = Connection(site)
    if reader is not None:
        connection.channel._heads = reader
    phases = [Phase.IDLE]
    move = site.connections.move

    def moved(channel: Any, phase: Phase, now: float) -> None:
        move(channel, phase, now)
        if phase is not phases[-1]:
            phases.append(phase)

    site.connections.move = moved  # type: ignore[method-assign]
    inside = list(while_answering)

    def resume() -> None:
        if inside:
            connection.channel.dataReceived(inside.pop(0))

    connection.transport.resumeProducing = resume  # type: ignore[method-assign]
    sent = [connection.send(piece) for piece in pieces]
    while resource.waiting:
        connection.transport.clear()
        resource.waiting.pop(0).respond(b"late")
        sent.append(connection.transport.value())
    transport = connection.transport
    waiting = len(connection.channel.requests)
    ended = waiting, transport.disconnecting, transport.half_closed, transport.aborting
    return Seen(resource.asked, sent, lines.events, phases, ended)


@pytest.mark.parametrize("data", [*USUAL.values(), *ODD.values()], ids=[*USUAL, *ODD])
def test_what_comes_at_once_is_as_if_it_were_read_line_by_line(data: bytes) -> None:
    assert see(data) == see(data, reader=LineByLine())


@pytest.mark.parametrize("data", [*USUAL.values(), *ODD.values()], ids=[*USUAL, *ODD])
def test_what_comes_in_two_pieces_is_as_if_it_were_read_line_by_line(data: bytes) -> None:
    for cut in range(1, len(data), 1 + len(data) // 200):
        pieces = data[:cut], data[cut:]
        assert see(*pieces) == see(*pieces, reader=LineByLine()), pieces


@pytest.mark.parametrize("data", USUAL.values(), ids=USUAL)
def test_it_makes_no_difference_where_a_usual_request_is_cut(data: bytes) -> None:
    whole = see(data).whatever_the_pieces
    for cut in range(1, len(data)):
        assert see(data[:cut], data[cut:]).whatever_the_pieces == whole, cut


@pytest.mark.parametrize(
    "pieces",
    [
        [b"\r\n", get(), b"\r\n", get(), b"\r\n\r\n"],
        [get() + b"\r\n", get() + b"\r\n" + get(), b"\r\n" + get()],
        [get()[:-2], b"\r\n", get()],
        [b"GET /now HTTP/1.1\r\n", get(), get()],
        [SIZED[:-5], b"abc", b"de", SIZED],
        [get(target=b"/later"), get(), SIZED, get()[:9], get()[9:]],
    ],
)
def test_what_comes_in_several_pieces_is_as_if_it_were_read_line_by_line(
    pieces: list[bytes],
) -> None:
    assert see(*pieces) == see(*pieces, reader=LineByLine())


def test_what_comes_while_an_answer_is_sent_follows_what_has_come_before() -> None:
    asked = [get(b"X: %d" % n) for n in range(5)]
    pieces, inside = [asked[0] + asked[1], asked[4]], [asked[2], asked[3]]
    seen = see(*pieces, while_answering=inside)
    assert [headers[-1] for *_, headers in seen.asked] == [(b"X", [b"%d" % n]) for n in range(5)]
    assert seen == see(*pieces, reader=LineByLine(), while_answering=inside)


@pytest.mark.parametrize("name", ["a body", "chunks", "a cookie"])
def test_thousands_of_requests_may_come_at_once(name: str) -> None:
    data = {**USUAL, **ODD}[name]
    assert len(see(data * 2000).asked) >= 2000


PARTS = st.sampled_from(
    [
        *(get(), SIZED, get(b"Connection: close"), get(target=b"/later"), b"\r\n", b"\r", b"\n"),
        *(b"GET /now HTTP/1.1", b"Host: localhost", b"Content-Length: 3", b"Expect: 100-continue"),
        *(b"X: y", b":", b" ", b"\t", b"abc", b"\r\n\r\n", b"\0", b"\xff", b"Transfer-Encoding: "),
        *(b"chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"POST /now HTTP/1.1\r\nHost: localhost\r\n"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(PARTS, max_size=12), cuts=st.lists(st.integers(0, 400), max_size=4))
def test_whatever_comes_is_as_if_it_were_read_line_by_line(
    parts: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(parts)
    ends = sorted({min(cut, len(data)) for cut in (0, *cuts, len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(ends)]
    assert see(*pieces) == see(*pieces, reader=LineByLine())


# What is read at once


@pytest.mark.parametrize("data", USUAL.values(), ids=USUAL)
def test_usual_requests_are_not_read_line_by_line(data: bytes) -> None:
    reader = HeadReader()
    while data:
        whole = reader.whole_request(data, LIMIT)
        assert whole is not None
        data = whole[-1]


@pytest.mark.parametrize("name", sorted(set(ODD) - {"an unknown method"}))
def test_what_may_be_refused_is_read_line_by_line(name: str) -> None:
    reader, data = HeadReader(), ODD[name]
    while (whole := reader.whole_request(data, LIMIT)) is not None:
        assert whole[-1], "there was nothing odd"
        data = whole[-1]


def test_a_channel_reads_no_lines_of_usual_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(channel: object, line: bytes) -> None:
        raise AssertionError(line)

    monkeypatch.setattr("twisted_bazaar.http.channel.BazaarChannel.lineReceived", read)
    assert len(see(USUAL["several requests"], get()).asked) == 6


def test_what_is_kept_of_the_last_head_is_not_taken_for_another() -> None:
    reader = HeadReader()
    for headers in [b"X: a"], [b"X: a"], [b"X: b"], [], [b"X: a"], [b"X : a"], [b"X: a"]:
        for body in b"", b"x":
            lines = [*headers, b"Content-Length: 1"] if body else headers
            data = head(b"GET / HTTP/1.1", *lines) + body
            found = reader.whole_request(data, LIMIT)
            assert found == HeadReader().whole_request(data, LIMIT)
            if found is not None:
                found[3].clear()
    assert reader.whole_request(SIZED, 5) is not None
    assert reader.whole_request(SIZED, 4) is None
    assert reader.whole_request(SIZED[:-1], 5) is None


def test_headers_that_differ_in_the_length_only_are_the_same_objects() -> None:
    """By that an API key is recognized without its hash."""
    reader = HeadReader()
    key = b"Authorization: Bearer a"
    heads = [
        (b"Content-Length: 5", key, b"X: a"),
        (b"content-length:12 ", key, b"X: a"),
        (b"Content-Length: 0", key, b"X: a"),
    ]
    shown = []
    for lines in heads:
        length = int(lines[0].partition(b":")[2])
        whole = reader.whole_request(head(b"POST /now HTTP/1.1", *lines) + length * b"b", LIMIT)
        assert whole is not None
        assert whole[3][b"Content-Length"] == [b"%d" % length]
        assert whole[4:] == (length * b"b", b"")
        shown.append(whole[3][b"Authorization"])
    assert shown[0] is shown[1] is shown[2]


@pytest.mark.parametrize("at", range(3))
def test_the_length_may_stand_anywhere(at: int) -> None:
    lines = [b"X: a", b"Y: b"]
    lines.insert(at, b"Content-Length: 2")
    whole = HeadReader().whole_request(head(b"POST /now HTTP/1.1", *lines) + b"bbGET", LIMIT)
    assert whole is not None
    assert whole[3] == {b"X": [b"a"], b"Y": [b"b"], b"Content-Length": [b"2"]}
    assert whole[4:] == (b"bb", b"GET")
