"""One partition, its leader, and another member that has seen what the leader wrote last."""

import pytest

from tests.fakes.tenure import TenureLife
from twisted_bazaar.engine.memory import MemoryEngine


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine("bazaar", 1)


@pytest.fixture
def life(engine: MemoryEngine) -> TenureLife:
    return TenureLife(engine)


@pytest.fixture
def leader(engine: MemoryEngine) -> TenureLife:
    """It has listed the market."""
    life = TenureLife(engine)
    life.win()
    life.lists()
    return life


@pytest.fixture
def other(engine: MemoryEngine, leader: TenureLife) -> TenureLife:
    """Another member, which has seen what `leader` wrote last."""
    other = TenureLife(engine, member=2)
    other.look()
    return other
