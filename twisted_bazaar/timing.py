"""The time budget: the timeouts of all services, in seconds, and how they depend on each other.

They are options of every service. A combination that would make the bazaar unsafe, or leadership
unstable, is refused here before anything starts. Pure.
"""

import math

import attrs

__all__ = ["Timing"]


@attrs.frozen(kw_only=True)
class Timing:
    """One consistent set of timeouts. All services of one bazaar must be given the same.

    Raises ValueError, one line that begins with the name of the field to change, if a timeout is
    not a positive number or contradicts another.
    """

    heartbeat: float = 0.060
    """A leader sends each follower an append at least this often, an empty one if need be."""

    election_timeout: float = 0.300
    """A leader that has not been heard for this long may be replaced; a leader that has heard no
    majority for this long steps down."""

    ping: float = 0.060
    """A front-end asks every replica for its status this often."""

    lease: float = 1.0
    """A catalog or cache that has got no new lease for this long must not answer from memory.

    A holder that dies delays trades by this much, once.
    """

    tenure: float = 0.600
    """Where the order log is in an engine: a leader that has written nothing for this long may be
    replaced. It counts from when it sent the last write that succeeded; who is to replace it, from
    when it saw that write."""

    deadline: float = 5.0
    """A client gets an answer to its trade within this time."""

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
        # Otherwise a front-end notices a dead leader later than the replicas could replace it.
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
        # The slowest trade waits for a new leader, and then for a lease to run out.
        if self.election_timeout + self.lease >= self.deadline:
            raise ValueError(
                f"deadline must be more than the election timeout and the lease together, "
                f"{self.election_timeout + self.lease:g} s, not {self.deadline} s"
            )

    def check_engine(self) -> None:
        """Check what must hold where the order log is in an engine, and need not elsewhere.

        Raises ValueError as the constructor does.
        """
        # A leader looks at what it has to write each heartbeat; one that is late must not cost it
        # its place.
        if self.heartbeat * 2 > self.tenure:
            raise ValueError(
                f"tenure must be at least two heartbeats, {2 * self.heartbeat:g} s, "
                f"not {self.tenure} s"
            )
        # A change of leader must not by itself cost the catalogs their leases.
        if self.tenure >= self.lease:
            raise ValueError(
                f"tenure must be less than the lease, {self.lease} s, not {self.tenure} s"
            )
        # The slowest trade waits for a new leader, and then for a lease to run out.
        if self.tenure + self.lease >= self.deadline:
            raise ValueError(
                f"deadline must be more than the tenure and the lease together, "
                f"{self.tenure + self.lease:g} s, not {self.deadline} s"
            )
