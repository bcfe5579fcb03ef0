"""The status of a real bazaar, while its processes are killed and paused."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .bazaar import Bazaar
from .terminal import Terminal
from .waiting import wait_until

COMMAND = [sys.executable, "-m", "twisted_bazaar", "status"]
NOTICED_SECONDS = 10.0
START_SECONDS = 30.0
SLOW_SECONDS = 2.0
"""An answer in less has not waited for the deadline of a client, on a busy machine as well."""


def status(bazaar: Bazaar) -> Any:
    answer = bazaar.request("GET", "/status")
    assert answer.status == 200
    return answer.body["data"]


def wait_for(bazaar: Bazaar, happened: Any, what: str) -> Any:
    def seen() -> Any:
        found = status(bazaar)
        return found if happened(found) else None

    return wait_until(seen, what, NOTICED_SECONDS, lambda: f"{status(bazaar)}\n{bazaar.tail()}")


def is_well(found: Any) -> bool:
    replicas = found["replicas"]
    return (
        found["ready"]
        and all(each["reachable"] and each["behind"] == 0 for each in replicas)
        and all(each["lease_seconds"] > 0 for each in found["frontends"])
    )


def shown(bazaar: Bazaar) -> tuple[int, list[str]]:
    """Exit status and lines of the command."""
    ran = subprocess.run(
        [*COMMAND, f"--data={bazaar.data}"], capture_output=True, text=True, timeout=START_SECONDS
    )
    assert ran.stderr == "", ran
    return ran.returncode, ran.stdout.splitlines()


def row(lines: list[str], first: str) -> str:
    [found] = [line for line in lines if line.split()[:1] == [first]]
    return found


@contextmanager
def paused(bazaar: Bazaar, *names: str) -> Iterator[None]:
    pids = [bazaar.kill(name, signal.SIGSTOP) for name in names]
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    wait_for(bazaar, is_well, "all is well again")


def test_all_is_well_once_it_runs(bazaar: Bazaar) -> None:
    body = {"name": "GameStart", "quantity": 1, "type": "buy"}
    number = bazaar.request("POST", "/orders", body).body["data"]["transaction_number"]
    found = wait_for(
        bazaar, lambda found: is_well(found) and found["last_number"] == number, "all is well"
    )
    processes = bazaar.processes()
    assert [each["address"] for each in found["replicas"]] == [
        processes[f"order-{id}"]["address"] for id in (1, 2, 3)
    ]
    leaders = [each["id"] for each in found["replicas"] if each["role"] == "leader"]
    assert leaders == [found["leader"]]
    [catalog], [frontend] = found["catalogs"], found["frontends"]
    assert catalog["serving"]
    assert catalog["address"] == processes["catalog"]["address"]
    assert (frontend["self"], frontend["address"]) == (True, processes["frontend"]["internal"])
    figures = found["figures"]
    assert figures["requests"] > figures["trades"]["placed"] == number
    assert sum(figures["seconds"]["trade"]) == number
    code, lines = shown(bazaar)
    assert (code, lines[0].partition("  ")[0]) == (0, "all is well")
    # Orders a second, median and p99.
    assert len(row(lines, "orders").split()) == 6
    for id in "1", "2", "3":
        assert row(lines, id).endswith(str(processes[f"order-{id}"]["pid"]))


def test_a_paused_catalog_is_waited_for_half_a_second_and_the_answer_says_so(
    bazaar: Bazaar,
) -> None:
    took = []

    def missed() -> Any:
        began = time.monotonic()
        found = status(bazaar)
        took.append(time.monotonic() - began)
        return None if found["catalogs"][0]["reachable"] else found

    with paused(bazaar, "catalog"):
        found = wait_until(missed, "the catalog is missed", NOTICED_SECONDS, bazaar.tail)
        # The first answer to say so has waited for it.
        assert 0.4 < max(took) < SLOW_SECONDS
        assert found["catalogs"] == [
            {
                "address": bazaar.processes()["catalog"]["address"],
                "reachable": False,
                **dict.fromkeys(("serving", "lease_seconds", "applied_index", "behind")),
            }
        ]
        assert (found["ready"], found["problem"]) == (False, "no catalog answers")
        code, lines = shown(bazaar)
        assert code == 2, lines
        assert "no answer" in row(lines, bazaar.processes()["catalog"]["address"])


def test_a_killed_replica_is_shown_and_works_on_with_status_2(bazaar: Bazaar) -> None:
    # The process that would start it again is paused meanwhile.
    os.kill(bazaar.pid, signal.SIGSTOP)
    try:
        old = bazaar.kill("order-1")
        wait_for(bazaar, lambda found: not found["replicas"][0]["reachable"], "it is missed")
        code, lines = shown(bazaar)
    finally:
        os.kill(bazaar.pid, signal.SIGCONT)
    assert code == 2, lines
    assert lines[1].strip() == "replica 1 does not answer"
    assert "no answer" in row(lines, "1")
    bazaar.wait_restarted("order-1", old)
    wait_for(bazaar, is_well, "all is well again")


def test_without_a_majority_the_status_is_1(bazaar: Bazaar) -> None:
    with paused(bazaar, "order-1", "order-2"):
        wait_for(bazaar, lambda found: found["leader"] == 0, "no replica leads")
        code, lines = shown(bazaar)
        assert code == 1, lines
        assert lines[0].startswith("no trade is possible")


def test_the_command_watches_on_while_the_front_end_is_started_again(bazaar: Bazaar) -> None:
    with Terminal([*COMMAND, f"--data={bazaar.data}", "--watch"]) as terminal:
        terminal.read_until("all is well", START_SECONDS)
        os.kill(bazaar.pid, signal.SIGSTOP)
        old = bazaar.kill("frontend")
        seen = terminal.read_until("asking again", NOTICED_SECONDS)
        assert "Traceback" not in seen
        os.kill(bazaar.pid, signal.SIGCONT)
        bazaar.wait_restarted("frontend", old)
        terminal.read_until("all is well", START_SECONDS)
        assert terminal.press_ctrl_c() == 0
        assert "Traceback" not in terminal.rest()
