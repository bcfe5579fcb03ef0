"""What a process writes to its log, and in which form. Pure."""

from enum import StrEnum

import attrs

__all__ = ["Format", "Level", "LogSettings"]


class Format(StrEnum):
    """How one event is written."""

    TEXT = "text"
    """For people: a line each; a traceback follows on lines that are indented."""
    JSON = "json"
    """For programs: an object on one line each."""


class Level(StrEnum):
    """The least important events that are written. The order is that of importance."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@attrs.frozen
class LogSettings:
    """The options of the log."""

    format: Format = Format.TEXT
    level: Level = Level.INFO

    @property
    def is_debugging(self) -> bool:
        """Whether events at debug are written. Assemblies hand it, as a bool, to what would log
        such an event for each request: without it not even the event is made."""
        return self.level is Level.DEBUG

    def arguments(self) -> list[str]:
        """The command line that gives them to a service."""
        return [f"--log-format={self.format}", f"--log-level={self.level}"]
