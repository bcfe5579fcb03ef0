"""A replica's storage lives, and the power may fail at any moment: what does it find then?

Everything acknowledged must be there, and a loss of power alone must make nothing suspect. The
write under way may be there in part. A suspect log stays so until it is written as trusted.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.fakes.histories import LISTED, extend, number_of, order
from twisted_bazaar.consensus.entries import Entry, Opened
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.errors import Unusable
from twisted_bazaar.storage.leaving import Keep, boundary, leave
from twisted_bazaar.storage.logfile import LogFile

from .judge import Lost
from .moments import log_in_place, scratch, without_waiting
from .power import Disk, Image, Killed, Syncs

__all__ = ["Life", "live"]

DATA = Path("deep/data")
"""The folder of the replica, in folders that are not there either at first."""
LOSSES_OF_POWER = 3
DEEDS = 8
SEGMENT_BYTES = (300, 900, 900, 4000)


class State(NamedTuple):
    """What a storage says that it holds."""

    entries: tuple[Entry, ...] = ()
    term: int = 0
    vote: int = 0


class Expected(NamedTuple):
    """What a replica may find after a loss of power at some moment."""

    states: tuple[State, ...]
    """One of them; the last is that after the write under way, if there is one."""
    trusted: bool
    """It was acknowledged that it is trusted."""
    trusting: bool
    """The write under way says so."""
    harmed: bool
    """Something was damaged; it may hold anything."""
    new: bool
    """It was never trusted, nor harmed."""


class Life:
    """The storage of one replica over starts, kills and losses of power.

    At every step so many `images` of the disk after a loss of power are judged.
    """

    def __init__(self, random: Random, syncs: Syncs, images: int, archives: bool) -> None:
        """`archives`: what is released leaves the log now and then."""
        self.judged = 0
        """How many images were."""
        self.sites: set[str] = set()
        """Where the storage synced."""
        self._random = random
        self._syncs = syncs
        self._images = images
        self._archives = archives
        self._released = 0
        self.left = 0
        """How many segments have left the log."""
        self._state = State()
        self._write: Write | None = None
        self._trusted = self._harmed = False
        self._new = True
        self._steps_left = 0
        self._noted: dict[int, tuple[Image, Expected]] = {}

    def run(self) -> None:
        """Live. Raises `Lost`."""
        image: Image = {}
        for _ in range(LOSSES_OF_POWER):
            if self._random.random() < 0.3:
                self._harm(image)
            with scratch() as folder:
                disk = Disk(folder, self._syncs)
                disk.put(image)
                disk.on_step = lambda disk=disk: self._step(disk)
                with disk.recording():
                    self._go_on(disk)
                    self._step(disk)
                image = disk.image(self._random)
                self.sites |= disk.sites
            for noted, expected in self._noted.values():
                self._judge(noted, expected)
            self._noted.clear()

    def _harm(self, image: Image) -> None:
        """Damage that cannot be the end of a write: in the very first line."""
        begin = image.get(str(DATA / "log" / "begin"))
        start = json.loads(begin)["position"] if begin else 0
        first = str(DATA / "log" / f"{start:020}.jsonl")
        if self._trusted and (content := image.get(first)):
            image[first] = content[:5] + b"?" + content[6:]
            self._harmed, self._trusted, self._new = True, False, False

    # From one loss of power to the next.

    def _go_on(self, disk: Disk) -> None:
        deeds = iter(range(DEEDS))
        while next(deeds, None) is not None:
            self._steps_left = self._random.choice((0, 0, self._random.randint(1, 60)))
            file = None
            try:
                file = log_in_place(
                    disk.root / DATA, self._random, self._random.choice(SEGMENT_BYTES)
                )
                self._opened(file)
                for _ in zip(range(self._random.randint(0, 5)), deeds, strict=False):
                    self._do(file)
                    if self._archives and file.suspect is None:
                        self._archive(file)
                file.close()
            except Killed:
                disk.forget_process()
        self._steps_left = 0

    def _step(self, disk: Disk) -> None:
        """Something is about to be asked of the disk."""
        expected = self._expected()
        for _ in range(self._images):
            image = disk.image(self._random)
            self._noted[hash((tuple(image.items()), expected))] = image, expected
        if self._steps_left:
            self._steps_left -= 1
            if not self._steps_left:
                raise Killed

    def _opened(self, file: LogFile) -> None:
        """What an opened storage says that it holds is acknowledged from then on."""
        check(file, self._expected())
        self._state = state_of(file)
        self._trusted = file.suspect is None
        self._new = file.fresh
        self._harmed = False
        self._write = None
        if self._released > file.last_index:
            self._released = 0  # The log was set aside.

    def _do(self, file: LogFile) -> None:
        self._write = self._next_write()
        file.write(self._write)
        *_, self._state = states_after(self._state, self._write)
        self._trusted |= self._write.trusted
        self._new &= not self._trusted
        self._write = None

    def _archive(self, file: LogFile) -> None:
        """Some more is released; one segment leaves, if it may."""
        self._released = self._random.randint(self._released, file.last_index)
        stays = boundary(file, self._released, Keep())
        if stays is not None:
            assert file.archive is not None
            begins = leave(file, file.archive, stays, "")
            file.leave(begins)
            file.segments.sweep(begins.position)
            self.left += 1

    def _next_write(self) -> Write:
        entries, term, vote = self._state
        trusted = self._random.random() < 0.4
        term = max(1, term + self._random.choice((0, 0, 0, 1)))
        kept = len(entries)
        if entries and self._random.random() < 0.2:
            kept, term = self._random.randint(self._released, len(entries)), term + 1
        number = number_of(entries[:kept])
        events = [order(number + 1 + each) for each in range(self._random.choice((0, 1, 1, 3, 12)))]
        made = extend(entries[:kept], [Opened(leader=2), LISTED] if kept == 0 else events, term)
        return Write(
            term,
            self._random.choice((vote, vote, 1, 2)),
            kept if kept < len(entries) else None,
            tuple(made),
            trusted,
        )

    # What may be found.

    def _expected(self) -> Expected:
        states = tuple(states_after(self._state, self._write))
        trusting = self._write is not None and self._write.trusted
        return Expected(states, self._trusted, trusting, self._harmed, self._new)

    def _judge(self, image: Image, expected: Expected) -> None:
        self.judged += 1
        with scratch() as folder:
            for path, content in image.items():
                if content is None:
                    (folder / path).mkdir()
                else:
                    (folder / path).write_bytes(content)
            try:
                file = log_in_place(folder / DATA, Random(1))
            except Unusable as error:
                raise Lost(f"it cannot be opened: {error}") from None
            file.close()
            check(file, expected)


def state_of(file: LogFile) -> State:
    return State(tuple(file.read(0, file.last_index)), file.term, file.vote)


def states_after(state: State, write: Write | None) -> Iterator[State]:
    """What a storage may hold that was in `state`, and then writes: more and more of it."""
    yield state
    if write is None:
        return
    entries = state.entries
    yield State(entries, write.term, write.vote)
    if write.truncate is not None:
        entries = entries[: write.truncate]
        yield State(entries, write.term, write.vote)
    for entry in write.entries:
        entries = (*entries, entry)
        yield State(entries, write.term, write.vote)


def check(file: LogFile, expected: Expected) -> None:
    """See that `file` holds what it may. Raises `Lost`."""
    if file.suspect is None:
        if not expected.trusted and not expected.trusting:
            raise Lost("it is trusted, though it was never written as trusted")
        states = expected.states if expected.trusted else expected.states[-1:]
    else:
        if expected.trusted:
            raise Lost(f"it is suspect, though nothing is damaged: {file.suspect}")
        if expected.new and file.last_index == 0 and not file.fresh:
            raise Lost(f"it was never trusted, and is not fresh: {file.suspect}")
        if expected.harmed:
            return
        states = expected.states
    if (state := state_of(file)) not in states:
        entries, term, vote = state
        raise Lost(
            f"it holds {len(entries)} entries, term {term}, vote {vote}, not one of"
            f" {[(len(entries), term, vote) for entries, term, vote in states]}"
        )


def live(seed: int, syncs: Syncs = lambda _: True, images: int = 3, archives: bool = False) -> Life:
    """One life. Raises `Lost`, with the seed."""
    life = Life(Random(f"crashes {seed}"), syncs, images, archives)
    with without_waiting():
        try:
            life.run()
        except Lost as error:
            raise Lost(f"seed {seed}: {error}") from None
    return life
