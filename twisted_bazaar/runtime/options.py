"""The base of every service's options: one declaration serves command line and environment.

A service declares its rows as for any `usage.Options`. This base adds that every option is also
an environment variable, that some may be repeated, and that a wrong one is reported in one line
on standard error that names it, with exit status 1. The tap of the service makes a frozen value
of the result, so that nothing else handles strings.
"""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from inspect import unwrap
from pathlib import Path
from typing import Any, ClassVar

import attrs
from twisted.internet import endpoints
from twisted.python import reflect, usage

from twisted_bazaar import __version__
from twisted_bazaar.replica_ids import MAX_REPLICA, read_replica
from twisted_bazaar.timing import Timing

from .address import Address
from .endpoint import DEFAULT_LISTEN, Endpoint
from .log_settings import Format, Level, LogSettings
from .redis_url import RedisUrl

__all__ = [
    "Options",
    "ACCESS_LOG_HELP",
    "CLIENTS_HELP",
    "HOST_HELP",
    "OPEN_HELP",
    "HSTS_HELP",
    "PROXY_HELP",
    "ServiceOptions",
    "TimingOptions",
    "cache",
    "check_open",
    "check_hsts",
    "endpoint",
    "folder",
    "host_name",
    "host_port",
    "id_address",
    "positive_int",
    "readable_file",
    "seconds",
    "secret_file",
    "timing_arguments",
]

MIN_SECRET_BYTES = 16
"""A shorter secret could be guessed."""

PROXY_HELP = (
    "Address or network of a proxy: what it says in X-Forwarded-For is taken for its client."
)
ACCESS_LOG_HELP = "Log one event for each request of a client."
CLIENTS_HELP = (
    "TOML file of the clients that may call it, with hashes of their API keys; it is read again "
    "when it changes. Without it, all may call it who reach it."
)
OPEN_HELP = "Without --clients, serve all who reach it, also from other machines."
HSTS_HELP = "Seconds for which browsers are to use HTTPS only, if the endpoint is one of TLS."
HOST_HELP = "A name or address, beyond those of its machine, by which clients reach it."

Coerce = Callable[[str], Any]

_SWITCHES = {"1": True, "0": False, "true": True, "false": False}
"""What the environment variable of a flag may be."""

_HOST_NAME = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


def positive_int(text: str) -> int:
    """A whole number from 1."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 18 and int(text) > 0):
        raise ValueError(f"must be a whole number from 1, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A duration in seconds."""
    try:
        duration = float(text)
    except ValueError:
        duration = math.nan
    if not 0 < duration < math.inf:
        raise ValueError(f"must be a positive number of seconds, not {text!r}")
    return duration


def host_port(text: str) -> Address:
    """HOST:PORT."""
    return Address.parse(text)


def host_name(text: str) -> str:
    """A host as clients write it in a URL; a port may follow and is ignored."""
    name = text.strip().lower()
    if name.count(":") > 1 and not name.startswith("["):
        name = f"[{name}]"
    if _HOST_NAME.fullmatch(name) is None:
        raise ValueError(f"must be a host name or address, not {text!r}")
    return name


def id_address(text: str) -> tuple[int, Address]:
    """ID=HOST:PORT, the address of the order replica with that id."""
    number, _, address = text.strip().partition("=")
    try:
        return read_replica(number), Address.parse(address)
    except ValueError:
        raise ValueError(
            f"must be ID=HOST:PORT with an id from 1 to {MAX_REPLICA}, not {text!r}"
        ) from None


def folder(text: str) -> Path:
    """A folder, which need not exist yet."""
    if not text.strip() or "\0" in text:
        raise ValueError(f"must be a folder, not {text!r}")
    return Path(text)


def readable_file(text: str) -> Path:
    """A file that exists and can be read; the path is absolute."""
    path = Path(text)
    if "\0" in text or not path.is_file() or not os.access(path, os.R_OK):
        raise ValueError(f"must be a file that can be read, not {text!r}")
    return path.absolute()


def secret_file(text: str) -> bytes:
    """The secret in a file, stripped of white space, at least `MIN_SECRET_BYTES` long."""
    try:
        secret = readable_file(text).read_bytes().strip()
    except OSError:
        raise ValueError(f"must be a file that can be read, not {text!r}") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"must be a file of at least {MIN_SECRET_BYTES} bytes, not {text!r}")
    return secret


def check_open(listen: str, clients: Path | None, is_open: bool) -> None:
    """Refuse an endpoint for clients that other machines reach, unless it asks for API keys or is
    to be open. Raises UsageError. Beside `clients`, `is_open` says nothing."""
    if clients is None and not is_open and not Endpoint.parse(listen).is_loopback:
        raise usage.UsageError(
            f"--listen {listen} is reached from other machines, where anybody could trade: "
            "give --clients FILE, or --open"
        )


