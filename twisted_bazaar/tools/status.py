"""`python -m twisted_bazaar status`: how a bazaar is, once or each second.

`status_answers` asks, `twisted_bazaar.status` judges, and `status_tables` shows.
"""

import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from types import FrameType
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.exit_codes import FAILURE, IMPAIRED, SUCCESS
from twisted_bazaar.status.judgement import Condition, judge
from twisted_bazaar.status.rates import rates

from .status_answers import API_KEY, Answer, Place
from .status_tables import shown, unanswered

__all__ = ["REDRAWN_EVERY_SECONDS", "show"]

REDRAWN_EVERY_SECONDS = 1.0
_PLAIN_COLUMNS = 120
"""The width of tables in a file or a pipe."""

_STATUSES = {Condition.WELL: SUCCESS, Condition.IMPAIRED: IMPAIRED, Condition.DOWN: FAILURE}


def show(asked: Namespace, out: TextIO, sleep: Callable[[float], None] = time.sleep) -> int:
    """Print how the bazaar is, once, or each second until Ctrl-C. Returns the exit status: what is
    wrong, or was at last. Raises `Unusable` if it cannot be asked; once it was, `--watch` goes on
    asking."""
    place = Place(asked.url, asked.data, asked.cacert, os.environ.get(API_KEY, ""))
    console = Console(file=out, highlight=False)
    if not console.is_terminal:
        console = Console(file=out, highlight=False, width=_PLAIN_COLUMNS, no_color=True)
    watch = _Watch(place, console, sleep)
    if not asked.watch:
        return watch.print_once(asked.json)
    former = signal.signal(signal.SIGINT, watch.interrupt)
    try:
        if asked.json or not console.is_terminal:
            watch.print_each_second(asked.json)
        else:
            watch.redraw_each_second()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, former)
    return watch.exit_status


class _Watch:
    """What was answered until now."""

    def __init__(
        self,
        place: Place,
        console: Console,
        sleep: Callable[[float], None],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._console = console
        self._seconds = seconds
        self._sleep = sleep
        self._last: Answer | None = None
        self._interrupted = False
        self.exit_status = FAILURE

    def interrupt(self, signal_: int, frame: FrameType | None) -> None:
        """End it, for a signal. Python drops an exception that is raised while it frees an object:
        then it ends before the next answer."""
        self._interrupted = True
        raise KeyboardInterrupt

    def print_once(self, as_json: bool) -> int:
        """Print the present answer; returns the exit status."""
        before = self._last
        self._print(self._ask(), before, as_json)
        return self.exit_status

    def print_each_second(self, as_json: bool) -> None:
        """Print each answer below the last one, until Ctrl-C."""
        while not self._interrupted:
            began = self._seconds()
            try:
                self.print_once(as_json)
            except Unusable as why:
                print(f"status: {why}", file=sys.stderr)
            self._wait(began)

    def redraw_each_second(self) -> None:
        """Show the last answer in place, until Ctrl-C."""
        with Live(console=self._console, auto_refresh=False, transient=False) as live:
            while not self._interrupted:
                began = self._seconds()
                live.update(self._present(), refresh=True)
                self._wait(began)

    def _present(self) -> RenderableType:
        before = self._last
        try:
            answer = self._ask()
        except Unusable as why:
            return unanswered(str(why), before.status if before else None)
        return self._shown(answer, before)

    def _print(self, answer: Answer, before: Answer | None, as_json: bool) -> None:
        if as_json:
            self._console.file.write(answer.raw.decode() + "\n")
        else:
            self._console.print(self._shown(answer, before))
        self._console.file.flush()

    def _shown(self, answer: Answer, before: Answer | None) -> RenderableType:
        status = answer.status
        return shown(
            status,
            judge(status),
            rates(status.figures, before.status.figures if before else None),
            self._place.url(),
            self._place.pids(),
        )

    def _ask(self) -> Answer:
        self.exit_status = FAILURE
        answer = self._last = self._place.ask()
        self.exit_status = _STATUSES[judge(answer.status).condition]
        return answer

    def _wait(self, began: float) -> None:
        self._sleep(max(0.0, began + REDRAWN_EVERY_SECONDS - self._seconds()))
