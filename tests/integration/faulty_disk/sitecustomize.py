"""Loaded by every Python process that has this folder in PYTHONPATH: the disk under its logs fails.

`FAULTY_DISK` names a folder. While a file of one of these names is in it,

    hold     no `fdatasync` returns
    delay    every `fdatasync` takes as many seconds longer as the file says
    sync     every `fdatasync` fails with EIO
    full     every `write` to a log writes half of it, and the next fails with ENOSPC

so that the test can turn a fault on and off in a process that runs.
"""

import errno
import os
import time

_FAULTS = os.environ.get("FAULTY_DISK", "/nowhere")

_real_fdatasync = os.fdatasync
_real_write = os.write


def _has(fault: str) -> bool:
    return os.path.exists(f"{_FAULTS}/{fault}")


def _is_log(file: int) -> bool:
    return os.readlink(f"/proc/self/fd/{file}").endswith(".jsonl")


def _fdatasync(file: int) -> None:
    while _has("hold"):
        time.sleep(0.005)
    if _has("delay"):
        with open(f"{_FAULTS}/delay") as seconds:
            time.sleep(float(seconds.read()))
    if _has("sync"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    _real_fdatasync(file)


_halves: set[int] = set()


def _write(file: int, data: bytes) -> int:
    if not _has("full") or not _is_log(file):
        return _real_write(file, data)
    if file in _halves:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _halves.add(file)
    return _real_write(file, bytes(data)[: len(data) // 2])


os.fdatasync = _fdatasync
os.write = _write
