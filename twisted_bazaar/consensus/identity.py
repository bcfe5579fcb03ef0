"""Checks that requests and answers are between members of one cluster. Pure.

An address can lead to another process than was meant: another replica of this cluster, a replica
of another bazaar, this process itself. A folder can be another bazaar's. So requests name the
cluster and the replica that they are for, and answers name the replica that gives them. A request
that does not fit is refused, an answer that does not fit counts as none; one line tells the
operator.
"""

from collections.abc import Iterable, Sequence

from twisted_bazaar.errors import Unusable

from .entries import Members, Opened
from .log import Log
from .membership import Membership, first_membership, membership_of
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

__all__ = ["Identity", "members_fit", "never_members", "not_meant"]


class Identity:
    """One replica among the members of its cluster."""

    def __init__(self, replica: int, peers: Iterable[int], join: bool = False) -> None:
        """`peers` are what its options name; `join`: they do not say who the members are, but where
        to ask."""
        self._replica = replica
        self._join = join
        self.first = first_membership(replica, peers, join)
        """Who the members are by the options."""
        self._newest: tuple[int, Members] | None = None
        self._membership = self.first
        self._others: dict[int, str] = {}
        """By peer: in what its last answer to a poll did not fit; empty: it fitted."""
        self._named: dict[int, str] = {}
        """By peer: the cluster that it named last, while this replica knew none."""

    def membership(self, log: Log) -> Membership:
        """Who the members are: as the newest entry of `log` that names them says, or the
        options."""
        newest = log.newest_members
        if newest is not self._newest:
            self._newest = newest
            self._membership = self.first if newest is None else membership_of(*newest)
        return self._membership

    def named(self, log: Log) -> Membership | None:
        """The same; None: this replica is to join, and its log does not name any yet."""
        membership = self.membership(log)
        return None if self._join and not membership.index else membership

    def refusal(self, message: PeerRequest, cluster: str, log: Log) -> str | None:
        """Why a peer's request is not for this replica, of `cluster`, with `log`; None: it is.

        A poll of a replica of any cluster is answered: the answer names this one's. A sender that
        this replica does not know as a member may have been added by an entry that it lacks.
        """
        refusal = not_meant(self._replica, cluster, message.to, "")
        if refusal is not None or isinstance(message, Poll):
            return refusal
        sender = _sender(message)
        if refusal := self._stranger(sender, message, cluster, log):
            return refusal
        if isinstance(message, Vote):
            ours = self.named(log)
            if ours is not None and _names_others(message.members_index, message.members, ours):
                return (
                    f"replica {sender} counts {_listed(message.members)} as members, "
                    f"not {_listed(ours.voters)}"
                )
            if message.last_index == log.last_index == 0:
                return None  # The first election, which names the cluster.
        refusal = not_meant(self._replica, cluster, 0, message.cluster)
        if refusal is None and _contradicts(message, log):
            refusal = f"replica {sender} has another history than replica {self._replica}"
        return refusal

    def _stranger(
        self, sender: int, message: Append | Vote | Fetch, cluster: str, log: Log
    ) -> str | None:
        """Why `sender` has no say; None: it is another member, or may be one."""
        # An entry that this replica lacks may have added the sender of an append, or of a vote
        # request that names a later entry.
        of_ours = bool(cluster) and message.cluster == cluster
        if of_ours and isinstance(message, Append) and sender != self._replica:
            return None
        membership = self.membership(log)
        is_new = isinstance(message, Vote) and message.members_index > membership.index
        if sender != self._replica and (sender in membership.ids or (of_ours and is_new)):
            return None
        said = f", since entry {membership.index}" if membership.index else ""
        return f"replica {sender} is none of the other members, {_listed(membership.ids)}{said}"

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
        elif (ours := self.named(log)) is not None and _names_others(
            reply.members_index, reply.members, ours
        ):
            theirs = _listed(reply.members)
            other = f"of a cluster with members {theirs}, not {_listed(ours.voters)}"
        elif log.contradicts(reply.last_index, reply.last_term, reply.last_digest):
            other = "of another history"
        elif not cluster and (two := self._names_another(to, reply.cluster)):
            return two
        self._others[to] = other
        if not other:
            return None
        voters = self.membership(log).voters
        agreed = sorted(
            peer for peer, said in self._others.items() if said == other and peer in voters
        )
        if len(agreed) >= majority(len(voters)):
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


def _names_others(index: int, members: Sequence[int], ours: Membership) -> bool:
    """Whether another's options name other members than ours, and no log says anything."""
    return not index and not ours.index and bool(members) and (*members,) != ours.voters


def never_members(
    given: Iterable[int],
    openings: Sequence[tuple[int, Opened]],
    memberships: Sequence[tuple[int, Members]],
) -> str | None:
    """Why options name replicas that a log never had as members; None: they do not."""
    ever = {id_ for _, opened in openings for id_ in opened.members}
    ever |= {member.id for _, event in memberships for member in event.members}
    if never := sorted(set(given) - ever):
        last = [member.id for member in memberships[-1][1].members]
        return (
            f"the log is of a cluster with replicas {_listed(last)}: it never had {_listed(never)}"
        )
    return None


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
