"""A bazaar whose orders are elsewhere than its options say does not begin a second time."""

import re
from pathlib import Path

import pytest

from twisted_bazaar.errors import Unusable
from twisted_bazaar.local.engine import EMBEDDED
from twisted_bazaar.local.wrong_folder import check_orders_are_there
from twisted_bazaar.storage.owner import Owner, take_folder

URL = "postgresql://db/bazaar"


def refusal(data: Path, engine: str | None) -> str:
    with pytest.raises(Unusable) as raised:
        check_orders_are_there(data, engine)
    return re.sub(re.escape(str(data)), "DATA", str(raised.value))


@pytest.mark.parametrize("engine", [None, EMBEDDED, URL])
def test_a_new_folder_is_for_any(tmp_path: Path, engine: str | None) -> None:
    check_orders_are_there(tmp_path, engine)
    check_orders_are_there(tmp_path / "none", engine)


def test_a_server_of_its_own_is_not_forgotten(tmp_path: Path) -> None:
    (tmp_path / "engine" / "server").mkdir(parents=True)
    check_orders_are_there(tmp_path, EMBEDDED)
    line = "--engine: the orders are in DATA/engine/server: --engine=embedded-postgres finds them"
    assert refusal(tmp_path, None) == line
    assert refusal(tmp_path, URL) == line


def test_logs_of_replicas_are_not_left_behind(tmp_path: Path) -> None:
    (tmp_path / "order-1" / "log").mkdir(parents=True)
    check_orders_are_there(tmp_path, None)
    for engine in (EMBEDDED, URL):
        line = "--engine: DATA/order-1 holds an order log, which would be left behind"
        assert refusal(tmp_path, engine) == line


def test_orders_in_an_engine_elsewhere_are_not_forgotten(tmp_path: Path) -> None:
    (tmp_path / "order-2").mkdir()
    take_folder(tmp_path / "order-2", Owner(2, "bazaar", 1))
    check_orders_are_there(tmp_path, URL)
    line = "--engine: the orders of DATA/order-2 are in an engine, which it must name"
    assert refusal(tmp_path, None) == line
