"""`python -m twisted_bazaar market`, on real processes: what is changed, all clients see."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Ran, run

from .bazaar import Answer, Bazaar
from .cluster import Cluster
from .replicas import leader, verify_all
from .waiting import wait_until

SECRET = "0123456789abcdef\n"
SETTLED_SECONDS = 10.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two front-ends that cache, one catalog, three replicas."""
    folder = tmp_path_factory.mktemp("operations")
    secret = folder / "secret"
    secret.write_text(SECRET)
    option = f"--secret-file={secret}"
    with Cluster(
        folder / "cluster",
        frontends={"frontend": (option,), "frontend-2": (option,)},
        catalogs={"catalog": (option,)},
    ) as running:
        yield running


def market(*words: str) -> Ran:
    return run("market", *words)


def operate(cluster: Cluster, *words: str, at: str = "frontend") -> str:
    """What `market` says, which must succeed."""
    secret = str(cluster.folder.parent / "secret")
    own = [f"--certificates={cluster.certificates}"] if cluster.certificates else []
    done = market(*words, f"--frontend={cluster.internal[at]}", f"--secret-file={secret}", *own)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def stock(bazaar: Bazaar, name: str, at: str = "frontend") -> Any:
    return bazaar.request("GET", f"/stocks/{name}", at=at).body["data"]


def trade(bazaar: Bazaar, name: str, at: str = "frontend") -> Answer:
    return bazaar.request("POST", "/orders", {"name": name, "quantity": 1, "type": "buy"}, at=at)


def test_a_new_price_is_shown_and_traded_at_everywhere_once_it_is_answered(
    cluster: Cluster,
) -> None:
    frontends = ("frontend", "frontend-2")
    for cents in range(1, 4):
        for at in frontends:
            before = cluster.request("GET", "/stocks/FishCo", at=at)
            assert cluster.request("GET", "/stocks", at=at).status == 200
        said = operate(cluster, "price", "FishCo", f"7.0{cents}", at=frontends[cents % 2])
        assert said.startswith("ok: entry ")
        for at in frontends:
            price = 7 + cents / 100
            assert stock(cluster, "FishCo", at)["price"] == price
            shown = cluster.request("GET", "/stocks", at=at).body["data"]
            assert [each["price"] for each in shown if each["name"] == "FishCo"] == [price]
            tag = {"If-None-Match": before.headers["ETag"]}
            assert cluster.request("GET", "/stocks/FishCo", headers=tag, at=at).status == 200
        number = trade(cluster, "FishCo").body["data"]["transaction_number"]
        assert cluster.request("GET", f"/orders/{number}").body["data"]["price"] == price
    assert operate(cluster, "price", "FishCo", "7.03") == "ok: it was so already\n"


def test_a_halted_stock_is_shown_as_such_and_not_traded_until_it_is_resumed(
    cluster: Cluster,
) -> None:
    operate(cluster, "halt", "BoarCo", "RomanCo")
    for at in ("frontend", "frontend-2"):
        assert stock(cluster, "BoarCo", at)["halted"] is True
        refused = trade(cluster, "BoarCo", at)
        assert (refused.status, refused.body["error"]["reason"]) == (409, "halted")
    assert trade(cluster, "DruidCo").status == 200
    operate(cluster, "resume", "BoarCo", at="frontend-2")
    for at in ("frontend", "frontend-2"):
        assert stock(cluster, "BoarCo", at)["halted"] is False
        assert trade(cluster, "BoarCo", at).status == 200
        assert trade(cluster, "RomanCo", at).status == 409
    operate(cluster, "resume", "--all")


def test_a_new_stock_can_be_looked_up_and_traded(cluster: Cluster) -> None:
    for at in ("frontend", "frontend-2"):
        assert cluster.request("GET", "/stocks/N%C3%A9w", at=at).status == 404
    operate(cluster, "list", "Néw", "3.50", "7")
    for at in ("frontend", "frontend-2"):
        shown = {"name": "Néw", "price": 3.5, "quantity": 7, "volume": 0, "halted": False}
        assert cluster.request("GET", "/stocks/N%C3%A9w", at=at).body["data"] == shown
        assert shown in cluster.request("GET", "/stocks", at=at).body["data"]
    assert operate(cluster, "list", "Néw", "3.5", "7") == "ok: it was so already\n"
    assert trade(cluster, "Néw", "frontend-2").status == 200
    table = operate(cluster, "show").splitlines()
    assert table[0] == "name,price,quantity,volume,halted"
    assert "Néw,3.50,6,1,0" in table


def test_what_was_changed_outlives_the_leader_and_all_processes(cluster: Cluster) -> None:
    operate(cluster, "price", "MindComp", "1.23")
    operate(cluster, "halt", "MindComp")
    led = leader(cluster)
    cluster.kill(led)
    said = operate(cluster, "price", "BankCo", "4.56")
    assert said.startswith("ok: ")
    assert trade(cluster, "MindComp").body["error"]["reason"] == "halted"
    cluster.launch(led)
    names = ("catalog", "frontend", "frontend-2", "order-1", "order-2", "order-3")
    with cluster.without(*names):
        pass
    cluster.wait_ready()
    assert stock(cluster, "BankCo")["price"] == 4.56
    shown = stock(cluster, "MindComp")
    assert (shown["price"], shown["halted"]) == (1.23, True)
    assert trade(cluster, "MindComp").body["error"]["reason"] == "halted"
    operate(cluster, "resume", "MindComp")
    number = trade(cluster, "MindComp").body["data"]["transaction_number"]
    assert cluster.request("GET", f"/orders/{number}").body["data"]["price"] == 1.23

    def agree() -> bool:
        rows = cluster.request("GET", "/replicas").body["data"]
        return len({(row["last_number"], row["digest"]) for row in rows}) == 1

    wait_until(agree, "the replicas agree", SETTLED_SECONDS, cluster.tail)
    verify_all(cluster)


def test_it_is_not_on_the_public_port(cluster: Cluster) -> None:
    for method in ("GET", "POST"):
        answer = cluster.request(method, "/market", {"operation": "halt", "all": True})
        assert (answer.status, answer.body["error"]["reason"]) == (404, "no_such_path")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("price", "Nobody", "1"), "market: unknown stock: there is none named 'Nobody'\n"),
        (("halt", "GameStart", "X"), "market: unknown stock: there is none named 'X'\n"),
        (("list", "GameStart", "1", "1"), "market: 'GameStart' is listed already\n"),
        (
            ("price", "GameStart", "0"),
            "market: price must be from 0.01 to 1000000000000, not 0.00\n",
        ),
    ],
)
def test_a_wrong_operation_is_one_line(cluster: Cluster, words: list[str], line: str) -> None:
    secret = str(cluster.folder.parent / "secret")
    done = market(*words, f"--frontend={cluster.internal['frontend']}", f"--secret-file={secret}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_another_secret_is_refused_in_one_line(cluster: Cluster, tmp_path: Path) -> None:
    other = tmp_path / "secret"
    other.write_text("another secret of 16 bytes")
    at = f"--frontend={cluster.internal['frontend']}"
    done = market("halt", "--all", at, f"--secret-file={other}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("market: the operation is refused: it is not signed")
    assert done.stderr.count("\n") == 1
    assert stock(cluster, "GameStart")["halted"] is False
