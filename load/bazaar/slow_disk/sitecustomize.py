"""Makes the disk of a Python process slow; loaded if this folder is in its PYTHONPATH.

`LOAD_SLOW_DISK` names a file. While it exists, every `fdatasync` of Python code takes as many
seconds longer as the file says. SQLite's are not delayed.
"""

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

_FILE = os.environ.get("LOAD_SLOW_DISK", "/nowhere")
_real_fdatasync = os.fdatasync


def _fdatasync(fd: "FileDescriptorLike") -> None:
    try:
        with open(_FILE, encoding="ascii") as slow:
            seconds = float(slow.read())
    except OSError:
        seconds = 0.0
    if seconds:
        time.sleep(seconds)
    _real_fdatasync(fd)


os.fdatasync = _fdatasync
