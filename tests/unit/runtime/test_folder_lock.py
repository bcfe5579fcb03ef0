"""One process at a time in a folder."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import capturedLogs, formatEvent, globalLogPublisher

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.folder_lock import claim

HOLDER = """
import subprocess, sys
from pathlib import Path
from twisted_bazaar.runtime.folder_lock import claim
held = claim(Path(sys.argv[1]))
child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, close_fds=False)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_claim_makes_the_folder_and_records_its_process(tmp_path: Path) -> None:
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
    with pytest.raises(Unusable) as refusal:
        claim(tmp_path)
    assert str(refusal.value) == f"folder {tmp_path} is in use by process {os.getpid()}"
    held.release()


def test_a_claim_ends_with_its_process_and_not_with_the_children(
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
        with pytest.raises(Unusable, match=f"by process {holder.pid}$"):
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


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("open_umask")
def test_a_claimed_folder_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    claim(folder).release()
    assert (mode(folder), mode(folder / "lock")) == (0o700, 0o600)


def test_a_folder_that_others_may_only_pass_through_stays_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    with capturedLogs() as events:
        claim(tmp_path).release()
    assert mode(tmp_path) == 0o711
    assert not events


def test_a_folder_and_lock_that_are_open_to_others_are_closed(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "lock").touch()
    folder.chmod(0o755)
    (folder / "lock").chmod(0o644)
    claim(folder).release()
    assert (mode(folder), mode(folder / "lock")) == (0o700, 0o600)


def test_a_shared_folder_keeps_its_mode_and_the_lock_in_it_is_closed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    said: list[str] = []

    def note(event: Any) -> None:
        said.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    try:
        claim(folder).release()
    finally:
        globalLogPublisher.removeObserver(note)
    assert (mode(folder), mode(folder / "lock")) == (0o1777, 0o600)
    assert said == [f"{folder}: open to other users (mode 1777), which this service cannot change"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else as well")
@pytest.mark.parametrize("opened", ["lock", "folder"])
def test_no_other_user_can_take_the_lock_before_its_owner(opened: str) -> None:
    """Each of the two modes would do by itself."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folder = Path(made) / "data"
        claim(folder).release()
        if opened == "folder":
            folder.chmod(0o755)
        else:
            (folder / "lock").chmod(0o666)
        if (stranger := os.fork()) == 0:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                fcntl.flock(os.open(folder / "lock", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except PermissionError:
                os._exit(13)
            finally:
                os._exit(0)
        _, status = os.waitpid(stranger, 0)
        assert os.waitstatus_to_exitcode(status) == 13
