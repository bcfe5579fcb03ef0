"""The API key with which a bazaar is called that asks for one."""

import os

__all__ = ["VARIABLE", "api_key"]

VARIABLE = "BAZAAR_API_KEY"
"""Not an option: a command line is shown to all users of a machine."""


def api_key() -> str | None:
    """The one in the environment; None: there is none."""
    return os.environ.get(VARIABLE) or None
