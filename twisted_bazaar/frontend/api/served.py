"""Declares the routes of a Klein app, each with the description that it follows."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred

from twisted_bazaar.access import Permission
from twisted_bazaar.frontend.partitions.description import of_partitions

from .description.document import Described, document
from .description.page import html
from .description.vocabulary import Operation
from .old_system import PREFIX as OLD

__all__ = ["Described", "Description", "Served"]

_OLD_PATHS = (f"{OLD}/trade", OLD)

View = TypeVar("View", bound=Callable[..., Deferred[bytes] | Deferred[bytes | None] | bytes])


class Description(NamedTuple):
    """What all routes take and answer."""

    openapi: bytes
    """In OpenAPI 3.1, as JSON."""
    page: bytes
    """In HTML."""


class Served:
    """Routes, and their descriptions."""

    def __init__(self) -> None:
        self.app = Klein()
        self.routes: list[Described] = []
        self.permissions: dict[str, Permission | None] = {}
        """By endpoint: what a client needs for it."""
        self._descriptions: dict[tuple[int, bool, bool], Description] = {}

    def __call__(self, operation: Operation, method: str, *paths: str) -> Callable[[View], View]:
        """Declare the decorated view as the route for `method` at each of `paths`, which takes and
        answers what `operation` says."""

        def declare(view: View) -> View:
            for path in paths:
                endpoint = f"{method} {path}"
                self.app.route(path, methods=[method], endpoint=endpoint)(view)
                self.permissions[endpoint] = operation.permission
                old = next((each for each in _OLD_PATHS if path.startswith(each)), "")
                shown = path.replace("<", "{").replace(">", "}")
                self.routes.append(Described(method, shown, operation, old))
            return view

        return declare

    def described(self, partitions: int) -> Sequence[Described]:
        """The routes, with what they take and answer if there are so many partitions."""
        if partitions == 1:
            return self.routes
        return [
            each._replace(operation=of_partitions(each.operation, partitions))
            for each in self.routes
        ]

    def description(
        self, partitions: int, with_clients: bool = False, is_limited: bool = False
    ) -> Description:
        """The description of the routes, which must be complete; `with_clients`: there is a file of
        clients; `is_limited`: rates may be limited. To make it takes a while, the first time."""
        which = partitions, with_clients, is_limited
        if which not in self._descriptions:
            shown = document(self.described(partitions), with_clients, is_limited)
            self._descriptions[which] = Description(
                msgspec.json.encode(shown), html(shown).encode()
            )
        return self._descriptions[which]
