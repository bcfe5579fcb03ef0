"""One process at a time in a folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twisted_bazaar.errors import Unusable
from twisted_bazaar.folder import FolderInUse, claim

HOLDER = """
import subprocess, sys
from pathlib import Path
from twisted_bazaar.folder import claim
held = claim(Path(sys.argv[1]))
child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, close_fds=False)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_claim_makes_the_folder_and_says_whose_it_is(tmp_path: Path) -> None:
    held = claim(tmp_path / "deep" / "down")
    assert (tmp_path / "deep" / "down" / "lock").read_text() == f"{os.getpid()}\n"
    held.release()


def test_a_released_folder_can_be_claimed_again(tmp_path: Path) -> None:
    held = claim(tmp_path)
    held.release()
    held.release()
    claim(tmp_path).release()


def test_a_second_claim_is_refused_in_one_line_with_the_holder(tmp_path: Path) -> None:
    held = claim(tmp_path)
    with pytest.raises(FolderInUse) as refusal:
        claim(tmp_path)
    assert str(refusal.value) == f"folder {tmp_path} is in use by process {os.getpid()}"
    held.release()


def test_a_claim_ends_with_its_process_however_that_ends_and_not_with_its_children(
    tmp_path: Path,
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    grandchild = int(holder.stdout.readline())
    try:
        with pytest.raises(FolderInUse, match=f"by process {holder.pid}$"):
            claim(tmp_path)
        holder.kill()
        holder.communicate()
        claim(tmp_path).release()
    finally:
        holder.kill()
        os.kill(grandchild, signal.SIGKILL)


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(Unusable, match=rf"^folder {wrong} cannot be used: [A-Z][a-z ]+$"):
            claim(wrong)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Unusable, match=r"cannot be used: Permission denied$"):
        claim(tmp_path)
