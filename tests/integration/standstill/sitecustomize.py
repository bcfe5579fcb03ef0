"""Loaded by every Python process that has this folder in PYTHONPATH: something stands still in it.

`STANDSTILL` says what, in words with commas between them:

    names    no name is ever resolved; addresses are
    start    no file is ever synced by the main thread, and signals do not interrupt that
    disk     no file is ever synced by another thread, likewise

A process in which that has happened makes the file that `STANDSTILL_SIGN` names.
"""

import ctypes
import ipaddress
import os
import socket
import threading
import time
from typing import Any, NoReturn

_WHAT = os.environ.get("STANDSTILL", "").split(",")


def _stand_still() -> NoReturn:
    with open(os.environ["STANDSTILL_SIGN"], "w"):
        pass
    libc = ctypes.CDLL(None)
    mutex = ctypes.create_string_buffer(256)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)
    while True:  # Where a mutex may be taken twice, this is as good as it gets.
        time.sleep(60)


def _syncing(sync: Any) -> Any:
    def synced(file: int) -> None:
        here = threading.current_thread() is threading.main_thread()
        if ("start" if here else "disk") in _WHAT:
            _stand_still()
        sync(file)

    return synced


_real_getaddrinfo: Any = socket.getaddrinfo


def _getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        _stand_still()
    return _real_getaddrinfo(host, *args, **kwargs)


os.fsync = _syncing(os.fsync)
os.fdatasync = _syncing(os.fdatasync)
if "names" in _WHAT:
    socket.getaddrinfo = _getaddrinfo