def endpoint(text: str) -> str:
    """A server endpoint string as Twisted reads it, such as `tcp:8081:interface=127.0.0.1`."""
    try:
        if not Endpoint.parse(text).is_tls:
            # Only the string is read here, so no reactor is needed yet. Of TLS it would read files,
            # which must be there when the service starts.
            endpoints.serverFromString(None, text)
    except Exception:
        # The plugin for a kind of endpoint may raise any exception.
        raise ValueError(f"must be an endpoint such as {DEFAULT_LISTEN}, not {text!r}") from None
    return text


def check_hsts(hsts: int, listen: str) -> None:
    """Refuse `--hsts` where clients are not served by TLS, as browsers ignore it there."""
    if hsts and not Endpoint.parse(listen).is_tls:
        raise usage.UsageError("--hsts needs --listen ssl:PORT:privateKey=FILE:certKey=FILE")


def cache(text: str) -> str:
    """Where a front-end caches lookups: the URL of a Redis, `memory` or `off`."""
    if "://" in text:
        return str(RedisUrl.parse(text))
    if text not in ("memory", "off"):
        raise ValueError(f"must be redis://HOST:PORT, memory or off, not {text!r}")
    return text


def log_format(text: str) -> Format:
    """How events are written to the log."""
    try:
        return Format(text)
    except ValueError:
        raise ValueError(f"must be {' or '.join(Format)}, not {text!r}") from None


def log_level(text: str) -> Level:
    """The least important events that are written to the log."""
    try:
        return Level(text)
    except ValueError:
        *others, last = Level
        raise ValueError(f"must be {', '.join(others)} or {last}, not {text!r}") from None


def _switched(text: str) -> bool:
    """Whether an environment variable switches a flag on."""
    if text.lower() not in _SWITCHES:
        raise ValueError(f"must be {' or '.join(_SWITCHES)}, not {text!r}")
    return _SWITCHES[text.lower()]


def _variable(name: str) -> str:
    return "BAZAAR_" + name.upper().replace("-", "_")


def _naming(label: str, coerce: Coerce) -> Coerce:
    """`coerce`, with a UsageError that names the option for its ValueError."""

    @wraps(coerce)
    def named(text: str) -> Any:
        try:
            return coerce(text)
        except ValueError as why:
            raise usage.UsageError(f"{label} {why}") from None

    return named


def _repeatable(name: str, what: str, coerce: Coerce) -> Callable[["Options", str], None]:
    """The `opt_` method of an option that may be given several times."""
    named = _naming(f"--{name}", coerce)

    def add(self: "Options", text: str) -> None:
        # The first on the command line replaces what the environment said.
        before = self[name] if name in self._on_command_line else ()
        self._on_command_line.add(name)
        self[name] = (*before, named(text))

    add.__doc__ = f"{what} May be repeated."
    return add


_KINDS = ("optParameters", "optFlags", "repeated")


