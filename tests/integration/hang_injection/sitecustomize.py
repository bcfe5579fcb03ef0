"""Loaded by every Python process that has this folder in PYTHONPATH: makes some calls hang.

`HANG` names them, separated by commas:

    names    no name is ever resolved; addresses are
    start    no sync of a file on the main thread returns, and no signal interrupts it
    disk     the same on other threads

A process in which a call hangs makes the file that `HANG_SIGN` names.
"""

import ctypes
import ipaddress
import os
import socket
import threading
import time
from typing import Any, NoReturn

_WHAT = os.environ.get("HANG", "").split(",")


def _hang() -> NoReturn:
    with open(os.environ["HANG_SIGN"], "w"):
        pass
    libc = ctypes.CDLL(None)
    mutex = ctypes.create_string_buffer(256)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)
    while True:  # A mutex that may be locked twice does not hang.
        time.sleep(60)


def _syncing(sync: Any) -> Any:
    def synced(file: int) -> None:
        here = threading.current_thread() is threading.main_thread()
        if ("start" if here else "disk") in _WHAT:
            _hang()
        sync(file)

    return synced


_real_getaddrinfo: Any = socket.getaddrinfo


def _getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        _hang()
    return _real_getaddrinfo(host, *args, **kwargs)


os.fsync = _syncing(os.fsync)
os.fdatasync = _syncing(os.fdatasync)
if "names" in _WHAT:
    socket.getaddrinfo = _getaddrinfo
