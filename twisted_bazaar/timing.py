"""The time budget: how long everybody waits for everybody, and how these waits fit together.

All are seconds. They are options of every service, so this is where a choice that would make
the bazaar unsafe, or make leadership flap, is refused before anything starts. This module
must know nothing of reactors, gRPC or clocks.
"""

import math

import attrs

__all__ = ["Timing"]


@attrs.frozen(kw_only=True)
class Timing:
    """One consistent choice of waits. All services of one bazaar must be given the same.

    Raises ValueError, one line that begins with the name of the field to change, when a wait
    is not a positive number or contradicts another.
    """

    heartbeat: float = 0.060
    """A leader is heard by its followers at least this often."""

    election_timeout: float = 0.300
    """A leader unheard for this long may be replaced, and one that hears nobody steps down."""

    ping: float = 0.060
    """A front-end asks every replica this often whether it lives and who leads."""

    lease: float = 1.0
    """A catalog or cache that is not heard of for this long must not answer any more.

    It is also what one that died delays trades by, once.
    """

    deadline: float = 5.0
    """A client waits for a trade at most this long."""

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(Timing):
            seconds = getattr(self, field.name)
            if not (0 < seconds < math.inf):
                raise ValueError(f"{field.name} must be a positive number of seconds")
        # One lost heartbeat must not cost a leader its place.
        if self.heartbeat * 2 > self.election_timeout:
            raise ValueError(
                f"heartbeat must be at most half of the election timeout, "
                f"{self.election_timeout} s, not {self.heartbeat} s"
            )
        # Else a front-end notices a dead leader later than the replicas could replace it.
        if self.ping > self.election_timeout:
            raise ValueError(
                f"ping must be at most the election timeout, {self.election_timeout} s, "
                f"not {self.ping} s"
            )
        # A change of leader must not by itself cost the catalogs their leases.
        if self.election_timeout >= self.lease:
            raise ValueError(
                f"election_timeout must be less than the lease, {self.lease} s, "
                f"not {self.election_timeout} s"
            )
        # The slowest lawful trade sees a leader replaced and then waits for a lease to run out.
        if self.election_timeout + self.lease >= self.deadline:
            raise ValueError(
                f"deadline must be more than the election timeout and the lease together, "
                f"{self.election_timeout + self.lease:g} s, not {self.deadline} s"
            )
