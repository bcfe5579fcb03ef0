"""The disks below a bazaar's logs, which can be made slow while its processes run."""

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Disks"]

CUSTOM = Path(__file__).with_name("slow_disk")


class Disks:
    """Those of the processes that are started with `environment`."""

    def __init__(self, file: Path) -> None:
        """`file` is there while the disks are slow."""
        self._file = file

    @property
    def environment(self) -> Mapping[str, str]:
        """What the processes need besides their own."""
        paths = [str(CUSTOM), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": os.pathsep.join(paths), "LOAD_SLOW_DISK": str(self._file)}

    def slow(self, seconds: float) -> None:
        """From now on each write that must be durable takes so much longer."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:.3f}\n", encoding="ascii")
        new.replace(self._file)

    def mend(self) -> None:
        """They are as fast as they were."""
        self._file.unlink(missing_ok=True)
