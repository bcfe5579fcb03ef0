"""Declares the routes of a Klein app, each with the description that it follows."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred

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
        self._descriptions: dict[int, Description] = {}

    def __call__(self, operation: Operation, method: str, *paths: str) -> Callable[[View], View]:
        """Declare the decorated view as the route for `method` at each of `paths`, which takes and
        answers what `operation` says."""

        def declare(view: View) -> View:
            for path in paths:
                self.app.route(path, methods=[method], endpoint=f"{method} {path}")(view)
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

    def description(self, partitions: int) -> Description:
        """The description of the routes, which must be complete. To make it takes a while, the
        first time."""
        if partitions not in self._descriptions:
            described = self.described(partitions)
            shown = document(described)
            self._descriptions[partitions] = Description(
                msgspec.json.encode(shown), html(shown).encode()
            )
        return self._descriptions[partitions]
