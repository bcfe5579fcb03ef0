"""What became of a front-end's nomination, and how the front-end is told. Pure."""

import msgspec

from .messages import CampaignReply

__all__ = ["AnotherLeads", "Campaigning", "Outcome", "Refused", "Won", "campaign_reply"]


class Won(msgspec.Struct, frozen=True):
    """The nominated replica leads."""


class AnotherLeads(msgspec.Struct, frozen=True):
    """Another replica leads, as this one or a peer of it hears."""

    leader: int
    """Its id."""
    wait: float = 0.0
    """Seconds until another nomination can help."""


class Refused(msgspec.Struct, frozen=True):
    """The nominated replica does not lead, and hears no leader."""

    wait: float = 0.0
    """Seconds until another nomination can help."""
    unable: str = ""
    """Why this replica cannot lead though others may; empty: that is not the reason."""


class Campaigning(msgspec.Struct, frozen=True):
    """The campaign goes on."""

    wait: float
    """Seconds after which to ask again."""


Outcome = Won | AnotherLeads | Refused | Campaigning


def campaign_reply(outcome: Outcome, replica: int, term: int) -> CampaignReply:
    """What the nominated `replica`, which is in `term`, answers."""
    match outcome:
        case Won():
            return CampaignReply(leader=replica, term=term, wait=0.0)
        case AnotherLeads(leader, wait):
            return CampaignReply(leader=leader, term=term, wait=wait)
        case Refused(wait, unable):
            return CampaignReply(leader=0, term=term, wait=wait, unable=unable)
        case Campaigning(wait):
            return CampaignReply(leader=0, term=term, wait=wait, campaigning=True)