class Options(usage.Options):
    """Rows to declare in a subclass; a coercion raises ValueError("must be …, not …").

    - `optParameters`: `[name, None, default, what it is, coercion]`.
    - `optFlags`: `[name, None, what it does]`; the value is 1 if given, else 0.
    - `repeated`: `[name, what it is, coercion]`; the value is a tuple, `()` when not given.
    - `required`: the names that have no default and must be given.

    A subclass with checks of its own overrides `postOptions`, calls this one first, and raises
    `usage.UsageError` with a line that begins with the option.
    """

    optParameters: ClassVar[list[list[Any]]] = []
    optFlags: ClassVar[list[list[Any]]] = []
    repeated: ClassVar[list[tuple[str, str, Coerce]]] = []
    required: ClassVar[tuple[str, ...]] = ()
    longdesc = (
        "Every option is also an environment variable: --some-option is BAZAAR_SOME_OPTION; "
        "the values of one that may be repeated are separated by commas; 1 switches on one that "
        "takes no value. The command line wins."
    )

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # usage.Options does not name the option whose value is wrong.
        cls.optParameters = [
            [name, short, default, what, _naming(f"--{name}", coerce)]
            for name, short, default, what, coerce in cls.__dict__.get("optParameters", [])
        ]
        for name, what, coerce in cls.__dict__.get("repeated", []):
            setattr(cls, f"opt_{name.replace('-', '_')}", _repeatable(name, what, coerce))

    def __init__(self) -> None:
        super().__init__()
        self._on_command_line: set[str] = set()
        for name, _, _ in self._rows("repeated"):
            self[name] = ()

    def parseOptions(self, options: list[str] | None = None) -> None:
        """Read environment and command line. Raises SystemExit with one line if one is wrong.

        For a UsageError twistd would print the whole help on standard output.
        """
        service = self.parent.subCommand if self.parent else type(self).__name__
        try:
            self._read(os.environ)
            super().parseOptions(options)
        except usage.UsageError as why:
            raise SystemExit(f"{service}: {why}") from None

    def parseArgs(self, *arguments: str) -> None:
        """Refuse what is not an option."""
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r} is not an option, and nothing else is taken")

    def postOptions(self) -> None:
        """Check the options; called once all of them have been read."""
        for name in self.required:
            if self[name] in (None, ()):
                raise usage.UsageError(f"--{name} must be given (or {_variable(name)})")

    def by_id(self, name: str) -> dict[int, Address]:
        """The values of a repeated ID=HOST:PORT option. An id given twice is a UsageError."""
        addresses: dict[int, Address] = {}
        for number, address in self[name]:
            if number in addresses:
                raise usage.UsageError(f"--{name} must be given once for id {number}")
            addresses[number] = address
        return addresses

    def variables(self) -> set[str]:
        """The environment variables that this service reads."""
        rows = [row for kind in _KINDS for row in self._rows(kind)]
        return {_variable(row[0]) for row in rows}

    def opt_version(self) -> None:
        """Display the version and exit."""
        print(f"twisted_bazaar {__version__}")
        raise SystemExit(0)

    def _rows(self, kind: str) -> list[Any]:
        rows: list[Any] = []
        reflect.accumulateClassList(type(self), kind, rows)
        return rows

    def _read(self, environment: Mapping[str, str]) -> None:
        # Empty counts as not given: so a shell or a compose file leaves an option out.
        for name, _, _, _, coerce in self._rows("optParameters"):
            if text := environment.get(_variable(name)):
                named = _naming(f"--{name} ({_variable(name)})", unwrap(coerce))
                self[name] = named(text)
        for name, *_ in self._rows("optFlags"):
            if text := environment.get(_variable(name)):
                named = _naming(f"--{name} ({_variable(name)})", _switched)
                self[name] = int(named(text))
        for name, _, coerce in self._rows("repeated"):
            if text := environment.get(_variable(name)):
                named = _naming(f"--{name} ({_variable(name)})", coerce)
                self[name] = tuple(named(item) for item in text.split(",") if item.strip())


class ServiceOptions(Options):
    """Adds what every service takes: the form of its log."""

    log_settings: LogSettings
    """Set once the options have been read."""

    optParameters: ClassVar[list[list[Any]]] = [
        [
            "log-format",
            None,
            Format.TEXT,
            "How the log is written: text, or json for an object a line.",
            log_format,
        ],
        [
            "log-level",
            None,
            Level.INFO,
            "The least important events that are logged: debug, info, warn or error.",
            log_level,
        ],
    ]

    def postOptions(self) -> None:
        super().postOptions()
        self.log_settings = LogSettings(self["log-format"], self["log-level"])


class TimingOptions(ServiceOptions):
    """Adds the time budget, which all services of one bazaar share."""

    timing: Timing
    """Set once the options have been read."""

    optParameters: ClassVar[list[list[Any]]] = [
        [field.name.replace("_", "-"), None, field.default, what, seconds]
        for field, what in zip(
            attrs.fields(Timing),
            (
                "Seconds between two heartbeats of the order leader.",
                "Seconds without a heartbeat after which the order leader may be replaced.",
                "Seconds between two pings of an order replica by a front-end.",
                "Seconds for which a catalog or cache may answer without a new lease.",
                "Seconds without a write after which the order leader may be replaced, where the "
                "order log is in an engine.",
                "Seconds that a client waits for a trade at most.",
            ),
            strict=True,
        )
    ]

    def postOptions(self) -> None:
        super().postOptions()
        names = [field.name for field in attrs.fields(Timing)]
        with _naming_timeout():
            self.timing = Timing(**{name: self[name.replace("_", "-")] for name in names})

    def check_engine_timing(self) -> None:
        """Refuse a time budget that does not fit where the order log is in an engine."""
        with _naming_timeout():
            self.timing.check_engine()


@contextmanager
def _naming_timeout() -> Iterator[None]:
    """A ValueError that begins with the name of a timeout becomes a UsageError about its
    option."""
    try:
        yield
    except ValueError as why:
        name, _, rest = str(why).partition(" ")
        raise usage.UsageError(f"--{name.replace('_', '-')} {rest}") from None


def timing_arguments(timing: Timing) -> list[str]:
    """The command line that gives `timing` to a service."""
    chosen = attrs.asdict(timing).items()
    return [f"--{name.replace('_', '-')}={value!r}" for name, value in chosen]
