"""How a service tells the process that started it that it serves.

It inherits a pipe, whose descriptor is in the environment, writes one line and closes it. A
service that an operator starts has none.
"""

import os
from collections.abc import MutableMapping
from contextlib import suppress

__all__ = ["ANNOUNCED_AFTER_SECONDS", "DESCRIPTOR", "VARIABLE", "announce"]

VARIABLE = "BAZAAR_ANNOUNCE_TO"
"""The environment variable that holds the descriptor."""

DESCRIPTOR = 3
"""The descriptor: the first after the standard ones."""

ANNOUNCED_AFTER_SECONDS = 0.5
"""How long a service runs before it announces itself: by then it has read and written its folder,
and listens."""

_LINE = b"serving\n"


def announce(environment: MutableMapping[str, str]) -> None:
    """Say that this process serves, if there is a pipe. Harmless the second time."""
    descriptor = environment.pop(VARIABLE, "")
    if descriptor.isdecimal() and int(descriptor) > 2:
        with suppress(OSError):  # it is not open, or its reader is gone
            os.write(int(descriptor), _LINE)
            os.close(int(descriptor))
