"""The API key with which a bazaar is called that asks for one."""

import os

from load.errors import CannotRun
from twisted_bazaar.client.requests import authorization

__all__ = ["VARIABLE", "api_key"]

VARIABLE = "BAZAAR_API_KEY"
"""Not an option: a command line is shown to all users of a machine."""


def api_key() -> str | None:
    """The one in the environment, which may end with a line end; None: there is none. Raises
    `CannotRun`."""
    key = os.environ.get(VARIABLE, "").strip() or None
    try:
        authorization(key)
    except ValueError as why:
        raise CannotRun(f"{VARIABLE} holds none: {why}") from None
    return key
