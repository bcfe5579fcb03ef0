"""Calls between processes, over links that lose, double, delay, reorder and are cut."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted_bazaar.consensus.messages import Declined

from .world import Process, World

__all__ = ["LATE_SECONDS", "Network", "Weather"]

LATE_SECONDS = 4.0
"""How late a message can be: more than clients wait."""


class Weather:
    """How bad the network is now."""

    def __init__(self) -> None:
        self.loss = 0.0
        """The share of messages that are lost."""
        self.doubled = 0.0
        self.slow = 0.0
        """The share of messages that are late by up to a second, and so overtaken."""
        self.late = 0.0
        """The share that are late by seconds: longer than elections and timeouts take."""
        self.echoed = 0.0
        """The share that arrive in time, and once more seconds later."""


class Network:
    """Carries calls. Each is answered once or lost; its request may arrive twice."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.weather = Weather()
        self._cut: Counter[tuple[str, str]] = Counter()
        self._astray: dict[tuple[str, str], Process] = {}
        """By caller and callee: where the callee's address leads in place of it."""
        self._late: dict[tuple[str, str], float] = {}
        self._holding: tuple[str, str, str] | None = None
        self._copy_only = False
        self.held: list[Callable[[], None]] = []
        """What is on its way for long: how to deliver it."""

    def lead_astray(self, caller: str, callee: str, other: Process, seconds: float) -> None:
        """For a while the address that `caller` has of `callee` leads to `other`."""
        self._astray[caller, callee] = other
        self._world.after(seconds, self._astray.pop, (caller, callee), None)

    def hold(self, sender: str, receiver: str, what: str, copy: bool = False) -> None:
        """Hold the next call of `what` from `sender` to `receiver`, or only a copy of it, until
        `release`."""
        self._holding = (sender, receiver, what)
        self._copy_only = copy

    def release(self) -> None:
        """Deliver what is held."""
        held, self.held = self.held, []
        for deliver in held:
            deliver()

    def cut(self, sender: str, receiver: str, seconds: float) -> None:
        """For a while nothing goes from `sender` to `receiver`. The other direction works."""
        link = (sender, receiver)
        self._cut[link] += 1
        self._world.after(seconds, self._mend, link)

    def _mend(self, link: tuple[str, str]) -> None:
        if self._cut[link] > 1:
            self._cut[link] -= 1
        else:
            self._cut.pop(link, None)

    def delay(self, sender: str, receiver: str, late: float) -> None:
        """From now on messages from `sender` to `receiver` are late by so many seconds; 0: they are
        not."""
        self._late[sender, receiver] = late

    def heal(self) -> None:
        """All links work."""
        self._cut.clear()
        self._astray.clear()
        self._late.clear()
        self.weather = Weather()

    def call(
        self,
        caller: Process,
        callee: Process,
        serve: Callable[[Any, Callable[[Any], None]], None],
        message: Any,
        answered: Callable[[Any], None],
        lost: Callable[[], None],
        timeout: float,
    ) -> None:
        """Have `callee` `serve(message, reply)`, and `caller` get the reply within `timeout`."""
        other = self._astray.get((caller.name, callee.name))
        if other is not None:
            serve, callee = getattr(other, serve.__name__), other
        open_call = [True]

        def once(call: Callable[..., None], *arguments: Any) -> None:
            if open_call[0]:
                open_call[0] = False
                call(*arguments)

        heard = caller.in_this_life(once)
        caller.later(timeout, once, lost)
        if not callee.alive and (caller.name, callee.name) not in self._cut:
            self._world.after(0.0005, heard, lost)
            return

        def reply(result: Any) -> None:
            outcome = (lost,) if isinstance(result, Declined) else (answered, result)
            for delay in self._delays(callee.name, caller.name):
                self._world.after(delay, heard, *outcome)

        serving = callee.in_this_life(serve)
        if self._holding == (caller.name, callee.name, serve.__name__):
            self._holding = None
            self.held.append(lambda: serving(message, reply))
            if not self._copy_only:
                return
        for delay in self._delays(caller.name, callee.name):
            self._world.after(delay, serving, message, reply)

    def _delays(self, sender: str, receiver: str) -> list[float]:
        """The delay of each copy of a message; none: it is lost."""
        weather, random = self.weather, self._world.random.random
        if (sender, receiver) in self._cut or (weather.loss and random() < weather.loss):
            return []
        delays = [0.0002 + 0.001 * random()]
        if self._late:
            delays[0] += self._late.get((sender, receiver), 0.0)
        if weather.slow and random() < weather.slow:
            delays[0] += random()
        if weather.late and random() < weather.late:
            delays[0] += LATE_SECONDS * random()
        if weather.echoed and random() < weather.echoed:
            delays.append(delays[0] + LATE_SECONDS * random())
        if weather.doubled and random() < weather.doubled:
            delays.append(delays[0] + 0.3 * random())
        return delays
