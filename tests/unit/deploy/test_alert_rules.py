"""Each alert fires on series that show its fault, after its time, and ends with the fault."""

import shutil
import subprocess
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.fakes.monitoring_files import ALERTS, CONFIG, FOLDER

INTERVAL_SECONDS = 5
A_MINUTE = 60 // INTERVAL_SECONDS
FRONTEND = 'job="bazaar-frontend", instance="f"'
CATALOG = 'job="bazaar-catalog", instance="c"'
ORDER = 'job="bazaar-order", instance="o"'
BOUNDS = ("0.05", "0.1", "0.25", "0.5", "1.0", "+Inf")
Part = tuple[float, float]
"""A value, and for how many minutes."""


def gauge(*parts: Part) -> str:
    """Values, one after the other."""
    return " ".join(str(value) for value, minutes in parts for _ in range(int(minutes * A_MINUTE)))


def counter(*parts: Part) -> str:
    """A counter that grows by so much a second."""
    steps = [v * INTERVAL_SECONDS for v, minutes in parts for _ in range(int(minutes * A_MINUTE))]
    return " ".join(map(str, accumulate(steps)))


def durations(name: str, labels: str, *parts: Part) -> dict[str, str]:
    """A histogram of ten durations a second, all of which are as long as `parts` say."""
    return {
        f'{name}_bucket{{{labels}, le="{bound}"}}': counter(
            *((10.0 if seconds <= float(bound) else 0.0, minutes) for seconds, minutes in parts)
        )
        for bound in BOUNDS
    }


class Case(NamedTuple):
    """Series on which an alert is silent at some times, and fires at others."""

    alert: str
    series: dict[str, str]
    silent: tuple[str, ...]
    fires: str
    instance: str = ""


def turned(alert: str, series: str, good: float, bad: float, instance: str) -> Case:
    """One whose gauge is good for a minute, bad for two, and good again."""
    wait = ALERTS[alert]["for"]
    early = f"{60 + int(wait[:-1]) * (60 if wait.endswith('m') else 1) - 5}s"
    values = gauge((good, 1), (bad, 2), (good, 1))
    return Case(alert, {series: values}, ("55s", early, "3m5s"), "2m55s", instance)


RATE = "bazaar_http_requests_total"
SLOW_PARTS = ((0.04, 6.0), (0.9, 3.0), (0.04, 10.0))
SLOW_TIMES = ("5m", "18m"), "9m"

KEPT_OUT = {
    "f": f"bazaar_frontend_kept_out{{{FRONTEND}}}",
    "c": f"bazaar_catalog_subscribers_kept_out{{{CATALOG}}}",
    "o": f"bazaar_catalog_kept_out{{{ORDER}}}",
}


