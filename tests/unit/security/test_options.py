"""Plain text inside is spoken where only this machine hears it, or where it is asked for."""

from pathlib import Path
from typing import Any

import pytest

import twisted_bazaar.catalog.tap as catalog_tap
import twisted_bazaar.frontend.tap as frontend_tap
import twisted_bazaar.order.tap as order_tap

HERE = {
    catalog_tap.Options: ["--listen=127.0.0.1:7000", "--data=x"],
    frontend_tap.Options: [
        "--catalog=localhost:7000",
        "--replica=1=[::1]:7001",
        "--replica=2=127.9.9.9:7001",
    ],
    order_tap.Options: [
        "--id=1",
        "--listen=127.0.0.1:7001",
        "--data=x",
        "--peer=2=localhost:7002",
        "--catalog=[::1]:7000",
    ],
}
ELSEWHERE = [
    (catalog_tap.Options, ["--listen=0.0.0.0:7000"], "0.0.0.0:7000"),
    (frontend_tap.Options, ["--internal=tcp:7010"], "tcp:7010"),
    (frontend_tap.Options, ["--internal=tcp6:7010"], "tcp6:7010"),
    (frontend_tap.Options, ["--catalog=catalog:7000"], "catalog:7000"),
    (frontend_tap.Options, ["--replica=3=10.0.0.3:7001"], "10.0.0.3:7001"),
    (order_tap.Options, ["--listen=[::]:7001"], "[::]:7001"),
    (order_tap.Options, ["--peer=3=order-3:7001"], "order-3:7001"),
    (order_tap.Options, ["--catalog=localhost.example:7000"], "localhost.example:7000"),
]


def parsed(service: Any, *more: str) -> Any:
    options = service()
    options.parseOptions([*HERE[service], *more])
    return options.config.inside


@pytest.mark.parametrize("service", HERE, ids=lambda each: each.__module__)
def test_on_loopback_no_certificates_are_needed(service: Any) -> None:
    inside = parsed(service)
    assert (inside.certificates, inside.exposed) == (None, "")


def test_a_local_socket_is_of_this_machine() -> None:
    assert parsed(frontend_tap.Options, "--internal=unix:/run/bazaar").exposed == ""


@pytest.mark.parametrize(("service", "more", "where"), ELSEWHERE)
def test_elsewhere_they_must_be_given_or_plain_text_asked_for(
    service: Any, more: list[str], where: str
) -> None:
    with pytest.raises(SystemExit) as refused:
        parsed(service, *more)
    line = str(refused.value)
    assert line.startswith("Options: --certificates must be given (or --plain-inside")
    assert where in line
    assert "\n" not in line
    assert parsed(service, *more, "--plain-inside").exposed == where
    inside = parsed(service, *more, "--certificates=some/folder")
    assert (inside.certificates, inside.exposed) == (Path("some/folder"), "")


@pytest.mark.parametrize("service", HERE, ids=lambda each: each.__module__)
def test_certificates_and_plain_text_exclude_each_other(service: Any) -> None:
    with pytest.raises(SystemExit, match="--plain-inside must not be given beside --certificates"):
        parsed(service, "--plain-inside", "--certificates=x")
