"""How many readers each client may have: one leaves room for others. Pure."""

__all__ = ["Shares"]


class Shares:
    """The readers that there are, by client; the empty name is that of all who have none, who are
    bounded together.

    A client may have as many as there is room left for others: one alone has half of all, each of
    two a third.
    """

    def __init__(self, most: int) -> None:
        """`most` bounds all readers."""
        self._most = most
        self._all = 0
        self._counts: dict[str, int] = {}

    def take(self, client: str) -> bool:
        """Count one more reader of `client`, to be `left` later. False: there are too many, and it
        is not counted."""
        count = self._counts.get(client, 0)
        room = self._most - self._all
        if not room or (client and count and count >= room - 1):
            return False
        self._all += 1
        self._counts[client] = count + 1
        return True

    def left(self, client: str) -> None:
        """A reader of `client` that was counted is gone."""
        self._all -= 1
        count = self._counts.pop(client) - 1
        if count:
            self._counts[client] = count

    def of(self, client: str) -> int:
        """How many readers `client` has."""
        return self._counts.get(client, 0)
