"""The log goes where twistd's options say, through a queue."""

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent, Logger, LogLevel

from twisted_bazaar.runtime.log_settings import Format, Level, LogSettings
from twisted_bazaar.runtime.logs import Log, filtered

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


LEVELS = (LogLevel.debug, LogLevel.info, LogLevel.warn, LogLevel.error, LogLevel.critical)


@pytest.mark.parametrize(
    ("level", "ours", "twisted"),
    [
        (Level.DEBUG, LEVELS, LEVELS),
        # What Twisted says of each factory and port is for debugging.
        (Level.INFO, LEVELS[1:], LEVELS[2:]),
        (Level.WARN, LEVELS[2:], LEVELS[2:]),
        (Level.ERROR, LEVELS[3:], LEVELS[3:]),
    ],
)
def test_what_is_less_important_than_the_level_is_left_out(
    level: Level, ours: tuple[Any, ...], twisted: tuple[Any, ...]
) -> None:
    for namespaces, expected in (
        (("twisted_bazaar.order.node", "an_operators.plugin"), ours),
        (("twisted.web.server", "log_legacy"), twisted),
    ):
        for namespace in namespaces:
            events: list[LogEvent] = []
            log = Logger(namespace, observer=filtered(events.append, level))
            for each in LEVELS:
                log.emit(each, "hello")
            assert tuple(event["log_level"] for event in events) == expected, namespace


class Formatted:
    """Counts how often its text is made."""

    times = 0

    def __str__(self) -> str:
        self.times += 1
        return "text"


def test_an_event_that_is_left_out_is_not_formatted(tmp_path: Path) -> None:
    twistd = {"logfile": str(tmp_path / "log"), "nodaemon": True}
    log = Log(NO_REACTOR, twistd, "catalog", LogSettings(Format.JSON, Level.INFO))
    assert log.observer is not None
    value = Formatted()
    logger = Logger("twisted_bazaar.test", observer=log.observer)
    logger.debug("{value}", value=value, path=value)
    assert value.times == 0
    logger.info("{value}", value=value)
    assert value.times == 1
    assert log.output.flush(10)
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert json.loads(line)["message"] == "text"


def test_lines_that_were_dropped_are_counted_in_the_form_of_the_log(tmp_path: Path) -> None:
    twistd = {"logfile": str(tmp_path / "log"), "nodaemon": True}
    for form in Format:
        log = Log(NO_REACTOR, twistd, "catalog", LogSettings(form))
        log.output.write(b"x" * (2 << 20) + b"\n")
        say(log, "after")
        assert log.output.flush(10)
    first, second, third, fourth = (tmp_path / "log").read_text().splitlines()
    assert first == "(1 lines dropped: they could not be written)"
    assert second.endswith(" info  after")
    remark = json.loads(third)
    assert (remark["level"], remark["service"]) == ("warn", "catalog")
    assert remark["message"] == "1 lines dropped: they could not be written"
    assert json.loads(fourth)["message"] == "after"
