"""Decodes where a stream over several partitions goes on. Pure."""

import msgspec

from twisted_bazaar.frontend.api.queries import QueryParameter
from twisted_bazaar.frontend.api.streams import LAST_EVENT_ID
from twisted_bazaar.frontend.events.merged_journal import positions_in
from twisted_bazaar.frontend.positions import Positions

__all__ = ["LAST_EVENT_ID_OF_SEVERAL", "after_of"]

_ID = "p[A-Za-z0-9_-]{1,12288}"


def after_of(partitions: int) -> QueryParameter[Positions]:
    """The parameter `after`, where there are so many partitions."""

    def read(text: str) -> Positions | None:
        return (0,) * partitions if text == "0" else positions_in(text, partitions)

    return QueryParameter(
        name="after",
        says="An id that a stream has given: orders that come after it are sent first; 0: all are. "
        "Without it, and without `Last-Event-ID`, the stream begins with what is traded from now "
        "on.",
        schema={"type": "string", "pattern": f"^(?:0|{_ID})$"},
        example="0",
        read=read,
        rule="0, or an id that GET /events has given",
    )


LAST_EVENT_ID_OF_SEVERAL = msgspec.structs.replace(
    LAST_EVENT_ID,
    schema={"type": "string", "pattern": f"^(?:0|{_ID})?$"},
)
