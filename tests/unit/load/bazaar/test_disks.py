"""Disks that are made slow."""

import os
import sys
from pathlib import Path
from subprocess import check_output

from load.bazaar.disks import Disks


def test_disks_are_slow_in_processes_of_their_environment(tmp_path: Path) -> None:
    disks = Disks(tmp_path / "slow")
    timed = (
        "import os, time; file = os.open('log', os.O_CREAT | os.O_WRONLY);"
        "began = time.monotonic(); os.fdatasync(file); print(time.monotonic() - began >= 0.3)"
    )

    def is_slow() -> bool:
        command = [sys.executable, "-Pc", timed]
        environment = {**os.environ, **disks.environment}
        return check_output(command, env=environment, cwd=tmp_path, text=True) == "True\n"

    disks.slow(0.3)
    assert is_slow()
    disks.restore()
    disks.restore()
    assert not is_slow()
