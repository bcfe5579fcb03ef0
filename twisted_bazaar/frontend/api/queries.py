"""Query parameters: what each may be is declared once, and so decoded and described. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar
from urllib.parse import parse_qsl

from twisted_bazaar.http.refusals import Reason, Refusal, shown

from .description.vocabulary import Parameter

__all__ = ["QueryParameter", "given_parameters", "integer", "word"]

_INTEGER = re.compile(r"[0-9]{1,16}")

T = TypeVar("T")


class QueryParameter(Parameter, Generic[T], frozen=True, kw_only=True):
    """A parameter in the query string, which may be left out."""

    place: str = "query"
    read: Callable[[str], T | None]
    """The value that a text stands for; None: for none."""
    rule: str
    """What the text must be, in words."""

    def of(self, given: Mapping[str, str]) -> T | None:
        """The value that is given; None: there is none. Raises `Refusal`."""
        text = given.get(self.name)
        if text is None:
            return None
        value = self.read(text)
        if value is None:
            message = f"the query parameter {self.name} must be {self.rule}, not {shown(text)}"
            raise Refusal(Reason.INVALID_PARAMETER, message)
        return value


def integer(
    name: str, least: int, most: int, *, says: str, default: int | None = None, example: int
) -> QueryParameter[int]:
    """One that is an integer from `least` to `most`."""

    def read(text: str) -> int | None:
        found = _INTEGER.fullmatch(text) is not None and least <= int(text) <= most
        return int(text) if found else None

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return QueryParameter(
        name=name,
        says=says,
        schema=schema if default is None else {**schema, "default": default},
        example=example,
        read=read,
        rule=f"an integer from {least} to {most}",
    )


def word(
    name: str, words: Sequence[str], *, says: str, default: str | None = None
) -> QueryParameter[str]:
    """One that is one of `words`."""
    schema = {"type": "string", "enum": [*map(str, words)]}
    return QueryParameter(
        name=name,
        says=says,
        schema=schema if default is None else {**schema, "default": default},
        read={each: each for each in words}.get,
        rule=" or ".join(words),
    )


def given_parameters(query: bytes, known: Sequence[Parameter]) -> dict[str, str]:
    """The texts in a query string, by name. Raises `Refusal` for one that is not `known`, or is
    given twice."""
    names = {each.name for each in known}
    given: dict[str, str] = {}
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        message = "the query string is not percent-encoded UTF-8"
        raise Refusal(Reason.INVALID_PARAMETER, message) from None
    for name, value in pairs:
        if name not in names:
            raise Refusal(Reason.INVALID_PARAMETER, f"unknown query parameter {shown(name)}")
        if name in given:
            message = f"the query parameter {name} is given twice"
            raise Refusal(Reason.INVALID_PARAMETER, message)
        given[name] = value
    return given
