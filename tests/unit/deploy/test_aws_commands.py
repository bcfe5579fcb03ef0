"""The scripts in the templates of `deploy/aws` are run, or at least parsed by their shell."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.aws_templates import containers, made, resources

BASH = shutil.which("bash") or "bash"
SHELLCHECK = shutil.which("shellcheck", path=Path(sys.executable).parent)
SECRET = "a secret, 'quoted' and $dollared\\n"
SECONDS = 20.0


@pytest.mark.parametrize("variant", ["image", "archive"])
def test_bash_can_read_the_user_data(variant: str) -> None:
    script = made("single", variant)["user data"]
    assert script.startswith("#!/bin/bash\nset -euo pipefail\n")
    read = subprocess.run([BASH, "-n"], input=script, text=True, capture_output=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("variant", ["image", "archive"])
def test_shellcheck_finds_nothing_in_the_user_data(variant: str) -> None:
    if SHELLCHECK is None:
        pytest.skip("shellcheck is not here: its wheel is not for every platform")
    check(made("single", variant)["user data"], "bash")


@pytest.mark.parametrize("name", ["CatalogTask.catalog", "FrontEndTask.front-end"])
def test_shellcheck_finds_nothing_in_an_entry_command(name: str) -> None:
    if SHELLCHECK is None:
        pytest.skip("shellcheck is not here: its wheel is not for every platform")
    container = containers("fargate")[name]
    assert container["EntryPoint"] == ["sh", "-euc"]
    check(container["Command"][0], "sh")


def check(script: str, shell: str) -> None:
    command = [SHELLCHECK or "", "--norc", f"--shell={shell}", "-"]
    said = subprocess.run(command, input=script, text=True, capture_output=True, check=False)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_the_user_data_signals_its_status_to_the_stack(tmp_path: Path) -> None:
    script = made("single", "image")["user data"]
    (trap,) = [line for line in script.splitlines() if line.startswith("trap ")]
    heard = tmp_path / "heard"
    signal = executable(tmp_path / "cfn-signal", f'#!/bin/sh\necho "$@" >{heard}\n')
    trap = trap.replace("/opt/aws/bin/cfn-signal", str(signal))
    for last, status in (("true", "0"), ("(exit 7)", "7"), ("false | true", "1")):
        run = f"set -euo pipefail\n{trap}\n{last}\n"
        subprocess.run([BASH, "-c", run], check=False)
        words = heard.read_text().split()
        assert words[:2] == ["--exit-code", status]
        assert words[words.index("--resource") + 1] == "Ready"


def executable(path: Path, content: str) -> Path:
    path.write_text(content)
    path.chmod(0o755)
    return path


@contextmanager
def answering(answers: list[tuple[int, Any]]) -> Iterator[str]:
    """The URL of a server that gives these answers, one after the other, and then the last."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


