"""The log goes where twistd's options say, through a queue."""

import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogLevel

from twisted_bazaar.runtime.log_settings import LogSettings
from twisted_bazaar.runtime.logs import Log

NO_REACTOR: Any = None


def log_to(path: Path | str, *, nodaemon: bool = True) -> Log:
    twistd = {"logfile": str(path), "nodaemon": nodaemon}
    return Log(NO_REACTOR, twistd, "catalog", LogSettings())


def say(log: Log, text: str) -> None:
    assert log.observer is not None
    log.observer(
        {
            "log_format": "{text}",
            "text": text,
            "log_time": time.time(),
            "log_level": LogLevel.info,
            "log_namespace": "twisted_bazaar.test",
        }
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_log_file_is_for_its_owner_only(tmp_path: Path) -> None:
    log = log_to(tmp_path / "log")
    say(log, "Größe \udc80")
    assert log.output.flush(10)
    text = (tmp_path / "log").read_text()
    assert text.endswith("Z info  Größe \\udc80\n")
    assert mode(tmp_path / "log") == 0o600


def test_an_existing_log_file_is_appended_to_and_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    (tmp_path / "log").chmod(0o640)
    null = mode(Path(os.devnull))
    for path in (tmp_path / "log", os.devnull):
        log = log_to(path)
        say(log, "after")
        assert log.output.flush(10)
    assert (tmp_path / "log").read_text().startswith("before\n")
    assert (tmp_path / "log").read_text().endswith("after\n")
    assert (mode(tmp_path / "log"), mode(Path(os.devnull))) == (0o640, null)


def test_a_process_that_forks_logs_to_the_file_that_twistd_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = Log(NO_REACTOR, {"nodaemon": False}, "catalog", LogSettings())
    assert log.forks
    say(log, "here")
    assert log.output.flush(10)
    assert "here" in (tmp_path / "twistd.log").read_text()


@pytest.mark.parametrize(
    "twistd",
    [
        {"nodaemon": True, "syslog": True},
        {"nodaemon": True, "logger": "operator.own"},
        {"nodaemon": False, "logfile": "-"},
    ],
)
def test_an_observer_that_the_operator_chose_is_kept(twistd: dict[str, Any]) -> None:
    assert Log(NO_REACTOR, twistd, "catalog", LogSettings()).observer is None
