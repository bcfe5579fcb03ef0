"""What deploy/monitoring holds, read as Prometheus and Grafana read it."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from tests import ROOT

FOLDER = ROOT / "deploy" / "monitoring"
CONFIG: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
TARGETS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "targets.yml").read_text())
RULES: list[dict[str, Any]] = [
    rule
    for name in CONFIG["rule_files"]
    for group in yaml.safe_load((FOLDER / name).read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in RULES if "record" in rule}
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana/dashboards/bazaar.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
GRAFANA = {"$__rate_interval": "1m", "$job": "bazaar-.+", "$instance": ".+"}
"""What Grafana puts in for its variables, if all is chosen."""


class Query(NamedTuple):
    """One query of the dashboard."""

    title: str
    """Of its panel."""
    expr: str
    """As Prometheus gets it."""
    legend: str


def queries() -> Iterator[Query]:
    """All queries of the dashboard."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield Query(panel["title"], filled(target["expr"]), target["legendFormat"])
    for each in DASHBOARD["annotations"]["list"]:
        if "expr" in each:
            yield Query(each["name"], filled(each["expr"]), "")


def filled(expr: str) -> str:
    for name, value in GRAFANA.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr


class Matcher(NamedTuple):
    label: str
    how: str
    """`=`, `!=`, `=~` or `!~`."""
    value: str

    def takes(self, value: str) -> bool:
        if "~" in self.how:
            return (re.fullmatch(self.value, value) is not None) == (self.how == "=~")
        return (value == self.value) == (self.how == "=")


class Selector(NamedTuple):
    """A metric that an expression of PromQL reads."""

    name: str
    matchers: tuple[Matcher, ...]


GROUPING_WORDS = "by|without|on|ignoring|group_left|group_right"
WORDS = {"and", "or", "unless", "bool", "offset", *GROUPING_WORDS.split("|")}
STRING = r'"(?:[^"\\]|\\.)*"'
MATCHER = re.compile(rf"(\w+)\s*(=~|!~|!=|=)\s*({STRING})")
GROUPING = re.compile(rf"\b(?:{GROUPING_WORDS})\s*\(([^)]*)\)")
BRACED = rf'\{{((?:[^{{}}"]|{STRING})*)\}}'
# A name after a quotation mark is an argument, as of label_replace.
SELECTOR = re.compile(rf"(?<![\w.\"])([a-zA-Z_:][\w:]*+)\s*+(?:{BRACED})?+(?!\()")


def selectors(expr: str) -> list[Selector]:
    """The metrics that `expr` reads, with their conditions on labels."""
    bare = re.sub(r"\[[^]]*\]", "", GROUPING.sub(" ", expr))
    found = []
    for match in SELECTOR.finditer(bare):
        if match[1] in WORDS:
            continue
        matchers = [
            Matcher(label, how, json.loads(value))
            for label, how, value in MATCHER.findall(match[2] or "")
        ]
        found.append(Selector(match[1], tuple(matchers)))
    return found


def grouped(expr: str) -> set[str]:
    """The labels by which `expr` groups."""
    return {name.strip() for names in GROUPING.findall(expr) for name in names.split(",")} - {""}