def entered(name: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run an entry command, with a twistd that shows what it was given."""
    container = containers("fargate")[name]
    commands = folder / "bin"
    commands.mkdir()
    executable(
        commands / "twistd",
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "print(json.dumps({'arguments': sys.argv[1:], 'environment': dict(os.environ)}))\n",
    )
    (commands / "python3").symlink_to(sys.executable)
    environment = {
        "PATH": f"{commands}:/usr/bin:/bin",
        "CLUSTER_SECRET": SECRET,
        "BAZAAR_SECRET_FILE": str(folder / "secret"),
        **more,
    }
    words = [*container["EntryPoint"], *container["Command"]]
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.mark.parametrize(
    ("name", "service"),
    [("CatalogTask.catalog", "bazaar-catalog"), ("FrontEndTask.front-end", "bazaar-frontend")],
)
def test_the_secret_is_in_a_file_that_only_the_service_can_read(
    tmp_path: Path, name: str, service: str
) -> None:
    with answering([(200, {"Networks": [{"IPv4Addresses": ["10.42.10.7"]}]})]) as url:
        ended = entered(name, tmp_path, ECS_CONTAINER_METADATA_URI_V4=url)
    assert (ended.returncode, ended.stderr) == (0, "")
    shown = json.loads(ended.stdout)
    assert shown["arguments"] == ["--nodaemon", "--pidfile=", service]
    secret = Path(shown["environment"]["BAZAAR_SECRET_FILE"])
    assert secret.read_text() == SECRET
    assert secret.stat().st_mode & 0o777 == 0o600
    assert SECRET not in shown["environment"].values()


def test_a_front_end_says_at_which_address_ecs_has_put_it(tmp_path: Path) -> None:
    # The shape is that of the metadata endpoint, version 4, for a container on Fargate.
    answer = {
        "Name": "front-end",
        "Networks": [
            {
                "NetworkMode": "awsvpc",
                "IPv4Addresses": ["10.42.10.7"],
                "IPv4SubnetCIDRBlock": "10.42.10.0/24",
                "PrivateDNSName": "ip-10-42-10-7.eu-central-1.compute.internal",
            }
        ],
    }
    with answering([(200, answer)]) as url:
        ended = entered("FrontEndTask.front-end", tmp_path, ECS_CONTAINER_METADATA_URI_V4=url)
    assert json.loads(ended.stdout)["environment"]["BAZAAR_ADVERTISE"] == "10.42.10.7:8091"


@pytest.mark.parametrize("answer", [(500, {}), (200, {"Networks": []})])
def test_a_front_end_that_does_not_know_its_address_does_not_start(
    tmp_path: Path, answer: tuple[int, Any]
) -> None:
    with answering([answer]) as url:
        ended = entered("FrontEndTask.front-end", tmp_path, ECS_CONTAINER_METADATA_URI_V4=url)
    assert ended.returncode != 0
    assert ended.stdout == ""


def test_the_log_says_why_the_bazaar_is_not_ready_in_words_that_are_counted() -> None:
    (metric,) = resources("fargate", "AWS::Logs::MetricFilter").values()
    counted = metric["FilterPattern"].strip('"')
    container = containers("fargate")["FrontEndTask.readiness"]
    assert container["EntryPoint"] == ["python3", "-uc"]
    # As it stands, but without the ten seconds in between.
    script = container["Command"][0].replace("time.sleep(10)", "time.sleep(0.01)")
    assert "time.sleep(0.01)" in script
    failure = {"error": {"code": 503, "message": "no order replica leads"}}
    with answering([(200, {"data": "ready"}), (503, failure), (200, {})]) as url:
        words = [sys.executable, "-uc", script]
        environment = {**os.environ, "READYZ": f"{url}/readyz"}
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as asking:
            try:
                assert asking.stdout is not None
                said = asking.stdout.readline()
            finally:
                asking.kill()
            rest = asking.stdout.read()
    assert counted in said
    assert "no order replica leads" in said
    # Nothing was said while it was ready.
    assert rest == ""


def test_the_log_says_so_when_the_front_end_does_not_answer() -> None:
    script = containers("fargate")["FrontEndTask.readiness"]["Command"][0]
    # The port of a server that is gone.
    with answering([(200, {})]) as url:
        pass
    environment = {**os.environ, "READYZ": f"{url}/readyz"}
    words = [sys.executable, "-uc", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as asking:
        try:
            assert asking.stdout is not None
            assert asking.stdout.readline().startswith("not ready: ")
        finally:
            asking.kill()


def test_alarms_use_metrics_that_exist() -> None:
    (metric,) = resources("fargate", "AWS::Logs::MetricFilter").values()
    (counted,) = metric["MetricTransformations"]
    alarms = resources("fargate", "AWS::CloudWatch::Alarm")
    watched = alarms["NotReadyAlarm"]
    assert (watched["Namespace"], watched["MetricName"]) == (
        counted["MetricNamespace"],
        counted["MetricName"],
    )
    assert metric["LogGroupName"] == {"Ref": "Logs"}
    logged = containers("fargate")["FrontEndTask.readiness"]["LogConfiguration"]["Options"]
    assert logged["awslogs-group"] == metric["LogGroupName"]
    assert alarms["UnhealthyAlarm"]["MetricName"] == "UnHealthyHostCount"
    assert alarms["MissingAlarm"]["TreatMissingData"] == "breaching"
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": "Alarms"}]
