"""What ends a command before it has a result. Each has a message of one line."""

__all__ = ["CannotRun", "NotInTime"]


class CannotRun(Exception):
    """The command cannot be carried out; the message says why."""


class NotInTime(Exception):
    """A condition was not met within its time limit; the message says which."""
