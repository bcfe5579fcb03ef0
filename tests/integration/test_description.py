"""Each example of the description, asked of a bazaar that has just been started."""

import http.client
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from tests.fakes.described import answer_of, asked, masked, target_of

from .bazaar import REQUEST_SECONDS, Answer, Bazaar

ANY_ANSWER = {"Date", "Content-Length", "Content-Type", "Connection", "Transfer-Encoding"}
NONE: Mapping[str, str] = MappingProxyType({})


def ask(
    bazaar: Bazaar,
    method: str,
    target: str,
    data: bytes | None = None,
    headers: Mapping[str, str] = NONE,
) -> Answer:
    """The answer to exactly this request. A body that is no JSON is not read."""
    connection = http.client.HTTPConnection(
        bazaar.url.removeprefix("http://"), timeout=REQUEST_SECONDS
    )
    try:
        connection.request(method, target, data, dict(headers))
        answer = connection.getresponse()
        is_json = answer.headers["Content-Type"] == "application/json"
        # Events have no end.
        text = answer.read() if is_json else b""
        return Answer(answer.status, answer.headers, json.loads(text) if text else None)
    finally:
        connection.close()


def test_each_example_is_what_a_bazaar_answers(bazaar: Bazaar) -> None:
    # Routes import Klein, which installs a reactor: not while tests are collected.
    from twisted_bazaar.frontend.api.routes import Routes

    wrong: list[str] = []
    count = 0
    for route in Routes.served.routes:
        for example in route.operation.examples:
            if example.met is not None:
                continue
            headers, data = asked(example)
            target = target_of(route, example)
            answer = ask(bazaar, route.method, target, data, headers)
            count += 1
            expected = example.code, masked(answer_of(route, example))
            if (answer.status, masked(answer.body)) != expected:
                wrong.append(f"{route.method} {target} {example.says}:\n{answer}\n{expected}")
    assert not wrong, "\n\n".join(wrong)
    assert count > 30


@pytest.fixture(scope="module")
def description(bazaar: Bazaar) -> Any:
    return bazaar.request("GET", "/openapi.json").body


def test_every_header_that_is_always_there_is_there(bazaar: Bazaar, description: Any) -> None:
    for path, methods in description["paths"].items():
        if "get" not in methods or "{" in path:
            continue
        answer = ask(bazaar, "GET", path)
        declared = methods["get"]["responses"][str(answer.status)]["headers"]
        for name, header in declared.items():
            assert name in answer.headers or not header["required"], (path, name)
        known = {name.lower() for name in (*declared, *ANY_ANSWER)}
        assert {name.lower() for name in answer.headers} <= known, path
