"""A disk that is asked things, and every state in which a loss of power may leave it.

POSIX promises little about what was not synced: any of it may be there or not. Of a file's data
each block of 512 bytes may be as it was after any of the writes since the last sync, and its
size likewise; of a folder, any of the names made, moved or removed since then. A `kill -9`
shows none of this, since the page cache outlives it.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

__all__ = ["Disk", "Killed"]

BLOCK = 512

Syncs = Callable[[str], bool]
"""Whether a sync at this place in the code is done; for leaving one out."""


class Killed(BaseException):
    """The process was killed just here; what it had written stays in the page cache."""


class _File:
    """What is on disk of a file (the first version), and after each change since then."""

    def __init__(self) -> None:
        self.versions = [b""]

    def change(self, content: bytes) -> None:
        self.versions.append(content)

    def sync(self) -> None:
        del self.versions[:-1]

    def image(self, choose: Random) -> bytes:
        """One of the states it may be in."""
        if len(self.versions) == 1 or choose.random() < 0.15:
            return self.versions[0]
        if choose.random() < 0.15:
            return self.versions[-1]
        lengths = sorted(len(version) for version in self.versions)
        inner = range(lengths[0] // BLOCK * BLOCK + BLOCK, lengths[-1], BLOCK)
        length = choose.choice([*lengths, lengths[-1], *inner])
        blocks = []
        for at in range(0, length, BLOCK):
            block = choose.choice(self.versions)[at : at + BLOCK]
            blocks.append(block.ljust(min(BLOCK, length - at), b"\0")[: length - at])
        return b"".join(blocks)


class _Folder:
    """The names that are on disk, and what was done to them since."""

    def __init__(self) -> None:
        self.names: dict[str, _Node] = {}
        self.pending: list[tuple[str, str, _Node | None]] = []
        """What happened: a name that is gone or renamed, or a name (with a node)."""
        self.now: dict[str, _Node] = {}

    def set(self, name: str, node: "_Node") -> None:
        self.now[name] = node
        self.pending.append(("", name, node))

    def remove(self, name: str) -> None:
        del self.now[name]
        self.pending.append((name, "", None))

    def move(self, old: str, new: str) -> None:
        self.now[new] = self.now.pop(old)
        self.pending.append((old, new, self.now[new]))

    def sync(self) -> None:
        self.names = dict(self.now)
        self.pending.clear()

    def image(self, choose: Random) -> dict[str, "_Node"]:
        names = dict(self.names)
        share = choose.choice((0.0, 0.5, 0.5, 1.0))
        for old, new, node in self.pending:
            if choose.random() < share:
                names.pop(old, None)
                if node is not None:
                    names[new] = node
        return names


_Node = _File | _Folder
Image = dict[str, bytes | None]
"""By path: what a file holds; None: it is a folder."""


class Disk:
    """Records what is done below the folder `root`, while it is really done there."""

    def __init__(self, root: Path, syncs: Syncs = lambda _: True) -> None:
        self.root = root
        self.sites: set[str] = set()
        """The places in the code where something was synced."""
        self.on_step: Callable[[], None] = lambda: None
        """Called before each change and each sync."""
        self._syncs = syncs
        self._top = _Folder()
        self._open: dict[int, _Node] = {}
        self._real: dict[str, Any] = {}

    def image(self, choose: Random) -> Image:
        """One of the states in which a loss of power just now may leave the disk."""
        image: Image = {}

        def take(folder: _Folder, path: str) -> None:
            for name, node in folder.image(choose).items():
                if isinstance(node, _File):
                    image[path + name] = node.image(choose)
                else:
                    image[path + name] = None
                    take(node, f"{path}{name}/")

        take(self._top, "")
        return image

    def put(self, image: Image) -> None:
        """Make the disk hold `image`, all of it durable."""
        for path, content in image.items():
            place = self.root / path
            folder, name = self._place(place)
            node: _Node
            if content is None:
                place.mkdir()
                node = _Folder()
            else:
                place.write_bytes(content)
                node = _File()
                node.versions = [content]
            folder.set(name, node)
            folder.sync()

    def forget_process(self) -> None:
        """The process was killed, and with it all that it had open."""
        for file in list(self._open):
            self._close_call(file)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """What this process does to files goes through here meanwhile."""
        names = "open close write pwrite ftruncate fsync fdatasync mkdir rename replace unlink"
        with ExitStack() as stack:
            for name in names.split():
                self._real[name] = getattr(os, name)
                stack.enter_context(patch.object(os, name, getattr(self, f"_{name}_call")))
            yield

    # What a process asks.

    def _place(self, path: Path) -> tuple[_Folder, str]:
        *above, name = path.relative_to(self.root).parts
        folder = self._top
        for each in above:
            below = folder.now[each]
            assert isinstance(below, _Folder)
            folder = below
        return folder, name

    def _is_ours(self, path: Any) -> bool:
        return Path(path).is_relative_to(self.root)

    def _node(self, path: Path) -> _Node:
        if path == self.root:
            return self._top
        folder, name = self._place(path)
        return folder.now[name]

    def _open_call(self, path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if not self._is_ours(path):
            return int(self._real["open"](path, flags, *arguments, **named))
        path = Path(path)
        makes = flags & os.O_CREAT and not path.exists()
        if makes or flags & os.O_TRUNC:
            self.on_step()
        file = int(self._real["open"](path, flags, *arguments, **named))
        if makes:
            folder, name = self._place(path)
            folder.set(name, _File())
        node = self._open[file] = self._node(path)
        if flags & os.O_TRUNC and not makes and isinstance(node, _File):
            node.change(b"")
        return file

    def _close_call(self, file: int) -> None:
        self._open.pop(file, None)
        self._real["close"](file)

    def _write_call(self, file: int, data: Any) -> int:
        node = self._open.get(file)
        if isinstance(node, _File):
            self.on_step()
            node.change(node.versions[-1] + bytes(data))
        return int(self._real["write"](file, data))

    def _pwrite_call(self, file: int, data: bytes, at: int) -> int:
        node = self._open.get(file)
        if isinstance(node, _File):
            self.on_step()
            content = node.versions[-1].ljust(at, b"\0")
            node.change(content[:at] + data + content[at + len(data) :])
        return int(self._real["pwrite"](file, data, at))

    def _ftruncate_call(self, file: int, length: int) -> None:
        node = self._open.get(file)
        if isinstance(node, _File):
            self.on_step()
            node.change(node.versions[-1][:length].ljust(length, b"\0"))
        self._real["ftruncate"](file, length)

    def _fsync_call(self, file: int) -> None:
        node = self._open.get(file)
        if node is not None:
            self.on_step()
            site = _site()
            self.sites.add(site)
            if self._syncs(site):
                node.sync()

    _fdatasync_call = _fsync_call

    def _mkdir_call(self, path: Any, *arguments: Any, **named: Any) -> None:
        self.on_step()
        self._real["mkdir"](path, *arguments, **named)
        if self._is_ours(path):
            folder, name = self._place(Path(path))
            folder.set(name, _Folder())

    def _rename_call(self, old: Any, new: Any) -> None:
        self.on_step()
        self._real["replace"](old, new)
        folder, name = self._place(Path(old))
        target, new_name = self._place(Path(new))
        assert folder is target
        folder.move(name, new_name)

    _replace_call = _rename_call

    def _unlink_call(self, path: Any, **named: Any) -> None:
        self.on_step()
        self._real["unlink"](path, **named)
        folder, name = self._place(Path(path))
        folder.remove(name)


def _site() -> str:
    """Which function of ours syncs what."""
    frame = sys._getframe(2)
    what = "file"
    while True:
        name = frame.f_code.co_name
        if name == "sync_folder":
            what = "folder"
        elif frame.f_globals["__name__"].startswith("twisted_bazaar."):
            return f"{Path(frame.f_code.co_filename).stem}.{name} {what}"
        assert frame.f_back is not None
        frame = frame.f_back
