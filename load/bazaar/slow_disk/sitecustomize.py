"""Loaded by every Python process that has this folder in PYTHONPATH: its disk can be made slow.

`LOAD_SLOW_DISK` names a file. While it is there, every `fdatasync` takes so many seconds longer
as it says. What writes by other means, such as SQLite, is as fast as ever.
"""

import os
import time
from typing import Any

_FILE = os.environ.get("LOAD_SLOW_DISK", "/nowhere")
_real_fdatasync = os.fdatasync


def _fdatasync(fd: Any) -> None:
    try:
        with open(_FILE, encoding="ascii") as slow:
            seconds = float(slow.read())
    except OSError:
        seconds = 0.0
    if seconds:
        time.sleep(seconds)
    _real_fdatasync(fd)


os.fdatasync = _fdatasync
