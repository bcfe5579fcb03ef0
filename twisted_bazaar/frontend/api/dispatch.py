"""Dispatches requests to the routes of a Klein app, in place of Klein's own resource.

Klein's resource binds the map of routes anew for each request, supports renderers that no route
uses, and cancels a route's Deferred when the client hangs up: then a trade would be abandoned half
way, and a lookup that other clients wait for would fail. It would also be two fifths of what a
lookup costs.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import MethodNotAllowed, NotFound

from twisted_bazaar.access import Permission
from twisted_bazaar.http import answers
from twisted_bazaar.http.site import BazaarRequest

from .entrance import Entrance

__all__ = ["Dispatcher"]

_CACHED_PATHS = 1024
"""Paths whose route is cached; most are those of stocks."""


class Dispatcher(Resource):
    """Serves the routes of `app`, which is bound to its instance, to requests of a `BazaarSite`.

    A route returns a body, or a Deferred of one that never fails; None is no body: the route has
    answered, or goes on to. `failed` makes the body where a
    route raises, or there is none: then the error is one of werkzeug's `HTTPException`s.
    """

    isLeaf = True

    def __init__(
        self,
        app: Klein,
        failed: Callable[[Failure, BazaarRequest], bytes],
        permissions: Mapping[str, Permission | None],
        entrance: Entrance | None = None,
    ) -> None:
        """`permissions` are what a client needs, by endpoint. All calls pass the `entrance`, if
        there is one."""
        super().__init__()
        self._app = app
        self._failed = failed
        self._permissions = permissions
        self._entrance = entrance
        routes = app.url_map.bind("bazaar")
        fixed: dict[str, set[str]] = {}
        for rule in app.url_map.iter_rules():
            if not rule.arguments:
                fixed.setdefault(rule.rule, set()).update(rule.methods or ())

        def allowed(path: bytes) -> list[str]:
            # What has a path of its own is no parameter of another: a batch is no order's number.
            segments = _segments(path)
            methods = sorted(fixed.get(segments) or routes.allowed_methods(segments))
            if not methods:
                raise NotFound
            return methods

        @lru_cache(_CACHED_PATHS)
        def find(method: bytes, path: bytes) -> tuple[str, str, Mapping[str, Any]]:
            segments, name = _segments(path), method.decode("ascii")
            if method != method.upper() or name not in fixed.get(segments, (name,)):
                raise MethodNotAllowed(valid_methods=allowed(path))  # werkzeug takes get for GET
            rule, arguments = routes.match(segments, name, return_rule=True)
            arguments = {each: unquote(value) for each, value in arguments.items()}
            return rule.endpoint, rule.rule, arguments

        self._find = find
        self._allowed = allowed

    def render(self, request: BazaarRequest) -> int:
        try:
            if request.method == b"OPTIONS":
                body: Any = self._options(request)
            else:
                endpoint, request.route, arguments = self._find(request.method, request.path)
                if self._entrance is not None:
                    self._entrance.admit(request, self._permissions[endpoint])
                body = self._app.execute_endpoint(endpoint, request, **arguments)
        except Exception:
            body = self._failed(Failure(), request)
        if isinstance(body, Deferred):
            body.addCallback(_respond, request).addErrback(_broken, request)
        else:
            request.respond(body)
        return NOT_DONE_YET

    def _options(self, request: BazaarRequest) -> bytes:
        """The answer to OPTIONS at a path, or for the whole server (`*`)."""
        methods = {"GET", "HEAD", "POST"} if request.path == b"*" else self._allowed(request.path)
        shown = sorted({*methods, "OPTIONS"})
        request.responseHeaders.setRawHeaders(b"Allow", [", ".join(shown).encode("ascii")])
        return answers.success(shown)


def _segments(path: bytes) -> str:
    """`path`, which the site has checked, with each segment quoted in one way: a slash in the name
    of a stock (%2F) separates no segments. A trailing slash is dropped."""
    segments = path.split(b"/")
    if len(segments) > 2 and not segments[-1]:
        segments.pop()
    return "/".join(quote(unquote_to_bytes(segment), safe="") for segment in segments)


def _respond(body: bytes | None, request: BazaarRequest) -> None:
    if body is not None:
        request.respond(body)


def _broken(failure: Failure, request: BazaarRequest) -> None:
    """An answer could not be sent, or a route's Deferred failed."""
    request.processingFailed(failure)
