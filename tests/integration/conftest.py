"""Bazaars to test against. Must not import klein or the reactor at its top."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .bazaar import Bazaar


@pytest.fixture(scope="module")
def bazaar(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bazaar]:
    """A ready bazaar for all tests of a module, which may trade and must change nothing else.

    A module that needs no three replicas says `BAZAAR_OPTIONS = ("--replicas=1",)`: each process
    takes most of a second to start.
    """
    options: tuple[str, ...] = getattr(request.module, "BAZAAR_OPTIONS", ())
    with Bazaar(tmp_path_factory.mktemp("bazaar"), *options) as running:
        yield running


@pytest.fixture
def start_bazaar(tmp_path: Path) -> Iterator[Callable[..., Bazaar]]:
    """Starts bazaars of a test's own: `start_bazaar("--replicas=5", ready=True)`.

    All are stopped when the test ends, and must then stop in order; one that the test has
    killed with `kill_all` is left alone.
    """
    started: list[Bazaar] = []

    def start(
        *options: str, ready: bool = True, environment: dict[str, str] | None = None
    ) -> Bazaar:
        folder = tmp_path / f"bazaar-{len(started) + 1}"
        started.append(Bazaar(folder, *options, environment=environment))
        return started[-1].start(ready=ready)

    yield start
    for each in started:
        each.stop()
