"""The words in which a call is described. Pure.

A query parameter or a field of a body also decodes what it describes: there is one declaration of
each.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from twisted_bazaar.access import Permission
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.http.refusals import Reason

__all__ = [
    "JSON",
    "Answer",
    "Body",
    "Example",
    "Field",
    "Header",
    "Link",
    "Operation",
    "Parameter",
    "Schema",
    "holding",
    "object_of",
]

T = TypeVar("T")

JSON = "application/json"

Schema = Mapping[str, Any]
"""A JSON Schema of the dialect that OpenAPI 3.1 has."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter in the path, the query string or a header."""

    name: str
    place: str
    """`path`, `query` or `header`."""
    says: str
    schema: Schema
    example: str | int | None = None
    explode: bool = True
    """Whether the items of a list are parameters of one name; else they have commas between."""


class Field(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A field of a JSON object that clients send, as it is decoded and as it is described."""

    name: str
    says: str
    schema: Schema
    read: Callable[[Any], T]
    """The value that a JSON value stands for. Raises `Refusal`."""
    required: bool = False
    """One that is not may be null as well, which says the same as leaving it out."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A header of an answer."""

    name: str
    says: str
    schema: Schema
    required: bool = True
    """Whether every answer of its status has it."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A call that an answer holds a parameter of."""

    name: str
    operation: str
    parameters: Mapping[str, str]
    says: str


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a request, in JSON."""

    says: str
    name: str
    """Of its schema."""
    schema: Schema


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A success, or an answer that is neither success nor failure."""

    says: str
    body: type[msgspec.Struct] | None = None
    """What encodes the body, if it is JSON."""
    code: int = 200
    media_type: str = JSON
    other_media_types: Sequence[str] = ()
    """That it may have as well."""
    schema: Schema | None = None
    """Of a body that no struct encodes."""
    events: Mapping[str, type[msgspec.Struct]] = {}
    """Of a stream: what encodes the data of each kind of event."""
    event_id: str = "The number of the last order."
    """Of a stream: what the id of an event is."""
    reasons: Sequence[Reason] = ()
    """If its body is that of a failure: for these."""
    headers: Sequence[Header] = ()
    links: Sequence[Link] = ()


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and its answer by a bazaar that has just been started and has answered the
    examples before it."""

    says: str
    target: str
    """Path and query string."""
    code: int = 200
    sent: Mapping[str, str] = {}
    """Headers of the request."""
    body: Any = msgspec.UNSET
    """Of the request: what is sent as JSON. Bytes are sent as they are."""
    answer: bytes = b""
    reason: Reason | None = None
    """Of a failure."""
    met: BazaarError | None = None
    """What happens inside the bazaar while it answers, which it does not do by itself."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    id: str
    tag: str
    summary: str
    says: str
    answers: Sequence[Answer]
    parameters: Sequence[Parameter] = ()
    body: Body | None = None
    refusals: Sequence[Reason] = ()
    """Beyond those that any call can meet."""
    examples: Sequence[Example] = ()
    permission: Permission | None
    """What a client needs for it where there is a file of clients; None: nothing."""


def holding(name: str, data: Any) -> type[msgspec.Struct]:
    """The struct `name` of a body that holds `data` and nothing else."""
    return msgspec.defstruct(name, [("data", data)])


def object_of(fields: Sequence[Field[Any]]) -> Schema:
    """The schema of an object with these fields and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [each.name for each in fields if each.required],
        "properties": {
            each.name: {
                "description": each.says,
                **(each.schema if each.required else _nullable(each.schema)),
            }
            for each in fields
        },
    }


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}
