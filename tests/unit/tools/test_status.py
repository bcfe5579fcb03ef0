"""`python -m twisted_bazaar status`: what it shows, where it asks, and how it ends."""

import json
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fakes.cluster_status import (
    catalog_state,
    cluster_status,
    frontend_state,
    partitioned_status,
    replica_state,
)
from twisted_bazaar.__main__ import main
from twisted_bazaar.errors import Unusable
from twisted_bazaar.status.report import ClusterStatus
from twisted_bazaar.tools.status import show
from twisted_bazaar.tools.status_answers import DEFAULT_URL, Place

IMPAIRED = cluster_status(
    frontends=[frontend_state(kept_out_seconds=3.0)],
    catalogs=[catalog_state(), catalog_state(address="127.0.0.1:7009", reachable=False)],
    replicas=[replica_state(1, reachable=False, role="unknown"), replica_state(3)],
)


class Answers(BaseHTTPRequestHandler):
    code = 200
    body = b""
    asked: list[str] = []
    shown: str | None = None

    def do_GET(self) -> None:
        self.asked.append(self.path)
        type(self).shown = self.headers["Authorization"]
        self.send_response(self.code)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Frontend:
    """A front-end that answers `status` to everything."""

    def __init__(self, status: ClusterStatus) -> None:
        self.answers = type("Own", (Answers,), {"asked": []})
        self.says(status)
        self.server = HTTPServer(("127.0.0.1", 0), self.answers)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def says(self, status: ClusterStatus | bytes, code: int = 200) -> None:
        said = status if isinstance(status, bytes) else msgspec.json.encode({"data": status})
        self.answers.body, self.answers.code = said, code


@pytest.fixture
def frontend() -> Iterator[Frontend]:
    frontend = Frontend(cluster_status())
    yield frontend
    frontend.server.shutdown()
    frontend.server.server_close()


def listed(folder: Path, *processes: dict[str, Any]) -> Path:
    (folder / "processes.json").write_text(json.dumps(processes))
    return folder


def test_a_bazaar_that_is_well_is_shown_with_status_0(
    frontend: Frontend, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--url", frontend.url]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"all is well  {frontend.url}, release 0.1.0")
    assert "replica 3 leads in term 4; the last order is number 812" in out
    assert "\x1b" not in out, "there is no terminal"
    assert err == ""


def test_what_is_wrong_is_shown_with_status_2(
    frontend: Frontend, capsys: pytest.CaptureFixture[str]
) -> None:
    frontend.says(IMPAIRED)
    assert main(["status", "--url", frontend.url]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("works, but something is wrong")
    assert [line.strip() for line in lines[1:4]] == [
        "replica 1 does not answer",
        "catalog 127.0.0.1:7009 does not answer",
        "front-end 127.0.0.1:7010 is kept out for 3 s",
    ]
    rows = {line.split()[0]: line for line in lines if line.strip()}
    assert "no answer" in rows["1"]
    assert "no answer" in rows["127.0.0.1:7009"]


def test_several_partitions_are_shown_each_in_a_row(
    frontend: Frontend, capsys: pytest.CaptureFixture[str]
) -> None:
    frontend.says(partitioned_status((3, 0)))
    assert main(["status", "--url", frontend.url]) == 2
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ["0", "3", "4", "812000", "830", "-"] in lines
    assert ["1", "none", "4", "812001", "830", "-"] in lines
    assert ["[b]FishCo", "1", "on", "its", "way"] in lines
    assert "leads 0" in out
    assert "leads none" in out
    assert "leads in term" not in out, "which of them would that be?"


def test_an_address_in_brackets_is_shown_as_it_is(
    frontend: Frontend, capsys: pytest.CaptureFixture[str]
) -> None:
    replica, catalog = replica_state(3, address="[fe80::1]:7003"), "[bold]:7000"
    frontend.says(
        cluster_status(
            replicas=[replica],
            catalogs=[catalog_state(address=catalog)],
            frontends=[frontend_state(address="[red]:7010")],
        )
    )
    assert main(["status", "--url", frontend.url]) == 0
    out = capsys.readouterr().out
    assert all(each in out for each in (replica.address, catalog, "[red]:7010"))


def test_without_a_leader_the_status_is_1(
    frontend: Frontend, capsys: pytest.CaptureFixture[str]
) -> None:
    frontend.says(cluster_status(leader=0))
    assert main(["status", "--url", frontend.url]) == 1
    assert "no order replica leads" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"{}", 200, "answers something else"),
        (b"", 404, "of an earlier release, or none"),
        (b"", 503, "answers with status 503"),
    ],
)
def test_another_answer_is_one_line_and_status_1(
    frontend: Frontend, capsys: pytest.CaptureFixture[str], body: bytes, code: int, says: str
) -> None:
    frontend.says(body, code)
    assert main(["status", "--url", frontend.url]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"status: {frontend.url}/status ")
    assert says in err
    assert err.count("\n") == 1


