"""A real Prometheus that scrapes a bazaar under test, with the rules of deploy/monitoring."""

import http.client
import json
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import pytest
import yaml

from tests.fakes.monitoring_files import CONFIG, FOLDER
from twisted_bazaar.local.ports import Ports

from .waiting import wait_until

FASTER = 20
"""By how much the times of rules and configuration are shortened."""
SCRAPE_SECONDS = 0.5
START_SECONDS = 30.0
REQUEST_SECONDS = 10.0
UNITS = {"s": 1, "m": 60, "h": 3600}
DURATION = re.compile(r"(\d+)([smh])")


def shortened(duration: str) -> str:
    """A duration as it is here."""
    match = DURATION.fullmatch(duration)
    assert match is not None, duration
    return f"{int(match[1]) * UNITS[match[2]] * 1000 // FASTER}ms"


def shortened_ranges(expr: str) -> str:
    """An expression whose ranges, such as `[5m]`, are as they are here."""
    return re.sub(r"(?<=\[)\d+[smh](?=\])", lambda match: shortened(match[0]), expr)


class Prometheus:
    """Prometheus on a free port, with its data in `folder`. Use it as a context manager."""

    def __init__(
        self, folder: Path, targets: Mapping[str, list[str]], certificates: Path | None = None
    ) -> None:
        """`targets` are the addresses that it scrapes, by job, with the certificate of `monitor` in
        the folder `certificates`; None: they speak plain text."""
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("Prometheus is not installed: Debian has it as the package prometheus")
        self._program = program
        self._folder = folder
        self._targets = targets
        self._certificates = certificates
        self._ports = Ports()
        self._address = self._ports.reserve(0)
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "prometheus.log"

    def __enter__(self) -> Self:
        self._configure()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self._folder}/prometheus.yml",
                    f"--storage.tsdb.path={self._folder}/series",
                    f"--web.listen-address={self._address}",
                    "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._answers, "Prometheus answers", START_SECONDS, self._log.read_text)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._ports.release()

    def query(self, expr: str) -> list[dict[str, Any]]:
        """What `expr` is now: `metric` and `value` of each series. Raises AssertionError if
        Prometheus does not understand it."""
        result = self._ask("/api/v1/query", query=expr)["result"]
        assert isinstance(result, list)
        return result

    def alerts(self) -> list[dict[str, Any]]:
        """What is pending or fires: `labels`, `annotations`, `state` and more of each."""
        alerts = self._ask("/api/v1/alerts")["alerts"]
        assert isinstance(alerts, list)
        return alerts

    def rules(self) -> list[dict[str, Any]]:
        """All rules, with `health` and `lastError`."""
        return [rule for group in self._ask("/api/v1/rules")["groups"] for rule in group["rules"]]

    def _configure(self) -> None:
        (self._folder / "targets.yml").write_text(
            yaml.safe_dump(
                [{"labels": {"job": job}, "targets": at} for job, at in self._targets.items()]
            )
        )
        interval = f"{int(SCRAPE_SECONDS * 1000)}ms"
        names = "scrape_interval", "scrape_timeout", "evaluation_interval"
        times = dict.fromkeys(names, interval)
        scraped = [each for each in CONFIG["scrape_configs"] if each["job_name"] == "bazaar"]
        if self._certificates is None:
            tls = ("scheme", "tls_config")
            scraped = [{k: v for k, v in each.items() if k not in tls} for each in scraped]
        else:
            of = {"ca_file": "ca.crt", "cert_file": "monitor.crt", "key_file": "monitor.key"}
            files = {name: str(self._certificates / file) for name, file in of.items()}
            scraped = [{**each, "tls_config": {**each["tls_config"], **files}} for each in scraped]
        config = {**CONFIG, "global": {**CONFIG["global"], **times}, "scrape_configs": scraped}
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        for name in CONFIG["rule_files"]:
            groups = yaml.safe_load((FOLDER / name).read_text())
            for group in groups["groups"]:
                for rule in group["rules"]:
                    rule["expr"] = shortened_ranges(rule["expr"])
                    if "for" in rule:
                        rule["for"] = shortened(rule["for"])
            (self._folder / name).write_text(yaml.safe_dump(groups))

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self._get("/-/ready")[0] == 200
        except OSError:
            return False

    def _ask(self, path: str, **parameters: str) -> Any:
        status, text = self._get(f"{path}?{urlencode(parameters)}")
        assert status == 200, f"{parameters}: {text.decode()}"
        return json.loads(text)["data"]

    def _get(self, path: str) -> tuple[int, bytes]:
        host, port = self._address.host, self._address.port
        connection = http.client.HTTPConnection(host, port, timeout=REQUEST_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class Alarms:
    """Notes when each alert begins and ends to fire. Use it as a context manager."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.firing: frozenset[str] = frozenset()
        """The names of the alerts that fire now."""
        self.texts: dict[str, dict[str, str]] = {}
        """The last annotations of each alert that has fired."""
        self._prometheus = prometheus
        self._begun: dict[str, list[float]] = {}
        self._ended: dict[str, list[float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alarms")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def first(self, name: str, since: float) -> float | None:
        """How long after `since` the alert first fired; None: it has not."""
        times = [at for at in self._begun.get(name, []) if at >= since]
        return times[0] - since if times else None

    def over(self, name: str, since: float) -> float | None:
        """How long after `since` the alert, which fired, last ended."""
        times = [at for at in self._ended.get(name, []) if at >= since]
        return times[-1] - since if times and name not in self.firing else None

    def _run(self) -> None:
        while not self._stop.wait(SCRAPE_SECONDS / 5):
            alerts = [each for each in self._prometheus.alerts() if each["state"] == "firing"]
            names = frozenset(each["labels"]["alertname"] for each in alerts)
            now = time.monotonic()
            for name in names - self.firing:
                self._begun.setdefault(name, []).append(now)
            for name in self.firing - names:
                self._ended.setdefault(name, []).append(now)
            self.texts |= {each["labels"]["alertname"]: each["annotations"] for each in alerts}
            self.firing = names
