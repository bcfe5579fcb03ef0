"""The internal endpoint takes in what is signed for this front-end, and nothing else."""

import pytest
from twisted.internet.error import ConnectionLost
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from tests.fakes.internal_endpoint import (
    LIFE,
    PUSH,
    REPLY,
    TOKEN,
    Answer,
    InternalEndpoint,
    request,
)
from twisted_bazaar.frontend.cache.invalidation import (
    MAX_BUFFERED_BYTES,
    MAX_CONNECTIONS,
    MAX_HEADLESS_BUFFERED_BYTES,
    MAX_HEADLESS_BYTES,
    PUSH_SECONDS,
)
from twisted_bazaar.http.site import CHECK_SECONDS, DISCARD_BYTES, MAX_BODY_BYTES
from twisted_bazaar.rpc.push import MAX_PUSH_BYTES, decode_reply, encode, head_of, sign
from twisted_bazaar.runtime.seldom import LOG_SECONDS

SECRET = b"0123456789abcdef"
BODY = encode(PUSH)
SIZED, CHUNKED = 0, 1000


@pytest.fixture(params=[b"", SECRET], ids=["token alone", "with a secret"])
def endpoint(request: pytest.FixtureRequest) -> InternalEndpoint:
    return InternalEndpoint(request.param)


# Who may push


def test_a_signed_push_is_taken_in_and_answered(endpoint: InternalEndpoint) -> None:
    answer = endpoint.take(PUSH)
    assert (answer.code, decode_reply(answer.body)) == (200, REPLY)
    assert answer.headers.getRawHeaders("content-type") == ["application/json"]
    assert endpoint.subscriber.taken == [PUSH]


def test_a_push_that_comes_again_is_answered_again(endpoint: InternalEndpoint) -> None:
    assert endpoint.take(PUSH).body == endpoint.take(PUSH).body
    assert endpoint.subscriber.taken == [PUSH, PUSH]


RIGHT = sign(SECRET, TOKEN, BODY)
WRONG = {
    "missing": [],
    "empty": [b""],
    "one digit": [RIGHT[:-1] + (b"0" if RIGHT[-1:] != b"0" else b"1")],
    "cut": [RIGHT[:-1]],
    "longer": [RIGHT + b"0"],
    "not ASCII": [b"\xff" * 64],
    "of another body": [sign(SECRET, TOKEN, BODY + b" ")],
    "of another token": [sign(SECRET, "token-0", BODY)],
    "of no token": [sign(SECRET, "", BODY)],
    "of another secret": [sign(SECRET + b"0", TOKEN, BODY)],
    "of no secret": [sign(b"", TOKEN, BODY)],
    "twice": [RIGHT, RIGHT],
    "two": [RIGHT, sign(SECRET, "token-0", BODY)],
}


@pytest.mark.parametrize("signatures", WRONG.values(), ids=WRONG)
def test_a_push_without_the_right_signature_is_403_and_has_no_effect(
    signatures: list[bytes],
) -> None:
    endpoint = InternalEndpoint(SECRET)
    lines = [b"X-Bazaar-Signature: " + each for each in signatures]
    answer = endpoint.ask(request(b"POST", b"/invalidations", BODY, *lines))
    assert (answer.code, endpoint.subscriber.taken) == (403, [])
    assert "not signed" in answer.message


def test_the_signature_of_an_earlier_subscription_is_worth_nothing(
    endpoint: InternalEndpoint,
) -> None:
    before = endpoint.post(BODY)
    endpoint.subscriber.token = "token-2"
    assert endpoint.ask(before).code == 403
    assert endpoint.ask(endpoint.post(BODY)).code == 200
    assert endpoint.subscriber.taken == [PUSH]


def test_without_a_subscription_no_signature_is_valid(endpoint: InternalEndpoint) -> None:
    endpoint.subscriber.token = ""
    assert endpoint.take(PUSH).code == 403
    assert endpoint.subscriber.taken == []


def test_a_body_is_not_looked_at_before_its_signature(endpoint: InternalEndpoint) -> None:
    assert endpoint.ask(endpoint.post(b"{", b"0" * 64)).code == 403


def test_wrong_signatures_are_logged_with_where_they_come_from_and_do_not_flood_the_log(
    endpoint: InternalEndpoint,
) -> None:
    def logged(times: int) -> list[str]:
        with capturedLogs() as events:
            for _ in range(times):
                endpoint.ask(endpoint.post(BODY, b"0" * 64))
        return [formatEvent(event) for event in events]

    [line] = logged(100)
    assert line.startswith("a push from 192.168.1.1:54321 was refused: it is not signed")
    assert "(0 more since" in line
    endpoint.clock.advance(LOG_SECONDS - 0.1)
    assert logged(1) == []
    endpoint.clock.advance(0.1)
    [line] = logged(50)
    assert "(100 more since" in line
    endpoint.clock.advance(LOG_SECONDS)
    [line] = logged(1)
    assert "(49 more since" in line


