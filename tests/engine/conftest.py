import pytest

from .engines import Tried, TriedMemory


@pytest.fixture
def tried() -> Tried:
    return TriedMemory()
