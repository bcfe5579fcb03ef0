"""The authority of a bazaar is replaced, in three steps, while it trades."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from twisted_bazaar.security.folder import CertificateFolder

from .bazaar import Bazaar
from .waiting import wait_until

pytestmark = pytest.mark.slow

Start = Callable[..., Bazaar]
READERS = 5
"""The front-end, the catalog and three replicas."""


def rotate(bazaar: Bazaar, step: str) -> None:
    folder = str(bazaar.data / "certificates")
    command = [sys.executable, "-m", "twisted_bazaar", "certificates", "rotate", folder, step]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def trade(bazaar: Bazaar) -> int:
    trade = {"name": "GameStart", "quantity": 1, "type": "buy"}
    answer = bazaar.request("POST", "/orders", trade)
    assert answer.status == 200, answer
    number: int = answer.body["data"]["transaction_number"]
    return number


def test_trades_go_on_in_each_step_and_a_killed_replica_comes_back_after_the_last(
    start_bazaar: Start,
) -> None:
    bazaar = start_bazaar("--cache=memory")
    folder = CertificateFolder(bazaar.data / "certificates")
    (former,) = folder.authorities()
    numbers = [trade(bazaar)]
    for done, step in enumerate(("begin", "issue", "end"), 1):
        rotate(bazaar, step)
        wait_until(
            lambda done=done: bazaar.log.read_text().count("were read again") >= done * READERS,
            f"all have read the files after {step}",
            why_not=bazaar.tail,
        )
        numbers.append(trade(bazaar))
    assert numbers == [1, 2, 3, 4]
    assert folder.authorities() != (former,)
    assert len(folder.authorities()) == 1
    # What connects from now on trusts the new authority only.
    bazaar.kill("order-1")

    def all_agree() -> bool:
        rows = bazaar.request("GET", "/replicas").body["data"]
        return all(row["reachable"] and row["last_number"] == 4 for row in rows)

    wait_until(all_agree, "all replicas are reached again", 30, why_not=bazaar.tail)
    assert trade(bazaar) == 5