# What a push may be


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b"hello",
        BODY[:-1],
        BODY + b"}",
        BODY.replace(b'"upto":12', b'"upto":"12"'),
        BODY.replace(b'"upto":12', b'"upto":12.5'),
        BODY.replace(b'"upto":12,', b""),
        BODY.replace(b'"upto":12', b'"upto":-1'),
        BODY.replace(b'"upto":12', b'"upto":9007199254740992'),
        BODY.replace(b'"GameStart":11', b'"GameStart":9223372036854775807'),
        BODY.replace(b'"at":2.5', b'"at":1e300'),
        BODY.replace(b'"seconds":0.9', b'"seconds":1e300'),
        BODY.replace(b'"seconds":0.9', b'"seconds":-1'),
        BODY.replace(b'"upto":12', b'"upto":12,"until":13'),
        BODY.replace(b'"c0ffee"', b'"\xff"'),
        BODY.replace(b'"at"', b'"x":' + b"[" * 100_000 + b',"at"'),
    ],
    ids=lambda body: repr(body[:60])[-20:],
)
def test_what_is_signed_but_no_push_is_400_and_has_no_effect(
    endpoint: InternalEndpoint, body: bytes
) -> None:
    answer = endpoint.ask(endpoint.post(body))
    assert (answer.code, endpoint.subscriber.taken) == (400, [])
    assert answer.message.startswith("not a push: ")


def test_that_a_subscription_is_over_is_an_answer_like_others(endpoint: InternalEndpoint) -> None:
    body = BODY.replace(b'"life":%d' % LIFE, b'"life":%d' % (LIFE - 1), 1)
    answer = endpoint.ask(endpoint.post(body))
    assert (answer.code, endpoint.subscriber.taken) == (200, [])


def test_an_unexpected_error_is_500_in_json(
    endpoint: InternalEndpoint, logged_failures: list[Failure]
) -> None:
    endpoint.subscriber.error = RuntimeError("a bug")
    assert (answer := endpoint.take(PUSH)).code == 500
    assert "a bug" not in answer.message
    assert len(logged_failures) == 1
    logged_failures.clear()


# How large it may be


def test_a_push_may_have_six_mebibytes_and_not_one_byte_more(endpoint: InternalEndpoint) -> None:
    assert MAX_PUSH_BYTES > MAX_BODY_BYTES, "of a client"
    assert endpoint.ask(endpoint.post(BODY.ljust(MAX_PUSH_BYTES))).code == 200
    answer = endpoint.ask(endpoint.post(BODY.ljust(MAX_PUSH_BYTES + 1)))
    assert (answer.code, answer.message) == (413, "the body is larger than 6291456 bytes")
    assert endpoint.subscriber.taken == [PUSH]


def test_a_push_says_how_long_it_is(endpoint: InternalEndpoint) -> None:
    answer = endpoint.ask(endpoint.post(BODY, chunk=CHUNKED))
    assert (answer.code, endpoint.subscriber.taken) == (411, [])


@pytest.mark.parametrize("chunk", [SIZED, CHUNKED])
def test_what_is_too_large_is_not_kept(endpoint: InternalEndpoint, chunk: int) -> None:
    channel, _ = endpoint.connect()
    sent = endpoint.post(b" " * 2 * MAX_PUSH_BYTES, chunk=chunk)
    for start in range(0, len(sent) - 10, 65536):
        channel.dataReceived(sent[start : min(start + 65536, len(sent) - 10)])
    [unfinished] = channel.requests
    assert unfinished.content.getvalue() == b""


