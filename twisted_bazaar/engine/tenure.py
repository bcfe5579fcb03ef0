"""One member and one partition whose log is in an engine: who leads it, and what is written.

The counterpart of `consensus.Replica`, driven in the same way. Its owner feeds it: `saw` takes the
partition's tail, as polls show it, `campaign` a nomination, `applied` and `unreachable` what
catalogs answer, `done` and `failed` what became of a call to the engine; `tick` is called as time
passes, `propose` for what the leader decides. After each call the owner takes `ready` until it is
None, or says that nothing more follows, and does what it says:

    ready = tenure.ready(now)
    if ready.leading_term, and there is no desk yet, make one from `tenure.led`
    let the desk observe ready; without ready.leading_term, drop it
    start sending ready.messages
    start ready.call, if any, on the engine's thread; tell `done` or `failed` once it has ended

One call at most is under way. Each `ready` must be carried out, as none repeats what one before it
said.

A member claims a partition only when it is nominated, and only when the leader before has left, or
relies on nothing any more (`incumbent`). What it then knows and writes is in `leadership`. It leads
until a call is `Lost`, nothing that it writes succeeds for two tenures, or there is a higher term.
It never takes `Lost` or `Refused` for more than a reason to step down or to try again: what a
server showed when it said so may be lost yet. Pure; docs/protocol.md has the reasons.
"""

from collections.abc import Callable, Sequence

from twisted_bazaar.consensus.entries import Entry, Event, Opened, encode_entry
from twisted_bazaar.consensus.leader import MAX_BATCH_ENTRIES
from twisted_bazaar.consensus.member import Observed
from twisted_bazaar.consensus.messages import (
    ApplyReply,
    LearnerRequest,
    MarketSnapshot,
    Message,
    Reply,
    Ticket,
)
from twisted_bazaar.consensus.nomination import (
    AnotherLeads,
    Campaigning,
    Outcome,
    Refused,
    Won,
    campaign_reply,
)
from twisted_bazaar.timing import Timing

from .calls import Append, Attempt, Beat, Call, Claim, Load
from .campaign import Campaign, claim_of
from .leadership import Leadership
from .shared_log import HANDED_OVER, EngineError, Lost, Snapshot, Tail
from .standing import Standing
from .window import KEPT_ENTRIES

__all__ = ["Tenure", "TenureReady"]

_SILENT = "the engine does not answer it"


class TenureReady(Observed, frozen=True, kw_only=True):
    """What the owner must carry out, in any order."""

    messages: Sequence[Message]
    call: Call | None
    """None: there is none to make, or one is under way."""
    more: bool
    """Whether more is ready now. If not, there is nothing until the next call of the tenure."""


