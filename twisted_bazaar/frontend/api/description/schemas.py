"""The schemas of bodies, each named where it is first needed. Pure."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from twisted_bazaar.frontend.api.old_shape import OldFailure
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason

from .vocabulary import JSON, Schema

__all__ = ["Schemas"]

_PREFIX = "#/components/schemas/"
_SHOWN = "Shown"
"""Before the names of structs that clients know without it."""

Reference = dict[str, str]


class Schemas:
    """The schemas of a description's components."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def components(self) -> dict[str, Any]:
        """All that were referred to, by name."""
        return dict(sorted(self._found.items()))

    def of(self, struct: type[msgspec.Struct]) -> Reference:
        """What `struct` encodes."""
        template = _PREFIX + "{name}"
        [reference], found = msgspec.json.schema_components([struct], ref_template=template)
        named = json.loads(json.dumps([reference, found]).replace(_PREFIX + _SHOWN, _PREFIX))
        for name, schema in named[1].items():
            public = name.removeprefix(_SHOWN)
            self.named(public, {**schema, "title": public})
        shown: Reference = named[0]
        return shown

    def old(self, struct: type[msgspec.Struct]) -> Reference:
        """What `struct` encodes, with the fields of the replaced system."""
        name = self.of(struct)["$ref"].removeprefix(_PREFIX)
        new, old = self._found[name], f"Old{name.removeprefix('Old')}"
        if new["title"] == old:
            del self._found[name]
        return self.named(
            old,
            {
                **new,
                "title": old,
                "properties": {"success": {"type": "boolean", "const": True}, **new["properties"]},
                "required": ["success", *new["required"]],
            },
        )

    def event(self, kind: str, struct: type[msgspec.Struct], id: str) -> Reference:
        """A server-sent event whose data `struct` encodes; `id` says what its id is."""
        title = f"{kind.capitalize()}Event"
        fields: dict[str, Schema] = {
            "event": {"type": "string", "const": kind},
            "data": {
                "type": "string",
                "contentMediaType": JSON,
                "contentSchema": self.of(struct),
            },
            "id": {"type": "string", "description": id},
        }
        return self.named(title, {**_holding(title, fields), "required": ["event", "data"]})

    def failure(self, name: str, code: int, reasons: Sequence[Reason]) -> Reference:
        """A failure by one of `reasons`, all of status `code`."""
        title = f"{name}{code}"
        fields = {"error": self._error(title, code, reasons)}
        return self.named(title, _holding(title, fields))

    def old_failure(self, name: str, code: int, reasons: Sequence[Reason]) -> Reference:
        """The same with the fields of the replaced system."""
        title = f"Old{name}{code}"
        fields = {
            **self._fields(OldFailure),
            "success": {"type": "boolean", "const": False},
            "error": self._error(title, code, reasons),
        }
        return self.named(title, _holding(title, fields))

    def _error(self, title: str, code: int, reasons: Sequence[Reason]) -> Schema:
        fields = self._fields(answers.Failed)
        fields["code"] = {**fields["code"], "const": code}
        fields["reason"] = {**fields["reason"], "enum": [reason.word for reason in reasons]}
        return _holding(f"{title}Error", fields)

    def named(self, name: str, schema: Schema) -> Reference:
        """`schema`, under that name."""
        assert self._found.setdefault(name, schema) == schema, f"two schemas are named {name}"
        return {"$ref": _PREFIX + name}

    def _fields(self, struct: type[msgspec.Struct]) -> dict[str, Any]:
        """The properties of what `struct` encodes; what they refer to is named."""
        _, found = msgspec.json.schema_components([struct], ref_template=_PREFIX + "{name}")
        properties: dict[str, Any] = found.pop(struct.__name__)["properties"]
        for name, schema in found.items():
            self.named(name, schema)
        return properties


def _holding(title: str, fields: dict[str, Any]) -> Schema:
    """An object that has all of `fields`."""
    return {"title": title, "type": "object", "required": [*fields], "properties": fields}
