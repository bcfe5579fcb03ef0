"""The description of the API: complete, valid, and true of the front-end's answers."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate
from twisted.internet.defer import Deferred

from tests.fakes.described import answer_of, asked, masked, target_of
from tests.fakes.frontend_world import FrontEnd
from tests.fakes.partitioned_orders import SomeOrders
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.api.description.reading import FIRST
from twisted_bazaar.frontend.api.description.reasons import (
    ANY_CALL,
    ELSEWHERE,
    INTERNAL,
    MEANINGS,
    MESSAGES,
    WITH_CLIENTS,
    WITH_LIMITS,
)
from twisted_bazaar.frontend.api.description.trading import MADE_KEY
from twisted_bazaar.frontend.api.routes import Routes
from twisted_bazaar.frontend.limits.limits import Limits
from twisted_bazaar.frontend.partitions.lists import MergedLists
from twisted_bazaar.http import answers
from twisted_bazaar.http.channel import BazaarChannel
from twisted_bazaar.http.refusals import Reason, Refusal
from twisted_bazaar.partitions import home


@pytest.fixture
def frontend() -> FrontEnd:
    return FrontEnd()


@pytest.fixture(scope="module", params=[1, 4], ids="{} partitions".format)
def partitions(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def description(partitions: int) -> Any:
    # All that there may be is described, so that all of it is checked.
    frontend = FrontEnd(partitions=partitions, limits=Limits())
    answer = frontend.get("/openapi.json")
    assert (answer.code, answer.header("content-type")) == (200, "application/json")
    return answer.json


def operations(description: Any) -> dict[tuple[str, str], Any]:
    return {
        (method.upper(), path): operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_described_and_nothing_else(description: Any) -> None:
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in Routes.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert operations(description).keys() == routes


def test_it_is_valid_openapi(description: Any) -> None:
    assert description["openapi"] == "3.1.0"
    validate(description)


def test_each_call_has_the_parameters_of_its_path_and_a_name_of_its_own(description: Any) -> None:
    found = operations(description)
    for (_, path), operation in found.items():
        named = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert sorted(named) == sorted(re.findall(r"{(\w+)}", path))
    assert len({each["operationId"] for each in found.values()}) == len(found)


def test_every_reason_that_a_client_can_meet_is_described(description: Any) -> None:
    public = set(Reason) - set(INTERNAL)
    assert MEANINGS.keys() == public
    met = {reason for each in Routes.served.routes for reason in each.operation.refusals}
    assert met | {*ANY_CALL, *ELSEWHERE, *WITH_CLIENTS, *WITH_LIMITS} == public
    for reason in public:
        assert f"`{reason.word}`" in description["info"]["description"]


def test_each_answer_of_each_call_has_an_example_of_its_schema(description: Any) -> None:
    for call, operation in operations(description).items():
        for code, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/json")
            if content is None or call == ("GET", "/openapi.json"):
                continue
            assert content["examples"], (call, code)
            for example in content["examples"].values():
                schema = {**content["schema"], "components": description["components"]}
                jsonschema.validate(example["value"], schema)


def test_each_reason_of_a_failure_has_an_example(description: Any) -> None:
    for described in Routes.served.routes:
        operation = description["paths"][described.path][described.method.lower()]
        for reason in {*described.operation.refusals, *ANY_CALL}:
            content = operation["responses"][str(reason.code)]["content"]["application/json"]
            words = [each["value"]["error"]["reason"] for each in content["examples"].values()]
            assert reason.word in words, (described.path, reason)


@pytest.mark.parametrize(
    ("route", "example"),
    [
        pytest.param(route, example, id=f"{route.method} {route.path}: {example.says}")
        for route in Routes.served.routes
        for example in route.operation.examples
        if example.met is not None
    ],
)
def test_an_example_of_trouble_is_what_the_front_end_answers_then(
    frontend: FrontEnd, route: Any, example: Any
) -> None:
    assert isinstance(example.met, BazaarError)
    frontend.bazaar.answer = example.met
    if route.path == "/readyz":
        frontend.bazaar.answer, frontend.bazaar.unready = None, str(example.met)
    headers, data = asked(example)
    answer = frontend.ask(route.method, target_of(route, example), headers=headers, data=data)
    shown = json.dumps(answer_of(route, example)).replace(MADE_KEY, "fresh-1")
    assert (answer.code, answer.json) == (example.code, json.loads(shown))


def test_the_examples_of_what_any_call_can_meet_are_answered_so(frontend: FrontEnd) -> None:
    def said(sent: bytes) -> str:
        answer = frontend.connect().send(sent)
        message: str = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]
        return message

    head = b"GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    assert said(b"GET ping\r\n\r\n") == MESSAGES[Reason.MALFORMED]
    assert said(b"GET /" + b"x" * BazaarChannel.MAX_LENGTH) == MESSAGES[Reason.PATH_TOO_LONG]
    assert said(head + b"a: b\r\n" * 501) == MESSAGES[Reason.HEADERS_TOO_LARGE]
    length = b"Content-Length: 999999999\r\n\r\n"
    assert said(head + length) == MESSAGES[Reason.TOO_LARGE]
    slow = frontend.connect()
    slow.send(head)
    frontend.clock.pump([1.0] * 12)
    assert MESSAGES[Reason.TOO_SLOW].encode() in slow.transport.value()


def test_too_many_connections_are_told_so_in_the_words_of_the_example() -> None:
    crowded = FrontEnd(max_connections=1)
    crowded.bazaar.answer = Deferred()
    crowded.connect().send(b"GET /stocks HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    connection = crowded.connect()
    assert MESSAGES[Reason.OVERLOADED].encode() in connection.transport.value()


def test_the_examples_of_several_partitions_are_what_the_lists_answer() -> None:
    orders = [SomeOrders() for _ in range(4)]
    lists = MergedLists(orders)
    orders[home("GameStart", 4)].orders.append(FIRST)
    [route] = [
        each
        for each in Routes.served.described(4)
        if (each.method, each.path) == ("GET", "/orders")
    ]
    for example in route.operation.examples:
        query = example.target.partition("?")[2].encode()
        bodies: list[bytes] = []
        try:
            lists.page(query).addCallback(bodies.append)
        except Refusal as refusal:
            bodies.append(answers.error(refusal.code, refusal.reason.word, refusal.message))
        assert [json.loads(body) for body in bodies] == [json.loads(example.answer)], example.says


def test_with_several_partitions_the_examples_of_the_state_show_each() -> None:
    said = {
        each.operation.id: json.loads(each.operation.examples[0].answer)["data"]
        for each in Routes.served.described(2)
        if each.operation.id in ("listReplicas", "getStatus")
    }
    status = said["getStatus"]
    leaders = [each["leader"] for each in status["partitions"]]
    assert len(set(leaders)) == 2
    for replicas in said["listReplicas"], status["replicas"]:
        for partition, leader in enumerate(leaders):
            roles = {each["id"]: each["partitions"][partition]["role"] for each in replicas}
            assert [at for at, role in roles.items() if role == "leader"] == [leader]
    assert all(len(each["partitions"]) == 2 for each in status["catalogs"])


# The page


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.style = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert name in ("class", "id", "href", "lang", "charset", "name", "content"), tag
            if name == "id":
                assert value not in self.ids, value
                self.ids.add(value)
            if name == "href":
                self.links.append(value)

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["style"] and not self.style:
            self.style = data


@pytest.fixture(scope="module")
def docs(partitions: int) -> Any:
    frontend = FrontEnd(partitions=partitions, limits=Limits())
    answers = []
    # The client of the other tests reads JSON only.
    connection = frontend.connect()
    answers.append(connection.send(b"GET /docs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
    head, _, body = b"".join(answers).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return headers, Page(body.decode()), lines


def test_the_page_needs_no_script_and_no_other_host(docs: Any) -> None:
    headers, page, _ = docs
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    assert all(link.startswith("#") or link == "openapi.json" for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids


def test_the_page_may_load_its_own_style_and_nothing_else(docs: Any) -> None:
    _, page, lines = docs
    [policy] = [line.split(": ", 1)[1] for line in lines if "Content-Security-Policy" in line]
    digest = b64encode(sha256(page.style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    assert "prefers-color-scheme: dark" in page.style


def test_the_page_has_every_call_and_every_schema(docs: Any, description: Any) -> None:
    _, page, _ = docs
    assert {each["operationId"] for each in operations(description).values()} <= page.ids
    assert {f"schema-{name}" for name in description["components"]["schemas"]} <= page.ids


def test_what_varies_in_an_answer_is_masked_wherever_it_is() -> None:
    assert masked({"data": [{"time": "now", "number": 1}]}) == {"data": [{"time": "", "number": 1}]}
