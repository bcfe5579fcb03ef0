"""What dashboard, alerts and docs/monitoring.md name is what processes expose, and all of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock

from tests import ROOT
from tests.fakes.edge_files import ServerFiles
from tests.fakes.engine_world import EngineWorld, buy
from tests.fakes.monitoring_files import (
    ALERTS,
    RECORDED,
    RULES,
    Matcher,
    Query,
    grouped,
    queries,
    selectors,
)
from twisted_bazaar.frontend.figures import FrontendFigures
from twisted_bazaar.http.edge import EdgeCertificate, EdgeFiles
from twisted_bazaar.metrics.exposition import Exposition
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.order.partitioned.figures import MemberFigures
from twisted_bazaar.order.partitioned.member import Member
from twisted_bazaar.order.partitioned.shown import show_member

from .bazaar import Bazaar
from .inside import connection_to

OF_PROMETHEUS = {"up", "ALERTS", *RECORDED}
"""What Prometheus makes itself."""
OF_TARGETS = {"job", "instance"}
"""The labels that it adds."""
OF_FAULTS = {("code", "5.."), ("code", "OK")}
"""Values of labels that come with a fault, or are what is left out."""
Series = dict[str, list[dict[str, str]]]
"""The labels of the series of each metric."""
OURS = "bazaar_"


def scrape(bazaar: Bazaar, name: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Of each sample: its metric's family, its own name, and its labels."""
    connection = connection_to(bazaar, name)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
    finally:
        connection.close()
    yield from samples(text)


def samples(text: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """As `scrape`, of what was read."""
    for family in text_string_to_metric_families(text):
        suffix = "_total" if family.type == "counter" else ""
        for sample in family.samples:
            yield f"{family.name}{suffix}", sample.name, dict(sample.labels)


def of_a_member() -> str:
    """What an order process shows whose log is in an engine, of what only such a one has."""
    world = EngineWorld()
    world.trade(world.lead(3), buy("a"))
    metrics = Metrics()
    MemberFigures(metrics)
    member = Member(3, 1.0, world.clock.seconds, lambda: world.engine.bazaar, _made_elsewhere)
    member.nodes = world.members[3].nodes
    show_member(metrics, member, world.clock.seconds)
    text, _ = Exposition(metrics).write("")
    return text.decode()


def of_an_edge(folder: Path) -> str:
    """What a front-end shows that serves clients by TLS, of what only such a one has."""
    files = ServerFiles(folder)
    files.write(1)
    clock, metrics = Clock(), Metrics()
    edge = EdgeCertificate(EdgeFiles(files.key, files.certificate), clock.seconds)
    FrontendFigures(metrics, clock, int).show_edge(lambda: edge, clock.seconds)
    text, _ = Exposition(metrics).write("")
    shown = re.findall(r".*bazaar_http_certificate_expiry_seconds.*\n", text.decode())
    return "".join(shown)


def _made_elsewhere(bazaar: object, partition: int) -> NoReturn:
    raise AssertionError


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """The series of all processes of a bazaar that was used a little, by the sample's name; those
    of `families` by that of the family."""
    found: Series = {}
    with Bazaar(tmp_path_factory.mktemp("monitored")) as bazaar:
        order = {"name": "GameStart", "quantity": 1, "type": "buy"}
        assert bazaar.request("POST", "/orders", order).status == 200
        for _ in range(2):
            assert bazaar.request("GET", "/stocks/GameStart").status == 200
        for name in bazaar.processes():
            if name != "redis":
                _add(found, scrape(bazaar, name))
    _add(found, samples(of_a_member()))
    _add(found, samples(of_an_edge(tmp_path_factory.mktemp("edge"))))
    return found


def _add(found: Series, shown: Iterator[tuple[str, str, dict[str, str]]]) -> None:
    for family, sample, labels in shown:
        found.setdefault(sample, []).append(labels)
        found.setdefault(f"family {family}", []).append(labels)


def names(labels: list[dict[str, str]]) -> set[str]:
    return {name for each in labels for name in each} | OF_TARGETS


def unknown(expr: str, exposed: Series) -> Iterator[str]:
    """What `expr` names that is not there."""
    metrics = [each for each in selectors(expr) if each.name not in OF_PROMETHEUS]
    known = {"alertname", "alertstate", *OF_TARGETS}
    for metric in metrics:
        series = exposed.get(metric.name)
        if series is None:
            yield metric.name
            continue
        known |= names(series)
        for matcher in metric.matchers:
            if matcher.label in OF_TARGETS or (matcher.label, matcher.value) in OF_FAULTS:
                continue
            if not any(has(matcher, labels) for labels in series):
                yield f"{metric.name}{{{matcher.label}{matcher.how}{matcher.value!r}}}"
    yield from (f"label {name}" for name in grouped(expr) - known)


def has(matcher: Matcher, labels: dict[str, str]) -> bool:
    """Whether the label has a value that is meant, or one that is left out."""
    meant = Matcher(matcher.label, matcher.how.replace("!", "=").replace("==", "="), matcher.value)
    return matcher.label in labels and meant.takes(labels[matcher.label])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_only_what_is_exposed(rule: dict[str, str], exposed: Series) -> None:
    assert list(unknown(rule["expr"], exposed)) == []


@pytest.mark.parametrize("query", list(queries()), ids=lambda query: query.title)
def test_a_query_of_the_dashboard_names_only_what_is_exposed(query: Query, exposed: Series) -> None:
    assert list(unknown(query.expr, exposed)) == []
    shown = {name for s in selectors(query.expr) for name in names(exposed.get(s.name, []))}
    assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= shown


def test_the_page_names_every_metric_of_ours_with_its_labels_and_no_other(
    exposed: Series,
) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    told = {
        name: set(filter(None, labels.split(",")))
        for name, labels in re.findall(r"`(bazaar_\w+)(?:\{([\w,]+)\})?`", page)
    }
    families = {
        name.removeprefix("family "): names(labels) - OF_TARGETS - {"le"}
        for name, labels in exposed.items()
        if name.startswith(f"family {OURS}")
    }
    assert told == families


def test_an_alert_can_fire_at_once_since_its_counters_begin_at_zero(exposed: Series) -> None:
    """An increase is seen between two scrapes; a counter that appears with 1 has had none."""
    for alert in ALERTS.values():
        for each in selectors(alert["expr"]):
            if each.name.endswith("_total") and "increase(" in alert["expr"]:
                wanted = {m.label: m.value for m in each.matchers if m.label not in OF_TARGETS}
                assert any(wanted.items() <= labels.items() for labels in exposed[each.name])