def kept_out(instance: str) -> Case:
    """Once for a moment, and later every few seconds."""
    often = " ".join(["1 0 0"] * (2 * A_MINUTE // 3))
    values = " ".join([gauge((0, 1)), "1", gauge((0, 1)), often, gauge((0, 2))])
    return Case("BazaarKeptOut", {KEPT_OUT[instance]: values}, ("1m30s", "6m"), "4m", instance)


CASES = [
    turned("BazaarNoLeader", f'bazaar_raft_role{{{ORDER}, role="leader"}}', 1, 0, ""),
    Case(
        "BazaarNoLeader",
        {f'bazaar_raft_role{{{ORDER}, role="leader"}}': gauge((1, 1)) + " stale"},
        ("55s",),
        "2m",
    ),
    turned("BazaarFrontendNotReady", f"bazaar_ready{{{FRONTEND}}}", 1, 0, "f"),
    Case(
        "BazaarOutcomesUnknown",
        {f'bazaar_trades_total{{{FRONTEND}, outcome="unknown"}}': counter((0, 2), (1, 1), (0, 9))},
        ("1m55s", "9m"),
        "3m",
        "f",
    ),
    Case(
        "BazaarHttpErrors",
        {
            f'{RATE}{{{FRONTEND}, code="200", route="/orders"}}': counter((10, 20)),
            f'{RATE}{{{FRONTEND}, code="503", route="/orders"}}': counter((0, 6), (1, 4), (0, 10)),
            f'{RATE}{{{FRONTEND}, code="503", route="/readyz"}}': counter((10, 20)),
        },
        ("6m", "19m"),
        "9m",
        "f",
    ),
    Case(
        "BazaarTradesSlow",
        durations(
            "bazaar_http_request_duration_seconds",
            f'{FRONTEND}, route="/orders", method="POST"',
            *SLOW_PARTS,
        ),
        *SLOW_TIMES,
        "f",
    ),
    turned(
        "BazaarCertificateExpires",
        f'bazaar_certificate_expiry_seconds{{{CATALOG}, role="ca"}}',
        *(15 * 86_400, 13 * 86_400, "c"),
    ),
    turned(
        "BazaarCertificateExpires",
        f"bazaar_http_certificate_expiry_seconds{{{FRONTEND}}}",
        *(15 * 86_400, 13 * 86_400, "f"),
    ),
    turned("BazaarReplicaSuspect", f"bazaar_raft_suspect{{{ORDER}}}", 0, 1, "o"),
    turned(
        "BazaarFollowerLags", f'bazaar_raft_follower_lag_seconds{{{ORDER}, peer="2"}}', 4, 6, "o"
    ),
    Case(
        "BazaarElectionsFrequent",
        {
            f"bazaar_raft_term{{{ORDER}}}": gauge((1, 5), (2, 1), (3, 2), (4, 20)),
            # A replica that comes back after a long time and has an old term counts for nothing.
            'bazaar_raft_term{job="bazaar-order", instance="p"}': gauge((1, 25)),
        },
        ("5m30s", "7m30s", "20m"),
        "9m",
    ),
    Case(
        "BazaarDiskSlow",
        durations("bazaar_disk_write_seconds", ORDER, *SLOW_PARTS),
        *SLOW_TIMES,
        "o",
    ),
    Case(
        "BazaarArchiveFails",
        {f"bazaar_archive_failing_seconds{{{ORDER}}}": gauge((0, 1), (30, 7), (0, 1))},
        ("55s", "5m55s", "8m5s"),
        "7m55s",
        "o",
    ),
    turned("BazaarNoCatalogLease", f"bazaar_catalog_lease_held{{{CATALOG}}}", 1, 0, ""),
    turned("BazaarFrontendWithoutLease", f"bazaar_frontend_lease_held{{{FRONTEND}}}", 1, 0, "f"),
    *map(kept_out, KEPT_OUT),
    turned("BazaarCacheDown", f"bazaar_cache_breaker_open{{{FRONTEND}}}", 0, 1, "f"),
    turned("BazaarProcessDown", f"up{{{ORDER}}}", 1, 0, "o"),
    Case(
        "BazaarRestarts",
        {f"process_start_time_seconds{{{ORDER}}}": gauge((10, 5), (20, 1), (30, 1), (40, 25))},
        ("5m", "6m30s", "25m"),
        "8m",
        "o",
    ),
    Case(
        "BazaarEventLoopBlocked",
        durations("bazaar_event_loop_lag_seconds", ORDER, *SLOW_PARTS),
        *SLOW_TIMES,
        "o",
    ),
    Case(
        "BazaarLogLinesDropped",
        {f"bazaar_log_lines_dropped_total{{{ORDER}}}": counter((0, 2), (1, 1), (0, 9))},
        ("1m55s", "9m"),
        "3m",
        "o",
    ),
]


def rule_test(cases: list[Case]) -> dict[str, Any]:
    """One test, as promtool reads it, of cases that share no series."""
    checks = []
    for case in cases:
        chosen = f'alertname="{case.alert}", alertstate="firing", instance="{case.instance}"'
        labels = f'{{instance="{case.instance}"}}' if case.instance else "{}"
        expected = [(at, []) for at in case.silent]
        expected.append((case.fires, [{"labels": labels, "value": 1}]))
        expr = f"group by (instance) (ALERTS{{{chosen}}})"
        checks += [{"expr": expr, "eval_time": at, "exp_samples": some} for at, some in expected]
    return {
        "interval": f"{INTERVAL_SECONDS}s",
        "input_series": [
            {"series": name, "values": values}
            for case in cases
            for name, values in case.series.items()
        ],
        "promql_expr_test": checks,
    }


def rule_tests() -> list[dict[str, Any]]:
    """As few as possible: each takes promtool a fifth of a second."""
    groups: list[list[Case]] = []
    for case in CASES:
        free = [g for g in groups if not any(case.series.keys() & each.series for each in g)]
        if free:
            free[0].append(case)
        else:
            groups.append([case])
    return [rule_test(group) for group in groups]


def test_an_alert_fires_on_its_fault_after_its_time_and_ends_with_it(tmp_path: Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: it comes with Debian's package prometheus")
    path = tmp_path / "tests.yml"
    whole = {
        "rule_files": [str(FOLDER / name) for name in CONFIG["rule_files"]],
        "evaluation_interval": CONFIG["global"]["evaluation_interval"],
        "tests": rule_tests(),
    }
    path.write_text(yaml.safe_dump(whole))
    ran = subprocess.run([program, "test", "rules", path], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_alert_is_without_such_a_test() -> None:
    assert {case.alert for case in CASES} == set(ALERTS)
