"""A cluster in which a test can make the disks of order replicas slow, full or broken."""

import os
from pathlib import Path

from .cluster import Cluster


class FaultyCluster(Cluster):
    """A cluster whose order replicas' disks can be made to fail."""

    def launch(self, name: str) -> None:
        shim = str(Path(__file__).parent / "faulty_disk")
        (self.folder / "faults" / name).mkdir(parents=True, exist_ok=True)
        ours = self._environment
        self._environment = {
            **ours,
            "PYTHONPATH": os.pathsep.join(filter(None, (shim, ours.get("PYTHONPATH")))),
            "FAULTY_DISK": str(self.folder / "faults" / name),
        }
        super().launch(name)
        self._environment = ours

    def fault(self, name: str, fault: str) -> Path:
        """Turn a fault on; it ends with the file."""
        path = self.folder / "faults" / name / fault
        path.touch()
        return path

    def delay(self, seconds: float, *names: str) -> None:
        """From now on, each `fdatasync` of the services `names` takes so much longer."""
        for name in names:
            folder = self.folder / "faults" / name
            folder.mkdir(parents=True, exist_ok=True)
            # At once, or one that looks would see half of it.
            (folder / "delay.new").write_text(str(seconds))
            (folder / "delay.new").rename(folder / "delay")

    def has_ended(self, *names: str) -> str | None:
        """One of the services `names` that has ended by itself."""
        return next((name for name in names if self._running[name].poll() is not None), None)

    def wait_ended(self, name: str) -> tuple[int, str]:
        """Wait until the service `name` has ended by itself; its status, and what was said."""
        status = self._running[name].wait(15)
        del self._running[name]
        return status, self.log.read_text()

    def pid_of(self, name: str) -> int:
        return self._running[name].pid
