"""The description in OpenAPI 3.1 of all routes. Pure."""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from twisted_bazaar import __version__
from twisted_bazaar.frontend.api.old_shape import in_old_shape
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason

from .headers import (
    ALLOW,
    RATE_LIMITS,
    REPEAT_KEY,
    REQUEST_ID,
    REQUEST_ID_SHOWN,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
)
from .reasons import (
    ANY_CALL,
    BEFORE_THE_PATH,
    ELSEWHERE,
    MEANINGS,
    MESSAGES,
    WITH_CLIENTS,
    WITH_LIMITS,
)
from .schemas import Schemas
from .vocabulary import JSON, Answer, Body, Example, Header, Operation, Parameter, Schema

__all__ = ["Described", "document"]

_ABOUT = """The public API of a stock-trading back end.

- **Failures** all have one body; `reason` is for programs. A 503 has `Retry-After`.
- **Reading.** Ignore fields that you do not know: objects may grow.
- **Methods.** `HEAD` is `GET` without the body, and `OPTIONS` lists the methods of a path.
- **Paths.** A slash at the end makes no difference.
- **Browsers.** A trade needs a `Host` of the bazaar, and neither an `Origin` nor a
  `Sec-Fetch-Site` of another page."""

_TAGS = {
    "stocks": "What is listed, and at what price.",
    "orders": "Trades, and what became of them.",
    "events": "What happens, as it happens.",
    "state": "How the bazaar is.",
    "page": "What people see who open the front-end in a browser.",
    "description": "What this page is made from.",
    "old system": "The calls of the system that this one replaced. Answers have its fields in "
    "addition.",
}

_API_KEY = "apiKey"
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "The API key of a client, in the header `Authorization`. What a call needs of "
    "the permissions `read`, `trade` and `operate` is said with it.",
}


class Described(NamedTuple):
    """A route."""

    method: str
    path: str
    """With parameters in braces."""
    operation: Operation
    old: str = ""
    """What is before the path of its examples, if its answers have the fields of the replaced
    system in addition."""


def document(
    routes: Sequence[Described], with_clients: bool = False, is_limited: bool = False
) -> dict[str, Any]:
    """The description of `routes`, and of nothing else. `with_clients`: there is a file of clients,
    which calls need the API key of one of. `is_limited`: rates may be limited."""
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        shown = _Call(route, schemas, with_clients, is_limited).shown()
        paths.setdefault(route.path, {})[route.method.lower()] = shown
    used = {tag for path in paths.values() for shown in path.values() for tag in shown["tags"]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "twisted_bazaar", "version": __version__, "description": _about()},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": _TAGS[name]} for name in _TAGS if name in used],
        "paths": paths,
        "components": {
            "responses": {
                reason.word: {
                    "description": f"{MEANINGS[reason].capitalize()}.",
                    "headers": _headers([ALLOW] if reason.code == 405 else []),
                    "content": {
                        JSON: {"schema": schemas.failure("Failure", reason.code, [reason])}
                    },
                }
                for reason in ELSEWHERE
            },
            "schemas": schemas.components(),
            **({"securitySchemes": {_API_KEY: _SCHEME}} if with_clients else {}),
        },
    }


def _about() -> str:
    rows = [f"| `{reason.word}` | {reason.code} | {says} |" for reason, says in MEANINGS.items()]
    return "\n".join([_ABOUT, "", "| reason | code | means |", "| --- | --- | --- |", *rows])


