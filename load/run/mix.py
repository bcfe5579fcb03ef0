"""What the clients of the reference workload ask for. Pure."""

import msgspec

__all__ = ["Mix"]


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """What clients ask for, how much of it and how fast."""

    clients: int = 5
    share: float = 0.5
    """Of the lookups that are followed by a trade, 0 to 1."""
    side: str = "both"
    """`buy`, `sell`, or `both`: either with probability 0.5."""
    least: int = 1
    most: int = 10
    """Shares of a trade, uniformly distributed from `least` to `most`."""
    iterations: int | None = None
    """Lookups of each client; None: as many as there is time for."""
    seconds: float | None = None
    """How long; None: until the iterations are done."""
    rate: float | None = None
    """Requests a second of all clients together, whether they are answered or not: an open loop.
    None: each client sends its next request once it has the last answer: a closed loop."""
    separate: bool = False
    """Whether trades have a connection of their own."""

    def options(self, shares: str) -> list[str]:
        """The command line options that ask for it, with `shares` for `--p`."""
        options = ["--clients", str(self.clients), "--p", shares, "--side", self.side]
        options += ["--quantity", f"{self.least}:{self.most}"]
        if self.iterations is not None:
            options += ["--iterations", str(self.iterations)]
        if self.seconds is not None:
            options += ["--duration", f"{self.seconds:g}"]
        options += ["--rate", f"{self.rate:g}"] if self.rate is not None else []
        return [*options, *(["--separate"] if self.separate else [])]
