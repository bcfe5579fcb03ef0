"""A statement of SQL, and its parameters. Pure."""

import re
from collections.abc import Mapping

__all__ = ["Statement", "Value"]

Value = str | int | float | bytes
"""A parameter. Bytes are in PostgreSQL's text form as they are."""
_PARAMETER = re.compile(r"\{(\w+)\}")


class Statement:
    """SQL that is prepared once a connection. Its parameters are `{name}`, all of them cast."""

    def __init__(self, name: str, sql: str) -> None:
        self.name = name.encode()
        names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
        numbers = {each: f"${number}" for number, each in enumerate(names, 1)}
        self.sql = _PARAMETER.sub(lambda found: numbers[found[1]], sql).encode()
        self._names = names

    def arguments(self, values: Mapping[str, Value]) -> list[bytes]:
        """The parameters, in PostgreSQL's text form."""
        return [_text(values[name]) for name in self._names]


def _text(value: Value) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
