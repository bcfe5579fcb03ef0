"""Checks that requests and answers are between members of one cluster. Pure.

An address can lead to another process than was meant: another replica of this cluster, a replica
of another bazaar, this process itself. A folder can be another bazaar's. So requests name the
cluster and the replica that they are for, and answers name the replica that gives them. A request
that does not fit is refused, an answer that does not fit counts as none; one line tells the
operator.
"""

from collections.abc import Iterable, Sequence

from twisted_bazaar.errors import Unusable

from .log import Log
from .messages import (
    Append,
    AppendReply,
    Fetch,
    FetchReply,
    PeerReply,
    PeerRequest,
    Poll,
    PollReply,
    Vote,
    VoteReply,
)
from .progress import majority

__all__ = ["Identity", "members_fit", "not_meant"]


class Identity:
    """One replica among the members of its cluster."""

    def __init__(self, replica: int, peers: Iterable[int]) -> None:
        self._replica = replica
        self.members = tuple(sorted({replica, *peers}))
        """The ids of all replicas."""
        self._others: dict[int, str] = {}
        """By peer: in what its last answer to a poll did not fit; empty: it fitted."""
        self._named: dict[int, str] = {}
        """By peer: the cluster that it named last, while this replica knew none."""

    def refusal(self, message: PeerRequest, cluster: str, log: Log) -> str | None:
        """Why a peer's request is not for this replica, of `cluster`, with `log`; None: it is.

        A poll of a replica of any cluster is answered: the answer names this one's.
        """
        refusal = not_meant(self._replica, cluster, message.to, "")
        if refusal is not None or isinstance(message, Poll):
            return refusal
        sender = _sender(message)
        if sender not in self.members or sender == self._replica:
            return f"replica {sender} is none of the other members, {_listed(self.members)}"
        if isinstance(message, Vote):
            if message.members and message.members != self.members:
                return (
                    f"replica {sender} counts {_listed(message.members)} as members, "
                    f"not {_listed(self.members)}"
                )
            if message.last_index == log.last_index == 0:
                return None  # The first election, which names the cluster.
        refusal = not_meant(self._replica, cluster, 0, message.cluster)
        if refusal is None and _contradicts(message, log):
            refusal = f"replica {sender} has another history than replica {self._replica}"
        return refusal

    def mistake(self, to: int, reply: PeerReply, cluster: str, log: Log) -> str | None:
        """Why `reply` is no answer of replica `to`; None: it is one.

        Raises `Unusable` if a majority of the members are of one other cluster than this
        replica, or have other members: then its folder or its options are wrong.
        """
        sender = _answerer(reply)
        if sender != to:
            return f"what answers at the address of replica {to} is replica {sender}"
        if not isinstance(reply, PollReply):
            return None
        other = ""
        if reply.last_index == log.last_index == 0:
            pass  # The name of the cluster is not final yet.
        elif cluster and reply.cluster and reply.cluster != cluster:
            other = f"of cluster {reply.cluster}, not {cluster}"
        elif reply.members and reply.members != self.members:
            theirs, ours = _listed(reply.members), _listed(self.members)
            other = f"of a cluster with members {theirs}, not {ours}"
        elif log.contradicts(reply.last_index, reply.last_term, reply.last_digest):
            other = "of another history"
        elif not cluster and (two := self._names_another(to, reply.cluster)):
            return two
        self._others[to] = other
        if not other:
            return None
        agreed = sorted(peer for peer, said in self._others.items() if said == other)
        if len(agreed) >= majority(len(self.members)):
            raise Unusable(
                f"replicas {_listed(agreed)} are {other}: this folder, or the addresses, are "
                "another bazaar's"
            )
        return f"what answers at the address of replica {to} is {other}"

    def _names_another(self, to: int, cluster: str) -> str | None:
        """Why replica `to` cannot be of the cluster that this one joins; None: it can."""
        self._named[to] = cluster
        for peer, named in self._named.items():
            if cluster and named and named != cluster:
                return f"replica {to} is of cluster {cluster}, and replica {peer} of {named}"
        return None


def not_meant(replica: int, cluster: str, to: int, named: str) -> str | None:
    """Why a request for replica `to` of the cluster `named` is not for this `replica` of
    `cluster`; None: it is. Id 0 and an empty name name nothing."""
    if to not in (0, replica):
        return f"this is replica {replica}, not replica {to}"
    if named not in ("", cluster):
        return f"this is a replica of cluster {cluster or '(none yet)'}, not {named}"
    return None


def members_fit(recorded: Sequence[int], given: Iterable[int]) -> str | None:
    """Why the members that options name are not those that a log records; None: they are, or
    nothing is recorded."""
    named = sorted(given)
    if not recorded or list(recorded) == named:
        return None
    return f"the log is of a cluster with replicas {_listed(recorded)}, not {_listed(named)}"


def _contradicts(message: Append | Vote | Fetch, log: Log) -> bool:
    match message:
        case Append():
            place = message.previous_index, message.previous_term, message.previous_digest
        case Vote():
            place = message.last_index, message.last_term, message.last_digest
        case Fetch():
            return False  # It asks whether its digest is in this log.
    return log.contradicts(*place)


def _sender(message: Append | Vote | Fetch) -> int:
    match message:
        case Append():
            return message.leader
        case Vote():
            return message.candidate
        case Fetch():
            return message.replica


def _answerer(reply: PeerReply) -> int:
    match reply:
        case AppendReply():
            return reply.follower
        case VoteReply():
            return reply.voter
        case PollReply() | FetchReply():
            return reply.replica


def _listed(members: Sequence[int]) -> str:
    return ", ".join(map(str, members))
