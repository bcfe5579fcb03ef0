"""The description as a page of HTML, for people. Pure.

It is made from the description alone. It loads nothing, and has no script: its policy forbids both.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from typing import Any

__all__ = ["POLICY", "html"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --paper: #fff; --faint: #5b6672;
  --line: #d9dee3; --field: #f4f6f8; --link: #0b5cad; --get: #0a6b3d; --post: #9a4a00 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dfe5ea; --paper: #14181c; --faint: #9aa6b1; --line: #303840;
    --field: #1c2228; --link: #7db7f2; --get: #6cce9c; --post: #f0b072 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.6rem } h2 { margin-top: 2.5rem; font-size: 1.3rem }
h3 { margin: 2rem 0 .25rem; padding-top: .75rem; border-top: 1px solid var(--line);
  font-size: 1.05rem }
h4 { margin: 1rem 0 .25rem; font-size: .9rem; color: var(--faint) }
p { margin: .4rem 0 } a { color: var(--link) }
code, pre { font: .875rem/1.45 ui-monospace, monospace }
pre { margin: .4rem 0; padding: .6rem; overflow-x: auto; background: var(--field);
  border-radius: .3rem; white-space: pre-wrap }
.get { color: var(--get) } .post { color: var(--post) } .faint { color: var(--faint) }
.wide { overflow-x: auto }
table { width: 100%; border-collapse: collapse; font-size: .9rem }
th, td { padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line) }
th { font-weight: 600; color: var(--faint) } td { min-width: 5rem }
td:first-child code { white-space: nowrap }
nav ul { padding: 0; list-style: none } nav li { margin: .2rem 0 }
summary { cursor: pointer; padding: .25rem 0 }
details { border-bottom: 1px solid var(--line) }
"""

_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
).encode()
"""The Content-Security-Policy of the page: its own style, and nothing else."""

_CODE = re.compile(r"`([^`]+)`")
_STRONG = re.compile(r"\*\*([^*]+)\*\*")
_SHOWN_CHARACTERS = 48
"""A pattern that is as long helps no reader; what it means is said beside it."""
_BOUNDS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "exclusiveMinimum": "> {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "multipleOf": "a multiple of {}",
    "default": "{} if it is left out",
    "pattern": "`{}`",
}


def html(description: Mapping[str, Any]) -> str:
    """The page."""
    info = description["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>",
            '<p>In OpenAPI 3.1: <a href="openapi.json">openapi.json</a></p>',
            _contents(description),
            _prose(info["description"]),
            *(_section(tag, description) for tag in description["tags"]),
            '<h2 id="schemas">Schemas</h2>',
            *(
                _schema(name, schema)
                for name, schema in description["components"]["schemas"].items()
            ),
            "</main></body></html>\n",
        ]
    )