class _Call:
    """What one route takes and answers."""

    def __init__(
        self, route: Described, schemas: Schemas, with_clients: bool, is_limited: bool
    ) -> None:
        self._old = route.old
        self._is_limited = is_limited and route.operation.permission is not None
        self._permission = route.operation.permission if with_clients else None
        self._with_clients = with_clients
        self._method = route.method
        self._operation = route.operation
        self._schemas = schemas
        capitalised = route.operation.id[0].upper() + route.operation.id[1:]
        self._name = f"Old{capitalised.removeprefix('Old')}" if route.old else capitalised

    def shown(self) -> dict[str, Any]:
        operation = self._operation
        shown: dict[str, Any] = {
            "operationId": self._name[0].lower() + self._name[1:],
            "tags": ["old system" if self._old else operation.tag],
            "summary": operation.summary,
            "description": operation.says,
            "parameters": [_parameter(each) for each in (*operation.parameters, REQUEST_ID)],
        }
        if self._permission is not None:
            shown["security"] = [{_API_KEY: []}]
            shown["description"] += f" The client needs the permission `{self._permission}`."
        elif self._with_clients:
            shown["security"] = []
        if operation.body is not None:
            shown["requestBody"] = self._body(operation.body)
        shown["responses"] = {str(each.code): self._answer(each) for each in operation.answers}
        asked = WITH_CLIENTS if self._permission is not None else ()
        limited = WITH_LIMITS if self._is_limited else ()
        reasons = sorted({*operation.refusals, *ANY_CALL, *asked, *limited}, key=_place)
        for code, group in groupby(reasons, lambda each: each.code):
            shown["responses"][str(code)] = self._refusal(code, [*group])
        return shown

    def _body(self, body: Body) -> dict[str, Any]:
        taken = [
            each
            for each in self._operation.examples
            if each.body is not msgspec.UNSET and each.reason is None
        ]
        return {
            "description": body.says,
            "required": True,
            "content": {
                JSON: {
                    "schema": self._schemas.named(body.name, body.schema),
                    "examples": {
                        _name(each): {"summary": each.says, "value": each.body} for each in taken
                    },
                }
            },
        }

    def _answer(self, answer: Answer) -> dict[str, Any]:
        headers = self._headers(answer.headers)
        shown: dict[str, Any] = {"description": answer.says, "headers": headers}
        examples = [
            each
            for each in self._operation.examples
            if each.code == answer.code and each.reason in (answer.reasons or (None,))
        ]
        if answer.reasons:
            schema = self._failure(answer.code, answer.reasons)
            shown["content"] = {JSON: {"schema": schema, "examples": self._examples(examples)}}
        elif answer.body is not None:
            of = self._schemas.old if self._old else self._schemas.of
            content = {"schema": of(answer.body)}
            shown["content"] = {JSON: {**content, "examples": self._examples(examples)}}
        elif answer.events:
            shown["content"] = {answer.media_type: {"schema": self._events(answer)}}
        elif answer.schema is not None:
            media_types = (answer.media_type, *answer.other_media_types)
            shown["content"] = {each: {"schema": answer.schema} for each in media_types}
        if answer.links and not self._old:
            shown["links"] = {
                each.name: {
                    "operationId": each.operation,
                    "parameters": dict(each.parameters),
                    "description": each.says,
                }
                for each in answer.links
            }
        return shown

    def _events(self, answer: Answer) -> Schema:
        """The schema of one event of a stream."""
        events, id = answer.events, answer.event_id
        return {"oneOf": [self._schemas.event(kind, events[kind], id) for kind in events]}

    def _refusal(self, code: int, reasons: Sequence[Reason]) -> dict[str, Any]:
        examples = [
            each
            for each in self._operation.examples
            if each.reason in reasons and each.code == code
        ]
        shown = {each.reason for each in examples}
        examples += [_usual(reason) for reason in reasons if reason not in shown]
        headers = [RETRY_AFTER] if code in (429, 503) else []
        if code == 401:
            headers.append(WWW_AUTHENTICATE)
        if Reason.OUTCOME_UNKNOWN in reasons:
            headers.append(REPEAT_KEY)
        says = "; ".join(f"`{reason.word}`: {MEANINGS[reason]}" for reason in reasons)
        return {
            "description": f"{says}.",
            "headers": self._headers(headers),
            "content": {
                JSON: {
                    "schema": self._failure(code, reasons),
                    "examples": self._examples(examples),
                }
            },
        }

    def _headers(self, headers: Iterable[Header]) -> dict[str, Any]:
        return _headers((*headers, *(RATE_LIMITS if self._is_limited else ())))

    def _failure(self, code: int, reasons: Sequence[Reason]) -> Schema:
        usual = [reason for reason in ANY_CALL if reason.code == code]
        name = "Failure" if [*reasons] == usual else f"{self._name}Failure"
        if not self._old:
            return self._schemas.failure(name, code, reasons)
        # Before the path is known, an answer has the new shape.
        before = [reason for reason in reasons if reason in BEFORE_THE_PATH]
        routed = {*self._operation.refusals, Reason.TOO_LARGE}
        after = [each for each in reasons if each in routed or each not in BEFORE_THE_PATH]
        shapes = [self._schemas.failure("Failure", code, before)] if before else []
        if after:
            shapes.append(self._schemas.old_failure(name.removeprefix("Old"), code, after))
        return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}

    def _examples(self, examples: Iterable[Example]) -> dict[str, Any]:
        return {_name(each): self._example(each) for each in examples}

    def _example(self, example: Example) -> dict[str, Any]:
        shape = in_old_shape if self._old else bytes
        shown: dict[str, Any] = {"summary": example.says}
        if example.target:
            shown["description"] = " ".join(
                [self._method, self._old + example.target, *_sent(example)]
            )
        if example.answer:
            shown["value"] = json.loads(shape(example.answer))
        return shown


def _usual(reason: Reason) -> Example:
    """The example of a failure that any call can meet."""
    return Example(
        says=f"{MEANINGS[reason][0].upper()}{MEANINGS[reason][1:]}",
        target="",
        code=reason.code,
        reason=reason,
        answer=answers.error(reason.code, reason.word, MESSAGES[reason]),
    )


def _sent(example: Example) -> list[str]:
    """What the request of `example` holds beside method and target, as text."""
    sent = [f"{name}: {value}" for name, value in example.sent.items()]
    if example.body is msgspec.UNSET:
        return sent
    body = example.body
    return [*sent, body.decode() if isinstance(body, bytes) else json.dumps(body)]


def _name(example: Example) -> str:
    """The key of `example` among those of one place."""
    return re.sub(r"[^a-z0-9]+", "_", example.says.lower()).strip("_")


def _place(reason: Reason) -> int:
    return [*Reason].index(reason)


def _parameter(parameter: Parameter) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.says,
        "schema": dict(parameter.schema),
    }
    if not parameter.explode:
        shown["explode"] = False
    if parameter.example is not None:
        shown["example"] = parameter.example
    return shown


def _headers(headers: Iterable[Header]) -> dict[str, Any]:
    return {
        each.name: {
            "description": each.says,
            "required": each.required,
            "schema": dict(each.schema),
        }
        for each in (*headers, REQUEST_ID_SHOWN)
    }
