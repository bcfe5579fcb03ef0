# ruff: noqa: N802 - the methods of Headers have their own style
"""The headers of a request or an answer."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, AnyStr, TypeVar, overload

from twisted.web.http_headers import Headers

__all__ = ["Fields", "canonical"]

# Python finds a number in bytes much faster than other bytes.
_CR, _LF = b"\r\n"

T = TypeVar("T")


@lru_cache(1024)
def canonical(name: bytes) -> bytes:
    """How Twisted spells the name of a header. Raises `ValueError` if it cannot be one."""
    ((spelled, _),) = Headers({name: [b""]}).getAllRawHeaders()
    return spelled


class Fields(Headers):
    """Twisted's headers, at a lower cost where they are bytes. A test fails if Twisted renames the
    private attribute that is used here."""

    __slots__ = ()

    def take(self, headers: dict[bytes, list[bytes]]) -> None:
        """Have exactly these. Their names are canonical, and no value has a line end."""
        self._rawHeaders = headers

    def has(self, canonical_name: bytes) -> bool:
        """Whether there is such a header, which is looked for as it is spelled."""
        return canonical_name in self._rawHeaders

    @overload
    def getRawHeaders(self, name: AnyStr) -> Sequence[AnyStr] | None: ...

    @overload
    def getRawHeaders(self, name: AnyStr, default: T) -> Sequence[AnyStr] | T: ...

    def getRawHeaders(self, name: Any, default: Any = None) -> Any:
        if type(name) is bytes:
            return self._rawHeaders.get(canonical(name)) or default
        return super().getRawHeaders(name, default)

    def setRawHeaders(self, name: str | bytes, values: Sequence[str | bytes]) -> None:
        if type(name) is bytes and len(values) == 1:
            value = values[0]
            if type(value) is bytes and _LF not in value and _CR not in value:
                self._rawHeaders[canonical(name)] = [value]
                return
        super().setRawHeaders(name, values)

    def lines(self) -> bytes:
        """These headers as they are sent."""
        parts: list[bytes] = []
        for name, values in self._rawHeaders.items():
            for value in values:
                parts += name, b": ", value, b"\r\n"
        return b"".join(parts)