def _calls(description: Mapping[str, Any], tag: str) -> Iterable[tuple[str, str, Any]]:
    """Method, path and operation of each call with that tag."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method, path, operation


def _contents(description: Mapping[str, Any]) -> str:
    rows = []
    for tag in description["tags"]:
        for method, path, operation in _calls(description, tag["name"]):
            says = f'<span class="faint">{escape(operation["summary"])}</span>'
            link = f'<a href="#{escape(operation["operationId"])}">{_line(method, path)}</a>'
            rows.append(f"<li>{link} {says}</li>")
    return f"<nav><ul>{''.join(rows)}</ul></nav>"


def _line(method: str, path: str) -> str:
    return f'<code><b class="{method}">{method.upper()}</b> {escape(path)}</code>'


def _section(tag: Mapping[str, str], description: Mapping[str, Any]) -> str:
    name = tag["name"]
    shown = [
        _call(method, path, operation) for method, path, operation in _calls(description, name)
    ]
    head = f"<h2>{escape(name.capitalize())}</h2><p>{_inline(tag['description'])}</p>"
    return head + "".join(shown)


def _call(method: str, path: str, operation: Mapping[str, Any]) -> str:
    shown = [
        f'<section><h3 id="{escape(operation["operationId"])}">{_line(method, path)}</h3>',
        f"<p><b>{_inline(operation['summary'])}.</b> {_inline(operation['description'])}</p>",
    ]
    rows = [
        [
            *(_inline(f"`{each['name']}`"), escape(each["in"])),
            *(_kind(each["schema"]), _inline(each["description"])),
        ]
        for each in operation["parameters"]
    ]
    if rows:
        shown.append("<h4>Parameters</h4>" + _table(["name", "in", "what", "meaning"], rows))
    if "requestBody" in operation:
        shown.append("<h4>Body</h4>" + _content(operation["requestBody"]))
    shown.append("<h4>Answers</h4>")
    for code, answer in operation["responses"].items():
        headers = [
            [
                *(_inline(f"`{name}`"), "always" if each["required"] else "perhaps"),
                _inline(each["description"]),
            ]
            for name, each in answer["headers"].items()
        ]
        shown.append(
            f"<details><summary><code>{code}</code> {_inline(answer['description'])}</summary>"
            + (_table(["header", "", "meaning"], headers) if headers else "")
            + _content(answer)
            + "</details>"
        )
    return "".join([*shown, "</section>"])


def _content(holder: Mapping[str, Any]) -> str:
    """Media types, schemas and examples of a body."""
    shown = []
    for media_type, content in holder.get("content", {}).items():
        shown.append(f"<p><code>{escape(media_type)}</code> {_kind(content['schema'])}</p>")
        for each in content.get("examples", {}).values():
            asked = f" <code>{escape(each['description'])}</code>" if "description" in each else ""
            value = each.get("value", "")
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            shown.append(f"<p>{_inline(each['summary'])}{asked}</p><pre>{escape(text)}</pre>")
    return "".join(shown)


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    shown = [f'<section><h3 id="schema-{escape(name)}"><code>{escape(name)}</code></h3>']
    if "description" in schema:
        shown.append(f"<p>{_inline(schema['description'])}</p>")
    if "properties" in schema:
        required = schema.get("required", ())
        rows = [
            [
                _inline(f"`{field}`"),
                _kind(each),
                _inline(("" if field in required else "Optional. ") + each.get("description", "")),
            ]
            for field, each in schema["properties"].items()
        ]
        shown.append(_table(["field", "what", "meaning"], rows))
    else:
        shown.append(f"<p>{_kind(schema)}</p>")
    return "".join([*shown, "</section>"])


def _kind(schema: Mapping[str, Any]) -> str:
    """What a value of `schema` may be, in HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for choice in "anyOf", "oneOf":
        if choice in schema:
            return " or ".join(map(_kind, schema[choice]))
    if "const" in schema:
        return _inline(f"`{json.dumps(schema['const'])}`")
    if "enum" in schema:
        return _inline(" or ".join(f"`{json.dumps(each)}`" for each in schema["enum"]))
    kinds = schema.get("type", "anything")
    said = kinds if isinstance(kinds, str) else " or ".join(kinds)
    if "items" in schema:
        return f"{said} of {_kind(schema['items'])}"
    if "properties" in schema:
        fields = ", ".join(f"`{name}`" for name in schema["properties"])
        return _inline(f"{said}: {fields}")
    bounds = [
        shown.format(schema[name])
        for name, shown in _BOUNDS.items()
        if len(str(schema.get(name, "x" * _SHOWN_CHARACTERS))) < _SHOWN_CHARACTERS
    ]
    return _inline(", ".join([said, *bounds]))


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """`names` and `rows`, which are HTML."""
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _prose(text: str) -> str:
    """Paragraphs, lists and tables of CommonMark, as far as the description has them."""
    shown = []
    for block in re.sub(r"\n  ", " ", text).split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith("- "):
            items = "".join(f"<li>{_inline(line.removeprefix('- '))}</li>" for line in lines)
            shown.append(f"<ul>{items}</ul>")
        elif lines[0].startswith("| "):
            cells = [[*map(_inline, line.strip("| ").split(" | "))] for line in lines]
            shown.append(_table(cells[0], cells[2:]))
        else:
            shown.append(f"<p>{_inline(' '.join(lines))}</p>")
    return "".join(shown)


def _inline(text: str) -> str:
    code = _CODE.sub(r"<code>\1</code>", escape(text, quote=False))
    return _STRONG.sub(r"<b>\1</b>", code)
