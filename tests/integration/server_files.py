"""The files of servers under test; a test that cannot have them is skipped."""

from collections.abc import Iterable

import pytest

from load.errors import CannotRun
from load.servers import files
from load.servers.files import FOLDER

__all__ = ["FOLDER", "ServerFiles"]


class ServerFiles(files.ServerFiles):
    """As the class of that name in `load.servers`."""

    def __init__(self, servers: Iterable[int], disk_megabytes: int | None = None) -> None:
        try:
            super().__init__(servers, disk_megabytes)
        except CannotRun as why:
            pytest.skip(str(why))
