"""The disks of the processes under test, which can be made slow while these run."""

import os
from collections.abc import Mapping
from pathlib import Path

from twisted_bazaar.storage.files import replace_file

__all__ = ["Disks"]

SITECUSTOMIZE = Path(__file__).with_name("slow_disk")
"""The folder of the module that delays `fdatasync` in every Python process that loads it."""


class Disks:
    """The disks of the processes that are started with `environment`."""

    def __init__(self, file: Path) -> None:
        """`file` exists while the disks are slow; it has the delay in seconds."""
        self._file = file

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that a process needs besides its own."""
        paths = [str(SITECUSTOMIZE), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": os.pathsep.join(paths), "LOAD_SLOW_DISK": str(self._file)}

    def slow(self, seconds: float) -> None:
        """Make each `fdatasync` take `seconds` longer, until `restore`."""
        replace_file(self._file, f"{seconds:.3f}\n".encode("ascii"), sync=False)

    def restore(self) -> None:
        """End the delay, if there is one."""
        self._file.unlink(missing_ok=True)
