"""What requests do instead of Twisted's methods is what those do."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.web import server
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.fakes.frontend_world import Connection
from twisted_bazaar.http.site import BazaarRequest, BazaarSite

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Kept(Resource):
    """Keeps the request, or gives it to `answer`."""

    isLeaf = True
    answer: Callable[[BazaarRequest], object] | None = None

    def render(self, request: BazaarRequest) -> int:
        self.request = request
        if self.answer is not None:
            self.answer(request)
        return NOT_DONE_YET


def connect(resource: Resource) -> Connection:
    clock = Clock()
    return Connection(BazaarSite(resource, clock, clock.seconds, lambda: "id-1"))


def test_a_request_begins_with_what_twisted_s_begins_with() -> None:
    channel = connect(Kept()).channel
    assert vars(BazaarRequest(channel)) == vars(server.Request(channel, False)) | {
        "_parsePOSTFormSubmission": False
    }


def at_once(request: BazaarRequest, body: bytes) -> None:
    request.respond(body)


def by_twisted(request: BazaarRequest, body: bytes) -> None:
    request.responseHeaders.setRawHeaders(b"Content-Length", [b"%d" % len(body)])
    request.write(body)
    request.finish()


def plain(request: BazaarRequest) -> None: ...


def typed(request: BazaarRequest) -> None:
    request.responseHeaders.setRawHeaders(b"content-type", [b"text/plain"])


def refused(request: BazaarRequest) -> None:
    request.setResponseCode(404, b"Not here")
    request.more_head = b"X-Last: 1\r\n"


@pytest.mark.parametrize("prepare", [plain, typed, refused])
@pytest.mark.parametrize("body", [b"", b"body", b"x" * 100_000])
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_an_answer_in_one_piece_is_as_twisted_writes_and_ends_it(
    prepare: Callable[[BazaarRequest], None], body: bytes, version: bytes
) -> None:
    seen = []
    for respond in at_once, by_twisted:
        resource = Kept()
        connection = connect(resource)
        connection.send(GET.replace(b"HTTP/1.1", version))
        request, content = resource.request, resource.request.content
        ended: list[None] = []
        request.notifyFinish().addCallback(ended.append)
        request.responseHeaders.setRawHeaders(b"X-First", [b"1"])
        prepare(request)
        respond(request, body)
        state: dict[str, Any] = {**vars(request), "responseHeaders": None, "more_head": None}
        for name in "transport", "site", "requestHeaders":
            del state[name]
        assert content.closed
        seen.append((connection.transport.value(), ended, state, connection.send(GET)))
    assert seen[0] == seen[1]


def test_both_ends_of_a_connection_are_asked_for_once() -> None:
    resource = Kept()
    resource.answer = lambda request: request.respond(b"")
    connection = connect(resource)
    asked: list[str] = []
    ends = {"getPeer": connection.transport.getPeer(), "getHost": connection.transport.getHost()}

    def counted(name: str) -> object:
        asked.append(name)
        return ends[name]

    connection.transport.getPeer = lambda: counted("getPeer")  # type: ignore[method-assign]
    connection.transport.getHost = lambda: counted("getHost")  # type: ignore[method-assign]
    for _ in range(3):
        connection.send(GET)
        assert (resource.request.client, resource.request.getHost()) == tuple(ends.values())
    assert sorted(asked) == ["getHost", "getPeer"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/", True),
        (b"/a/b", True),
        (b"/%41", True),
        (b"/%c3%a4", True),
        (b"/%ff", False),
        (b"//", False),
        (b"/a//b", False),
        (b"a", False),
        (b"*", False),
    ],
)
def test_a_path_is_utf_8_without_empty_segments(path: bytes, found: bool) -> None:
    resource = Kept()
    resource.answer = lambda request: request.respond(b"found")
    answered = connect(resource).send(GET.replace(b" / ", b" %b " % path))
    assert answered.startswith(b"HTTP/1.1 %d " % (200 if found else 404))
