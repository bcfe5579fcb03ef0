"""How a service tells the process that started it that it serves.

It is given a descriptor, whose number is in the environment, and closes it with a line: a pipe
needs no address, and who has started the service by hand gives it none.
"""

import os
from collections.abc import MutableMapping
from contextlib import suppress

__all__ = ["ANNOUNCED_AFTER_SECONDS", "DESCRIPTOR", "VARIABLE", "announce"]

VARIABLE = "BAZAAR_ANNOUNCE_TO"
"""The environment variable."""

DESCRIPTOR = 3
"""What it says: the first after the standard ones."""

ANNOUNCED_AFTER_SECONDS = 0.5
"""A service that has run for so long has read and written its folder, and listens."""

_LINE = b"serving\n"


def announce(environment: MutableMapping[str, str]) -> None:
    """Say that this process serves, if somebody wants to know. Harmless the second time."""
    descriptor = environment.pop(VARIABLE, "")
    if descriptor.isdecimal() and int(descriptor) > 2:
        with suppress(OSError):  # it is nobody's, or its reader is gone
            os.write(int(descriptor), _LINE)
            os.close(int(descriptor))
