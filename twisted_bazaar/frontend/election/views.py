"""What a member says of one partition, as a status of its own. Pure."""

import msgspec

from twisted_bazaar.consensus.messages import Status

__all__ = ["NO_PARTITION", "seen_in"]

NO_PARTITION = "its bazaar has partitions: {}, and this front-end was told: {}"
"""Why a member is of another bazaar: the number it has, and `--partitions`."""


def seen_in(status: Status, partition: int, partitions: int) -> Status | None:
    """How the member that said `status` sees itself in `partition`; None: its bazaar has not so
    many as `partitions`. A replica without an engine has one."""
    if partitions == 1 and not status.partitions:
        return status
    if len(status.partitions) != partitions:
        return None
    seen = status.partitions[partition]
    if seen.partition != partition:
        return None
    return msgspec.structs.replace(
        status,
        role=seen.role,
        term=seen.term,
        leader=seen.leader,
        last_index=seen.last_index,
        last_number=seen.last_number,
        digest=seen.digest,
        cluster=seen.cluster,
        followers=status.followers if partition == 0 else (),
    )