class Tenure(Standing):
    """What a member does about one partition. Times are seconds on one monotonic clock of this
    machine."""

    def __init__(
        self,
        *,
        member: int,
        members: Sequence[int],
        cluster: str,
        catalogs: Sequence[str],
        timing: Timing,
        milliseconds: Callable[[], int],
        names: Callable[[], str],
        snapshot: Callable[[], MarketSnapshot],
        now: float,
        batch: int = MAX_BATCH_ENTRIES,
        keep: int = KEPT_ENTRIES,
    ) -> None:
        """Begin a life.

        `members` are the ids of all, `catalogs` the names of the catalogs; `cluster` names this
        partition's log, and no other. `milliseconds` is the wall clock for the times of entries.
        Each call of `names` returns a name that no other call, here or elsewhere, has returned.
        `snapshot` returns the market that the owner's desk has, which is committed; it is called
        only while this member leads. A message or call carries `batch` entries at most; `keep`
        settled entries stay in memory.
        """
        super().__init__(member, cluster, timing, keep)
        self._members = tuple(sorted(members))
        self._catalogs = tuple(catalogs)
        self._milliseconds = milliseconds
        self._names = names
        self._market = snapshot
        self._batch = batch
        self._keep = keep
        self._began_at = now
        self._left_at = float("-inf")
        """When it handed over last."""
        self._attempt: Attempt | None = None
        """The call that is to be made, or is under way; None: none is."""
        self._messages: list[Message] = []
        self._told = (0, 0, 0)
        """What the last `ready` said: released, confirmed, leading_term."""

    # What goes in.

    def saw(self, tail: Tail, now: float) -> None:
        """A poll of the tails was answered; `tail` was received `now`, or before."""
        self._incumbent.saw(tail, now)
        self.term = max(self.term, tail.term)
        if self._leadership is not None and tail.term > self._leadership.term:
            # It may be a claim that is lost yet. Until then this leader could not write, either.
            self._step_down()

    def campaign(self, ticket: Ticket, now: float) -> None:
        """A front-end nominates this member: try to become the leader. A `CampaignReply` says
        within an election timeout how that ended, or that it goes on."""
        outcome: Outcome | None = None
        if self._leadership is not None:
            outcome = Refused(self._timing.heartbeat) if self.leaving else Won()
        elif self._campaign is None:
            outcome = self._must_wait(now)
        if outcome is not None:
            self._tell([ticket], outcome)
            return
        if self._campaign is None:
            self._campaign = Campaign(now)
        self._campaign.nominated(ticket, now)

    def _must_wait(self, now: float) -> Outcome | None:
        """Why this member must not claim the partition now; None: it may."""
        if now - max(self._incumbent.heard_at, self._began_at) > self._timing.tenure:
            return Refused(unable=_SILENT)
        if self.tail is None or self._leaves_it_to_another(now):
            return Refused(self._timing.heartbeat)
        wait = self._incumbent.wait(now)
        if wait <= 0:
            return None
        # Before that, the tails may show that it has left.
        wait = min(wait, self._timing.heartbeat)
        leader = self.known_leader(now)
        return AnotherLeads(leader, wait) if leader else Refused(wait)

    def _leaves_it_to_another(self, now: float) -> bool:
        """Whether it has just handed over to another, as far as it has seen since: a front-end may
        not know yet whom an operator wants to lead."""
        if self.tail is None or now >= self._left_at + self._timing.tenure:
            return False
        is_wanted = self.tail.preferred in (0, self.id)
        return not is_wanted or self._incumbent.heard_at <= self._left_at

    def tick(self, now: float) -> None:
        """Time has passed. Call it a few times a heartbeat."""
        if self._leadership is not None and not self._leadership.in_touch(now):
            self._step_down()
        campaign = self._campaign
        if campaign is not None:
            # Front-ends that have waited for an election timeout are told that it goes on.
            told = campaign.take_tickets(now - self._timing.election_timeout)
            self._tell(told, Campaigning(self._timing.heartbeat))
            self._consider_campaign(_SILENT, now)

    def next_at_milliseconds(self) -> int:
        """The time that an entry would have that is proposed now."""
        return max(self._milliseconds(), self.log.last_at_milliseconds)

    def propose(
        self, events: Sequence[Event], at_milliseconds: int | None = None
    ) -> Sequence[Entry]:
        """Append what the leader decided, as entries of its term. Raises `NotLeader`.

        `at_milliseconds` is what `next_at_milliseconds` has just returned; None: ask it.
        """
        term, log = self._led.term, self.log
        entries = []
        digest = log.last_digest
        if at_milliseconds is None:
            at_milliseconds = self.next_at_milliseconds()
        for index, event in enumerate(events, log.last_index + 1):
            entry = encode_entry(digest, index, term, at_milliseconds, event)
            digest = entry.digest
            entries.append(entry)
        log.append(entries)
        return entries

    def confirm(self) -> int:
        """Begin a round, and return its number: it is confirmed by a write that is made from now
        on. Raises `NotLeader`."""
        leadership = self._led
        leadership.round += 1
        return leadership.round

    def hand_over(self, now: float) -> None:
        """Leave: settle what is open, say in the engine that the partition may be claimed at once,
        and step down. The owner proposes nothing and begins no rounds from now on."""
        if self._leadership is not None:
            self._leadership.leave(now)

    def applied(self, learner: str, reply: ApplyReply, now: float) -> None:
        """Take in an answer of `learner`."""
        leadership = self._leadership
        if leadership is None:
            return
        if reply.term > leadership.term:
            self.term = max(self.term, reply.term)
            self._step_down()
        elif reply.term == leadership.term:
            leadership.answered(learner, reply, now)

    def unreachable(self, request: LearnerRequest, now: float) -> None:
        """`request` got no answer in time."""
        leadership = self._leadership
        if leadership is not None and request.message.term == leadership.term:
            leadership.learners.unreachable(request.to, request.message.sent, now)

    # What became of calls.

    def done(self, call: Call, answer: Snapshot | None, now: float) -> None:
        """`call` has succeeded; `answer` is that of a `Load`."""
        attempt = self._ended(call, now)
        if attempt is None:
            return
        self._attempt = None
        match call:
            case Load():
                assert answer is not None
                self._loaded(answer, now)
            case Claim() if call.term < self.term:
                # It saw another leader meanwhile. This term is of no use to it.
                self._end_campaign(Refused(self._timing.heartbeat))
            case Claim():
                self._lead(call, attempt, now)
            case Append() | Beat():
                self._led.succeeded(attempt, now)
                if call.beat == HANDED_OVER:
                    self._left_at = now
                    self._step_down()

    def failed(self, call: Call, error: EngineError, now: float) -> None:
        """`call` has not succeeded, as far as is known."""
        attempt = self._ended(call, now)
        if attempt is None:
            return
        attempt.make_again(now)
        if self._leadership is not None:
            if isinstance(error, Lost):
                self._step_down()
        elif isinstance(error, Lost):
            self._end_campaign(Refused(self._timing.heartbeat))
        else:
            self._consider_campaign(str(error), now)

    def _ended(self, call: Call, now: float) -> Attempt | None:
        """The attempt to make `call`, which is under way no more; None: it does not matter."""
        attempt = self._attempt
        if attempt is None or attempt.call is not call or not attempt.under_way:
            return None
        if not isinstance(call, Load):
            self.disk.ended(now)
        if attempt.void:
            self._attempt = None
            return None
        return attempt

    def _loaded(self, snapshot: Snapshot, now: float) -> None:
        self.saw(snapshot.tail, now)
        outcome = self._must_wait(now)
        if self._campaign is not None and outcome is None:
            self._campaign.snapshot = snapshot
        elif outcome is not None:
            self._end_campaign(outcome)

    # What comes out.

    def ready(self, now: float) -> TenureReady | None:
        """What to carry out now; None: nothing."""
        leadership = self._leadership
        committed: Sequence[Entry] = ()
        released, confirmed, leading_term, more = self._told[0], 0, 0, False
        if leadership is not None:
            leadership.look(self._messages, now)
            committed = leadership.take_committed()
            released = min(leadership.released, leadership.applied)
            confirmed, leading_term = leadership.confirmed, leadership.term
            more = leadership.applied < leadership.commit
        call = self._take_call(now)
        messages, self._messages = self._messages, []
        told = (released, confirmed, leading_term)
        if not messages and call is None and not committed and told == self._told:
            return None
        self._told = told
        return TenureReady(
            messages=messages,
            call=call,
            committed=committed,
            released=released,
            confirmed=confirmed,
            leading_term=leading_term,
            more=more,
        )

    def _take_call(self, now: float) -> Call | None:
        """The call to make now."""
        if self._attempt is None:
            self._attempt = self._next_attempt(now)
        attempt = self._attempt
        if attempt is None or attempt.under_way or now < attempt.again_at:
            return None
        if not isinstance(attempt.call, Load):
            self.disk.begun(now)
        return attempt.make(now)

    def _next_attempt(self, now: float) -> Attempt | None:
        if self._leadership is not None:
            return self._leadership.next_write(now)
        if self._campaign is None:
            return None
        snapshot = self._campaign.snapshot
        return Attempt(Load() if snapshot is None else self._claim(snapshot))

    @property
    def wake_at(self) -> float | None:
        """When to call `ready` though nothing has come in; None: not before the next tick."""
        attempt, leadership = self._attempt, self._leadership
        moments = []
        if attempt is not None and not attempt.under_way:
            moments.append(attempt.again_at)
        if leadership is not None:
            if attempt is None:
                moments.append(leadership.next_beat_at)
            if leadership.learners.wake_at is not None:
                moments.append(leadership.learners.wake_at)
        return min(moments, default=None)

    # Leading.

    def _claim(self, snapshot: Snapshot) -> Claim:
        opened = Opened(
            leader=self.id,
            cluster=self.cluster,
            members=self._members,
            lease=self._timing.lease,
            catalogs=self._catalogs,
            name=self._names(),
        )
        term = max(self.term, snapshot.tail.term) + 1
        return claim_of(snapshot.tail, term, opened, self._timing.tenure, self._milliseconds())

    def _lead(self, claim: Claim, attempt: Attempt, now: float) -> None:
        campaign = self._campaign
        assert campaign is not None
        assert campaign.snapshot is not None
        assert attempt.first_made_at is not None
        self.elections_won += 1
        self.term = claim.term
        self._leadership = Leadership(
            claim=claim,
            made=attempt.first_made_at,
            snapshot=campaign.snapshot,
            cluster=self.cluster,
            catalogs=self._catalogs,
            timing=self._timing,
            market=self._market,
            now=now,
            batch=self._batch,
            keep=self._keep,
        )
        self._log = self._leadership.log
        self._end_campaign(Won())

    def _step_down(self) -> None:
        """Lead no more. What is under way may succeed yet; nothing rests on that."""
        self._leadership = None
        self._drop_attempt()

    def _drop_attempt(self) -> None:
        if self._attempt is not None:
            self._attempt.void = True
            if not self._attempt.under_way:
                self._attempt = None

    def _consider_campaign(self, why: str, now: float) -> None:
        """Give the campaign up, if it has had its time and no call of it is under way, which may
        succeed yet. `why` it has not succeeded is for the operator."""
        campaign, attempt = self._campaign, self._attempt
        busy = attempt is not None and attempt.under_way and not attempt.void
        if campaign is not None and not busy and now - campaign.since > 2 * self._timing.tenure:
            self._end_campaign(Refused(unable=why))

    def _end_campaign(self, outcome: Outcome) -> None:
        """End the campaign, and tell the front-ends that nominated this member."""
        campaign, self._campaign = self._campaign, None
        if campaign is not None:
            self._tell(campaign.take_tickets(float("inf")), outcome)
        self._drop_attempt()

    def _tell(self, tickets: Sequence[Ticket], outcome: Outcome) -> None:
        reply = campaign_reply(outcome, self.id, self.term)
        self._messages += [Reply(ticket, reply) for ticket in tickets]