def test_the_api_key_in_the_environment_is_shown_and_without_one_a_line_says_what_is_missing(
    frontend: Frontend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAZAAR_API_KEY", "bz_mine")
    assert main(["status", "--url", frontend.url]) == 0
    assert frontend.answers.shown == "Bearer bz_mine"
    monkeypatch.delenv("BAZAAR_API_KEY")
    frontend.says(b"{}", 401)
    assert main(["status", "--url", frontend.url]) == 1
    assert frontend.answers.shown is None
    [line] = capsys.readouterr().err.splitlines()
    assert "BAZAAR_API_KEY" in line


@pytest.mark.parametrize("key", ["bz_mi\nne", "bz mine", "ключ"])
def test_what_cannot_be_an_api_key_is_a_line_without_it(
    frontend: Frontend,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key: str,
) -> None:
    monkeypatch.setenv("BAZAAR_API_KEY", "bz_mine\n")
    assert main(["status", "--url", frontend.url]) == 0
    assert frontend.answers.shown == "Bearer bz_mine"
    monkeypatch.setenv("BAZAAR_API_KEY", key)
    assert main(["status", "--url", frontend.url]) == 1
    said = capsys.readouterr().err
    assert said.startswith("status: BAZAAR_API_KEY ")
    assert (said.count("\n"), key in said, "mi" in said) == (1, False, False)


def test_json_is_printed_as_it_was_answered_and_judged_alike(
    frontend: Frontend, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = {"data": {**json.loads(msgspec.json.encode(IMPAIRED)), "new": 1}}
    frontend.says(json.dumps(answer).encode())
    assert main(["status", "--url", frontend.url, "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == answer


def test_with_watch_each_answer_is_printed_below_the_last_where_there_is_no_terminal(
    frontend: Frontend, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: float) -> None:
        if len(frontend.answers.asked) == 3:
            raise KeyboardInterrupt
        frontend.says(*((b"", 503) if len(frontend.answers.asked) == 1 else (IMPAIRED, 200)))

    asked = Namespace(url=frontend.url, data=None, cacert=None, watch=True, json=False)
    assert show(asked, sys.stdout, interrupt) == 2
    out, err = capsys.readouterr()
    assert out.index("all is well") < out.index("works, but something is wrong")
    assert err == f"status: {frontend.url}/status answers with status 503\n"


def test_a_ctrl_c_whose_exception_gets_lost_ends_it_as_well(
    frontend: Frontend, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)

    def interrupt(_: float) -> None:
        assert len(frontend.answers.asked) == 1
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    asked = Namespace(url=frontend.url, data=None, cacert=None, watch=True, json=True)
    assert show(asked, sys.stdout, interrupt) == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_the_front_end_and_process_ids_are_found_in_the_folder(
    frontend: Frontend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = frontend.server.server_port
    at = {"address": f"0.0.0.0:{port}", "internal": "127.0.0.1:7010"}
    data = listed(
        tmp_path,
        {"name": "frontend", "pid": 4711, **at},
        {"name": "order-1", "pid": 4712, "address": "127.0.0.1:7001"},
        {"name": "order-3", "pid": None, "address": "127.0.0.1:7003"},
    )
    assert main(["status", "--data", str(data)]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert rows["127.0.0.1:7010"].endswith("4711")
    assert rows["1"].endswith("4712")
    assert rows["3"].endswith("-")


def test_the_folder_here_is_not_taken_for_that_of_another_front_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "var").mkdir()
    listed(tmp_path / "var", {"name": "frontend", "pid": 1, "address": "127.0.0.1:9"})
    monkeypatch.chdir(tmp_path)
    assert Place(None, None).url() == "http://127.0.0.1:9"
    elsewhere = Place("http://shop.example/", None)
    assert (elsewhere.url(), elsewhere.pids()) == ("http://shop.example", {})


@pytest.mark.parametrize(
    ("listens", "url"),
    [
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("[::1]:80", "http://[::1]:80"),
    ],
)
def test_a_front_end_that_listens_everywhere_is_asked_on_this_machine(
    tmp_path: Path, listens: str, url: str
) -> None:
    data = listed(tmp_path, {"name": "frontend", "pid": 1, "address": listens})
    assert Place(None, data).url() == url


def test_without_a_folder_the_usual_port_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Place(None, None).url() == DEFAULT_URL


def test_while_the_bazaar_is_started_again_the_front_end_is_asked_where_it_was(
    tmp_path: Path,
) -> None:
    data = listed(tmp_path, {"name": "frontend", "pid": 1, "address": "127.0.0.1:9"})
    place = Place(None, data)
    assert place.url() == "http://127.0.0.1:9"
    (data / "processes.json").unlink()
    assert (place.url(), place.pids()) == ("http://127.0.0.1:9", {})


@pytest.mark.parametrize(
    "url", ["ftp://shop.example", "shop.example:8081", "http://", "http://x:y"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(Unusable, match="--url must be such as"):
        Place(url, None)


@pytest.mark.parametrize("content", [None, "{", '{"name": 1}', "[1]"])
def test_a_folder_that_is_named_must_be_that_of_a_bazaar(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "processes.json").write_text(content)
    with pytest.raises(Unusable, match=str(tmp_path)):
        Place(None, tmp_path)


def test_other_commands_do_not_import_what_draws_tables() -> None:
    code = (
        "import sys; from twisted_bazaar.__main__ import main; main(['health'])\n"
        "print([each for each in ('rich', 'twisted', 'grpc') if each in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"BAZAAR_LISTEN": "tcp:1:interface=127.0.0.1"},
        timeout=60,
    )
    assert ran.stdout == "[]\n", ran
