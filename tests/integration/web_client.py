"""A client of the front-end over treq, for tests that run on the reactor."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

REQUEST_SECONDS = 15.0
"""Three times as long as a client may have to wait for a trade."""
CONNECT_SECONDS = 5.0


class Reply(NamedTuple):
    """What the front-end answered, to the last byte of the body."""

    code: int
    headers: Headers
    body: bytes
    length: object
    """What `Content-Length` said; Twisted keeps it from the headers."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """What a success holds."""
        assert self.code == 200, self
        return self.json["data"]

    def header(self, name: str) -> str | None:
        """The only value of a header; None if there is none."""
        values = self.headers.getRawHeaders(name, [])
        assert len(values) <= 1, values
        return values[0] if values else None


def version_of(entity_tag: str | None) -> int:
    """The version that an entity tag names, of any history."""
    assert entity_tag is not None
    return int(entity_tag.strip('"').rpartition("-")[2])


def assert_json(reply: Reply, code: int) -> None:
    """`reply` has that status, and a body of JSON as long as it says."""
    assert reply.code == code, reply
    assert reply.header("Content-Type") == "application/json", reply
    assert reply.length == len(reply.body), reply


def assert_refused(reply: Reply, code: int, said: str = "") -> None:
    """The one shape that every failure has, with `said` in its message."""
    assert_json(reply, code)
    reason, message = reply.json["error"]["reason"], reply.json["error"]["message"]
    error = {"code": code, "reason": reason, "message": message}
    refused: dict[str, Any] = {"error": error}
    if "success" in reply.json:  # below the prefix of the replaced system
        refused |= {"success": False, "errors": [{"code": code, "text": message}]}
    assert reply.json == refused, reply
    assert reason, reply
    assert message, reply
    assert said in message, reply


class WebClient:
    """Asks the front-end at `url`, over up to `connections` connections that are kept."""

    def __init__(self, reactor: Any, url: str, connections: int = 10) -> None:
        self._reactor = reactor
        self._url = url
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = connections
        self._client = HTTPClient(Agent(reactor, connectTimeout=CONNECT_SECONDS, pool=self._pool))

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> "Deferred[Reply]":
        """One request; a `body` of bytes is sent as it is, any other as JSON."""
        return Deferred.fromCoroutine(self._ask(method, path, body, headers)).addTimeout(
            REQUEST_SECONDS, self._reactor
        )

    async def _ask(
        self, method: str, path: str, body: object, headers: Mapping[str, str] | None
    ) -> Reply:
        sent = {} if body is None else {"Content-Type": "application/json"}
        response = await self._client.request(
            method,
            self._url + path,
            headers={**sent, **(headers or {})},
            data=body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
        )
        body = await response.content()
        return Reply(response.code, response.headers, body, response.length)

    def get(self, path: str, **headers: str) -> "Deferred[Reply]":
        """GET; `If_None_Match="x"` is the header `If-None-Match: x`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", path, headers=named)

    def trade(
        self, side: str, quantity: int, name: str, key: str | None = None
    ) -> "Deferred[Reply]":
        """POST a trade, under `key` if there is one."""
        order = {"name": name, "quantity": quantity, "type": side}
        return self.ask("POST", "/orders", order, {"Idempotency-Key": key} if key else None)

    async def orders(self, after: int = 0, limit: int = 500) -> list[dict[str, Any]]:
        """All orders above `after`, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            reply = await self.get(f"/orders?after={after}&limit={limit}")
            found += reply.data
            if reply.json["next"] is None:
                return found
            after = reply.json["next"]

    async def numbers(self, after: int = 0) -> list[int]:
        """Those of all orders above `after`."""
        return [order["number"] for order in await self.orders(after)]

    async def stock(self, name: str) -> dict[str, Any]:
        """What a lookup shows now."""
        shown: dict[str, Any] = (await self.get(f"/stocks/{name}")).data
        return shown

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._pool.closeCachedConnections()


@asynccontextmanager
async def web_client(url: str, connections: int = 10) -> AsyncIterator[WebClient]:
    """A client on the process's reactor; its connections are closed at the end."""
    from twisted.internet import reactor

    client = WebClient(reactor, url, connections)
    try:
        yield client
    finally:
        await client.close()