def test_a_push_of_release_0_1_whose_head_is_not_signed_is_taken_if_it_is_small(
    endpoint: InternalEndpoint,
) -> None:
    def old(body: bytes) -> bytes:
        signature = b"X-Bazaar-Signature: " + endpoint.signature(body)
        return request(b"POST", b"/invalidations", body, signature)

    assert endpoint.ask(old(BODY)).code == 200
    assert endpoint.ask(old(BODY.ljust(MAX_HEADLESS_BYTES))).code == 200
    assert endpoint.ask(old(BODY.ljust(MAX_HEADLESS_BYTES + 1))).code == 403
    unfinished = old(BODY.ljust(MAX_HEADLESS_BYTES))[:-1]
    for _ in range(MAX_HEADLESS_BUFFERED_BYTES // MAX_HEADLESS_BYTES):
        endpoint.connect()[0].dataReceived(unfinished)
    assert endpoint.site.buffered == MAX_HEADLESS_BUFFERED_BYTES
    assert endpoint.ask(old(BODY)).code == 503
    assert endpoint.take(PUSH).code == 200, "those that sign their heads have a room of their own"


@pytest.mark.parametrize("wrong", ["empty", "of another length", "of another signature"])
def test_of_a_push_whose_head_is_not_signed_nothing_is_kept(
    endpoint: InternalEndpoint, wrong: str
) -> None:
    signature = endpoint.signature(BODY)
    head = {
        "empty": b"",
        "of another length": head_of(endpoint.secret, TOKEN, len(BODY) + 1, signature),
        "of another signature": head_of(endpoint.secret, TOKEN, len(BODY), b"0" * 64),
    }[wrong]
    lines = [b"X-Bazaar-Signature: " + signature, b"X-Bazaar-Head: " + head]
    channel, transport = endpoint.connect()
    channel.dataReceived(request(b"POST", b"/invalidations", BODY, *lines)[: -len(BODY)])
    answer = Answer(transport.value())
    assert (answer.code, answer.headers.getRawHeaders("connection")) == (403, ["close"])
    channel.dataReceived(BODY)
    assert (endpoint.subscriber.taken, endpoint.site.buffered) == ([], 0)


def test_pushes_that_are_under_way_have_a_bound_together(endpoint: InternalEndpoint) -> None:
    largest = endpoint.post(BODY.ljust(MAX_PUSH_BYTES))[:-1]
    channels = [endpoint.connect()[0] for _ in range(MAX_BUFFERED_BYTES // MAX_PUSH_BYTES)]
    for channel in channels:
        channel.dataReceived(largest)
    assert endpoint.site.buffered == MAX_BUFFERED_BYTES
    assert endpoint.take(PUSH).code == 503
    channels[0].dataReceived(b" ")
    assert endpoint.take(PUSH).code == 200
    for channel in channels:
        channel.connectionLost(Failure(ConnectionLost()))
    assert endpoint.site.buffered == 0
    assert endpoint.take(PUSH).code == 200


def test_many_connections_of_strangers_do_not_keep_the_catalog_out(
    endpoint: InternalEndpoint,
) -> None:
    known, answered = endpoint.connect()
    known.dataReceived(endpoint.post(BODY))
    assert Answer(answered.value()).code == 200
    crowd = []
    for number in range(3 * MAX_CONNECTIONS):
        crowd.append(endpoint.connect())
        if number >= MAX_CONNECTIONS - 1:
            channel, transport = crowd.pop(0)
            assert transport.disconnecting, "the oldest goes"
            channel.connectionLost(Failure(ConnectionLost()))
    assert not any(transport.disconnecting for _, transport in [*crowd, (known, answered)])
    answered.clear()
    known.dataReceived(endpoint.post(BODY))
    assert Answer(answered.value()).code == 200


def test_a_body_without_end_is_refused_before_its_end(endpoint: InternalEndpoint) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = b"POST /invalidations HTTP/1.1\r\nHost: x\r\n"
    endless = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * (DISCARD_BYTES // 0x10000 + 1)
    huge = head + b"Content-Length: 99999999999\r\n\r\n"
    for sent, code in (endless, 411), (huge, 413):
        channel, transport = endpoint.connect()
        channel.dataReceived(sent)
        assert transport.half_closed
        answer = Answer(transport.value())
        assert (answer.code, answer.headers.getRawHeaders("connection")) == (code, ["close"])


def test_a_body_that_does_not_go_on_is_cut_off(endpoint: InternalEndpoint) -> None:
    channel, transport = endpoint.connect()
    channel.dataReceived(endpoint.post(BODY)[:-1])
    for _ in range(4):
        endpoint.clock.advance(PUSH_SECONDS / 4 - 0.1)
        channel.dataReceived(b"")
    assert transport.value() == b""
    endpoint.clock.pump([CHECK_SECONDS] * 2)
    assert Answer(transport.value()).code == 408
    endpoint.clock.pump([CHECK_SECONDS] * 3)
    assert transport.aborting
    assert endpoint.subscriber.taken == []


# Everything else


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"BREW"])
def test_only_post_can_be_done(endpoint: InternalEndpoint, method: bytes) -> None:
    signature = b"X-Bazaar-Signature: " + endpoint.signature(BODY)
    with capturedLogs() as events:
        answer = endpoint.ask(request(method, b"/invalidations", BODY, signature))
    assert (answer.code, answer.headers.getRawHeaders("allow")) == (405, ["POST"])
    assert method == b"HEAD" or "only POST" in answer.message
    assert (endpoint.subscriber.taken, events) == ([], [])


@pytest.mark.parametrize(
    "path",
    [b"/", b"/ping", b"/orders", b"/invalidations/", b"/invalidations/x", b"//invalidations"],
)
def test_nothing_else_is_served(endpoint: InternalEndpoint, path: bytes) -> None:
    signature = b"X-Bazaar-Signature: " + endpoint.signature(BODY)
    for method in b"POST", b"GET":
        answer = endpoint.ask(request(method, path, BODY, signature))
        assert (answer.code, answer.message) == (404, "there is nothing at this path")
    assert endpoint.subscriber.taken == []


def test_pushes_that_are_refused_count() -> None:
    endpoint = InternalEndpoint(SECRET)
    refused = endpoint.refused
    endpoint.take(PUSH)
    assert refused.value == 0
    endpoint.ask(endpoint.post(BODY, b"0" * 64))
    assert refused.value == 1
    nonsense = b"{}"
    endpoint.ask(endpoint.post(nonsense))
    assert refused.value == 2
