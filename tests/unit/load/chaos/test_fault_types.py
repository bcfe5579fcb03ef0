"""Which faults can be injected depends on what a bazaar has."""

from load.chaos.fault_types import fault_types

NAMES = ["frontend", "catalog", "order-1", "order-2", "order-3", "redis"]


def test_a_bazaar_without_redis_has_no_faults_of_it() -> None:
    found = fault_types(NAMES[:-1], kill=True, pause=True)
    assert not [each for each in found if each.target == "redis"]


def test_folders_are_replaced_only_with_three_replicas() -> None:
    few = [name for name in NAMES if name != "order-3"]
    for names, there in ((NAMES, True), (few, False)):
        found = fault_types(names, kill=True, pause=True, folders=True)
        assert any("folder" in each.name for each in found) is there
    found = fault_types(NAMES, kill=True, pause=True)
    assert not [each for each in found if "folder" in each.name]
