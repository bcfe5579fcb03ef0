"""deploy/monitoring: what Prometheus and Grafana are given agrees with itself, and says enough."""

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT
from tests.fakes.monitoring_files import (
    ALERTS,
    CONFIG,
    DASHBOARD,
    FOLDER,
    PANELS,
    RECORDED,
    TARGETS,
    Matcher,
    Selector,
    grouped,
    queries,
    selectors,
)
from twisted_bazaar.security.authority import INSIDE
from twisted_bazaar.security.folder import CertificateFolder, Issuing
from twisted_bazaar.security.roles import Kind, Role

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
PROVISIONING = FOLDER / "grafana" / "provisioning"


# What tests read out of expressions.


def test_the_metrics_of_an_expression_are_found_with_their_conditions() -> None:
    expr = 'sum by (a, le) (rate(b_bucket{c=~"5..", d!="{e}"}[5m])) > bool f or vector(0) == g:h'
    conditions = (Matcher("c", "=~", "5.."), Matcher("d", "!=", "{e}"))
    expected = [Selector("b_bucket", conditions), Selector("f", ()), Selector("g:h", ())]
    assert selectors(expr) == expected
    assert grouped(expr) == {"a", "le"}


# Prometheus.


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: it comes with Debian's package prometheus")
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_promtool_accepts_configuration_targets_and_rules(tmp_path: Path) -> None:
    # It looks for the files of certificates, too.
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "monitor").mkdir()
    folder = CertificateFolder(tmp_path / "monitor")
    folder.keep(lambda: "3f9c12ab", [Role(Kind.MONITOR)], Issuing(time.time(), lambda: 7))
    config = tmp_path / "prometheus.yml"
    text = config.read_text()
    config.write_text(text.replace("/etc/certificates/monitor", str(folder.path)))
    promtool("check", "config", config)
    (scraped,) = [each for each in CONFIG["scrape_configs"] if each["job_name"] == "bazaar"]
    assert scraped["tls_config"]["server_name"] == INSIDE


def test_every_process_of_the_compose_file_is_scraped_where_it_serves_its_metrics() -> None:
    scraped = {(each["labels"]["job"], at) for each in TARGETS for at in each["targets"]}
    expected = set()
    for name, service in COMPOSE.items():
        if "environment" in service and service.get("command", [""])[0].startswith("bazaar-"):
            given = service["environment"]
            at = given.get("BAZAAR_INTERNAL", given["BAZAAR_LISTEN"])
            expected.add((service["command"][0], f"{name}:{at.rpartition(':')[2]}"))
    assert scraped == expected


def test_an_alert_says_how_bad_it_is_and_where_its_remedy_is() -> None:
    for name, alert in ALERTS.items():
        assert alert["labels"].keys() == {"severity"}, name
        assert alert["labels"]["severity"] in ("critical", "warning"), name
        notes = alert["annotations"]
        assert notes.keys() == {"summary", "description", "runbook"}, name
        assert notes["runbook"] == f"docs/monitoring.md#{name.lower()}"
        assert re.search(rf"^### {name}$", PAGE, re.M), f"docs/monitoring.md has no {name}"


def test_the_page_describes_no_alert_that_is_not_there() -> None:
    assert set(re.findall(r"^### (Bazaar\w+)$", PAGE, re.M)) == set(ALERTS)


def test_an_alert_names_only_labels_that_its_expression_leaves() -> None:
    for name, alert in ALERTS.items():
        used = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
        left = grouped(alert["expr"]) or {"job", "instance", "peer", "role"}
        whole = re.match(r"absent\(|m\w+_over_time\(bazaar:", alert["expr"])
        assert not used if whole else used <= left, name


def test_what_is_recorded_is_used() -> None:
    used = {s.name for alert in ALERTS.values() for s in selectors(alert["expr"])}
    used |= {s.name for query in queries() for s in selectors(query.expr)}
    assert RECORDED.keys() <= used


# Grafana.


def test_a_dashboard_panel_has_a_title_of_its_own_and_a_place_of_its_own() -> None:
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert len(set(titles)) == len(titles)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(titles)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_query_follows_the_choice_of_processes() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            for each in selectors(target["expr"]):
                chosen = {(matcher.label, matcher.value) for matcher in each.matchers}
                free = each.name == "ALERTS"
                assert free or chosen >= {("job", "$job"), ("instance", "$instance")}, target


def test_every_query_asks_the_chosen_prometheus() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in PANELS:
        assert panel["datasource"] == chosen, panel["title"]
        assert all(target["datasource"] == chosen for target in panel["targets"]), panel["title"]


def test_grafana_finds_dashboard_and_prometheus_where_compose_puts_them() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in COMPOSE
    assert source["jsonData"]["timeInterval"] == CONFIG["global"]["scrape_interval"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards/bazaar.yml").read_text())["providers"]
    mounted = dict(each.split(":")[:2] for each in COMPOSE["grafana"]["volumes"])
    assert mounted["./deploy/monitoring/grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./deploy/monitoring/grafana/provisioning"] == "/etc/grafana/provisioning"
    home = COMPOSE["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/bazaar.json"


def test_nobody_can_change_the_dashboard() -> None:
    given = COMPOSE["grafana"]["environment"]
    assert given["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert given["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
