"""The scenarios of the network stage are possible in every bazaar."""

from load.chaos.scenarios import SCENARIOS, Roles


def test_scenarios_name_services_that_exist() -> None:
    roles = Roles(
        "order-2", ["order-1", "order-3"], "catalog", ["frontend-2", "frontend"], ["redis"]
    )
    services = {*roles.all, *roles.redis}
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    for scenario in SCENARIOS:
        cuts, down = scenario.cuts(roles), scenario.down(roles)
        diversions, old = scenario.diversions(roles), scenario.old_folders(roles)
        assert cuts or down or diversions or old
        assert len(old) <= 1, "the others must make up for it"
        assert {name for each in diversions for name in each} | set(old) <= services
        cuts = [*cuts, *scenario.then_cuts(roles)]
        assert scenario.needs_redis == ("redis" in {*down, *(each for cut in cuts for each in cut)})
        assert {name for cut in cuts for name in cut} | set(down) <= services
        assert all(source != target for source, target in cuts)


def test_the_four_most_important_scenarios_come_first() -> None:
    first = [scenario.name for scenario in SCENARIOS[:4]]
    assert first == [
        "leader without a majority, which can be pinged",
        "cut from leader to catalog, one way",
        "front-end cut off from the catalog",
        "leader down for good",
    ]
    assert all(scenario.trades_flow for scenario in SCENARIOS[:4])
