"""`python -m load chaos` on real processes: short trials, and wrong options."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from load.history.records import Fault, read
from tests import ROOT

pytestmark = pytest.mark.slow


def load(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "load", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def clean_stage(ran: "subprocess.CompletedProcess[str]") -> Any:
    """The only stage of a trial, in which nothing was wrong."""
    assert ran.returncode == 0, ran.stdout + ran.stderr
    trial = json.loads(ran.stdout)
    (stage,) = trial["stages"]
    assert trial["clean"]
    assert (stage["violations"], stage["problems"]) == ([], [])
    assert len(stage["logs"]) == 3
    for log in stage["logs"]:
        assert log["sound"]
        assert (log["last_number"], log["digest"]) == (stage["orders"], stage["logs"][0]["digest"])
    return stage


def hits(stage: Any) -> int:
    """How many lookups were answered from caches."""
    rows = stage["figures"]["lookups"]
    return sum(row["answered"] for row in rows if row["source"] == "hit")


def test_no_promise_is_broken_while_processes_are_killed_and_paused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history, report = tmp_path / "history.jsonl", tmp_path / "chaos.html"
    arguments = ["--seconds", "8", "--cut", "0", "--frontends", "2", "--caches", "own", "--json"]
    stage = clean_stage(load("chaos", *arguments, "--history", history, "--html", report))
    assert report.read_text().count("<svg") == 2, "answers and latencies over time"
    assert len(stage["caches"]) == 2
    assert hits(stage) > 20
    faults = sum(row["count"] for row in stage["figures"]["faults"])
    assert faults > 0
    found = {record.what for record in read(history) if type(record) is Fault}
    assert "add a replica" in found
    assert stage["orders"] > 20
    with capsys.disabled():
        print(f"\n  {faults} faults during {stage['orders']} orders: no promise broken")
    judged = load("check", history)
    assert judged.returncode == 0
    assert judged.stdout.startswith("section 1: ")
    assert judged.stdout.endswith(" records, 0 violations\n")


def test_trading_goes_on_while_the_leader_is_cut_off_from_its_followers() -> None:
    ran = load("chaos", "--seconds", "5", "--kill", "0", "--pause", "0", "--json")
    if ran.returncode == 3 and "allows no network namespaces" in ran.stderr:
        pytest.skip(ran.stderr)
    stage = clean_stage(ran)
    (lived,) = stage["figures"]["liveness"]
    assert lived["what"] == "leader without a majority, which can be pinged"
    assert lived["acknowledged"] > 0
    assert hits(stage) > 20


def test_an_old_folder_and_a_diverted_address_break_no_promise(tmp_path: Path) -> None:
    only = ["--only", "old folder of a replica", "--only", "leads to the other"]
    arguments = ["--seconds", "8", "--pause", "0", "--frontends", "1", "--json"]
    ran = load("chaos", *arguments, *only, "--folder", tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    trial = json.loads(ran.stdout)
    assert trial["clean"]
    logs = {stage: tmp_path / stage / "log" for stage in ("processes", "network")}
    assert (
        "suspect, until all other replicas have been asked: the folder is a copy"
        in logs["processes"].read_text()
    )
    found = {record.what for record in read(tmp_path / "history.jsonl") if type(record) is Fault}
    assert "old folder of a replica" in found
    if "allows no network namespaces" not in trial["skipped"]:
        assert "leader's way to a follower leads to the other" in found
        assert "not ours: " in logs["network"].read_text()


def test_no_promise_is_broken_while_the_servers_of_an_engine_fail_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    only = ("--only", "switch over", "--only", "leader", "--only", "kill primary", "--spare=redis")
    ran = load("chaos", "--engine=patroni", "--seconds=30", "--frontends=1", "--json", *only)
    if ran.returncode == 3 and "is not installed" in ran.stderr:
        pytest.skip(ran.stderr)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    trial = json.loads(ran.stdout)
    (stage,) = trial["stages"]
    assert (stage["stage"], stage["partitions"]) == ("engine", 4)
    assert (stage["violations"], stage["problems"]) == ([], [])
    assert [log["replica"] for log in stage["logs"]] == [f"partition {n}" for n in range(4)]
    assert all(log["sound"] for log in stage["logs"])
    assert sum(log["last_number"] for log in stage["logs"]) == stage["orders"] > 20
    assert any("primary" in fault["what"] for fault in stage["timeline"]["faults"])
    with capsys.disabled():
        print(f"\n  {len(stage['timeline']['faults'])} faults, {stage['orders']} orders in rows")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: command"),
        (["chaos", "--seconds=never"], "argument --seconds: must be a number from 1, not 'never'"),
        (["chaos", "--colour=red"], "unrecognized arguments: --colour=red"),
        (
            ["chaos", "--only=earthquake"],
            "there is nothing to do otherwise, and no cut is called so",
        ),
        (
            ["chaos", "--caches=gold"],
            "argument --caches: invalid choice: 'gold' (choose from 'shared', 'own')",
        ),
        (["chaos", "--url=http://127.0.0.1:1"], "--url and --data must be given together"),
        (["chaos", "--folder=load"], "--folder load is not empty"),
        (
            ["chaos", "--url=http://127.0.0.1:1", "--data=load"],
            f"there is no bazaar with its files in {ROOT}/load",
        ),
        (
            ["chaos", "--replicas=4", "--cut=0"],
            "bazaar: --replicas must be an odd number from 1 to 9, not '4'",
        ),
        (
            ["chaos", "--history=load/none/file", "--cut=0"],
            f"--history {ROOT}/load/none/file cannot be written: No such file or directory",
        ),
        (
            ["chaos", "--partitions=2"],
            "--partitions and --beside are for a bazaar with an --engine",
        ),
        (
            ["chaos", "--engine=patroni", "--url=http://127.0.0.1:1", "--data=load"],
            "--engine is for a bazaar that is started here, not with --url",
        ),
        (
            ["chaos", "--engine=mysql://db"],
            "bazaar: --engine (BAZAAR_ENGINE) must be a URL that begins with postgresql://",
        ),
        (["check", "Makefile"], "Makefile: line 1 is no record: "),
        (["check", "none"], "none cannot be read: No such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_run_is_one_line_and_status_3(arguments: list[str], says: str) -> None:
    ran = load(*arguments)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith(f"load: {says}")
    assert ran.stderr.count("\n") == 1
