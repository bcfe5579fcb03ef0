"""Servers in a front-end's place that answer a push in wrong ways."""

from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from twisted_bazaar.rpc.push import encode

from .internal_endpoint import REPLY

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: %d\r\n\r\n%b" % (len(encode(REPLY)), encode(REPLY))


class Server(Protocol):
    """Answers the first bytes of each request with `answer`, then does what `then` says."""

    answer = b""
    then = "wait"
    factory: "ServerFactory"

    def connectionMade(self) -> None:
        self.factory.open.append(self)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.factory.requests += data.count(b"POST ")
        if b"POST " not in data:
            return
        self.transport.write(self.answer)
        if self.then == "close":
            self.transport.loseConnection()
        elif self.then == "reset":
            self.transport.abortConnection()
        elif self.then == "read no more":
            self.transport.pauseProducing()
        elif self.then == "endless":
            self.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        self.factory.written += 65536
        self.transport.write(b"x" * 65536)  # type: ignore[union-attr]

    def stopProducing(self) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.open.remove(self)


class ServerFactory(Factory):
    noisy = False

    def __init__(self, answer: bytes, then: str) -> None:
        self.protocol = type("Configured", (Server,), {"answer": answer, "then": then})
        self.open: list[Server] = []
        self.requests = 0
        self.written = 0
        self.address = ""


AT_ONCE = {
    "closes at once": (b"", "close"),
    "resets": (b"", "reset"),
    "garbage": (b"\xff" * 1000 + b"\r\n\r\n", "wait"),
    "another protocol": (b"-ERR unknown command\r\n" * 9, "wait"),
    "closes in the status line": (OK[:9], "close"),
    "closes in the headers": (OK + b"Content-Le", "close"),
    "closes in the body": (WHOLE[:-1], "close"),
    "resets in the body": (WHOLE[:-1], "reset"),
    "a body without a length": (OK + b"\r\n" + encode(REPLY), "close"),
    "a body with an end that cannot be": (OK + b"Content-Length: x\r\n\r\n{}", "wait"),
    "chunks that are none": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "wait"),
    "another encoding": (OK + b"Transfer-Encoding: gzip\r\n\r\n{}", "wait"),
    "an endless body": (OK + b"Content-Length: 99999999999\r\n\r\n", "endless"),
    "endless chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n", "endless"),
    "endless until it closes": (OK + b"\r\n", "endless"),
    "a header line without end": (OK + b"X: ", "endless"),
    "another shape": (OK + b"Content-Length: 2\r\n\r\n{}", "wait"),
    "deep": (OK + b"Content-Length: 4000\r\n\r\n" + b'{"stamp":{"x":'.ljust(4000, b"["), "wait"),
    "no text": (OK + b"Content-Length: 4\r\n\r\n\xff\xff\xff\xff", "wait"),
    "nothing": (OK + b"Content-Length: 0\r\n\r\n", "wait"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "wait"),
    "elsewhere": (b"HTTP/1.1 307 T\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "wait"),
    "created": (WHOLE.replace(b"200 OK", b"201 Created"), "wait"),
    "failed": (WHOLE.replace(b"200 OK", b"500 Oh"), "wait"),
}
NEVER = {
    "never answers": (b"", "wait"),
    "half a status line": (OK[:9], "wait"),
    "half the headers": (OK + b"Content-Le", "wait"),
    "half a body": (WHOLE[:-1], "wait"),
    "headers of a body": (OK + b"Content-Length: 9999\r\n\r\n", "wait"),
    "half a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n40\r\n{", "wait"),
    "another is coming": (b"HTTP/1.1 102 Processing\r\n\r\n", "wait"),
}
