"""The folders of replicas: when one may be replaced."""

import os
import signal
from pathlib import Path
from shutil import copytree
from subprocess import DEVNULL, Popen

from msgspec.structs import replace

from load.bazaar.folders import is_stopped, is_trusted
from twisted_bazaar.storage.mark import Mark, MarkFile
from twisted_bazaar.storage.origin import make_origin


def test_a_process_is_stopped_if_it_neither_runs_nor_has_ended() -> None:
    process = Popen(["sleep", "60"], stdout=DEVNULL)
    try:
        assert not is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert is_stopped(process.pid)
    finally:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # A zombie: it has ended, and its parent has not waited for it.
        assert not is_stopped(process.pid)
        process.wait()
    assert not is_stopped(process.pid)


def test_a_folder_is_trusted_where_a_replica_has_opened_it(tmp_path: Path) -> None:
    ours, copy = tmp_path / "ours", tmp_path / "copy"
    assert not is_trusted(ours)
    mark = Mark(1, suspect="the folder is new", fresh=True, origin=_origin(ours))
    file = MarkFile(ours, mark)
    file.replace(mark)
    assert not is_trusted(ours)
    file.replace(replace(mark, suspect=None))
    assert is_trusted(ours)
    copytree(ours, copy)
    assert not is_trusted(copy)
    (ours / "mark").write_text("spoilt")
    assert not is_trusted(ours)


def _origin(folder: Path) -> str:
    folder.mkdir()
    return make_origin(folder)
