"""The console blocks of a page: the commands in them, run in one shell, and what they print."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_STATUS = re.compile(r"# exit status (\d+)$")
ANY = "…"
"""In what is printed: anything. Alone in a line: any lines."""
_VARIES = re.compile(
    r"(?P<any>…)"
    r"|(?P<hex>\b[0-9a-f]{16,}\b)"
    r"|(?P<entry>(?<=entry )\d+|(?<=last_index=)\d+|(?<=term=)\d+)"
    r"|(?P<space>[ ]+)"
)
_KILLED = re.compile(r"^\w+: line \d+: +\d+ Killed .*\n", re.MULTILINE)
"""What bash says, with some later command, of one in the background that was killed."""
_PATTERNS = {"any": ".*", "hex": "[0-9a-f]+", "entry": "[0-9]+", "space": " +"}


@attrs.frozen
class Command:
    """A command, with all of its lines, and what it is said to print."""

    text: str
    printed: tuple[str, ...]

    @property
    def status(self) -> int:
        """The exit status that the command's last comment says; 0 without one."""
        found = _STATUS.search(self.text)
        return int(found[1]) if found else 0


def commands(page: str) -> Iterator[Command]:
    """All commands of a page, or of a part of one."""
    for block in _BLOCK.findall(page):
        text: list[str] = []
        printed: list[str] = []
        for line in block.splitlines():
            if line.startswith("$ ") and (not text or _is_whole(text)):
                if text:
                    yield Command("\n".join(text), tuple(printed))
                text, printed = [line.removeprefix("$ ")], []
            elif _is_whole(text):
                printed.append(line)
            else:
                text.append(line)
        yield Command("\n".join(text), tuple(printed))


def section(page: str, heading: str) -> str:
    """What is below the heading, up to the next one."""
    parts = _HEADING.split(page)
    return parts[parts.index(heading) + 1]


def _is_whole(lines: Iterable[str]) -> bool:
    """Whether these are a whole command: no quote, loop or here-document is open."""
    text = "\n".join(lines)
    if text.endswith("\\"):
        return False
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    return not done.returncode and not done.stderr


def difference(printed: str, said: Iterable[str]) -> str | None:
    """The first of the lines `said` that was not printed, or what was printed instead of an end;
    None: all is as it is said, but for what varies."""
    rest = printed.splitlines()
    free = False
    for line in said:
        if line == ANY:
            free = True
            continue
        pattern = _pattern(line)
        at = next((i for i, each in enumerate(rest) if pattern.fullmatch(each.rstrip())), None)
        if at is None or (at and not free):
            return line
        rest, free = rest[at + 1 :], False
    return rest[0] if rest and not free else None


def _pattern(line: str) -> re.Pattern[str]:
    whole, end = "", 0
    for each in _VARIES.finditer(line):
        whole += re.escape(line[end : each.start()]) + _PATTERNS[each.lastgroup or ""]
        end = each.end()
    return re.compile(whole + re.escape(line[end:]))


class Shell:
    """A bash that runs one command after the other, in `folder`. Use it as a context manager."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._read = 0
        inner, self._told = os.pipe()[::-1]
        self._shell = subprocess.Popen(
            ["bash", "--norc", "-s"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=[inner],
            start_new_session=True,
        )
        self._report = f"echo $? >&{inner}\n"
        os.close(inner)

    def run(self, text: str) -> tuple[int, str]:
        """Run a command; its exit status, and what it printed on either output."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{text}\n{self._report}".encode())
        self._shell.stdin.flush()
        told = os.read(self._told, 16)
        assert told, f"the shell has ended: {self._printed()}"
        return int(told), self._printed()

    def _printed(self) -> str:
        # Its position is shared with the shell, which writes at the end.
        text = os.pread(self._output.fileno(), 1 << 20, self._read)
        self._read += len(text)
        return _KILLED.sub("", text.decode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        os.close(self._told)
        self._output.close()
