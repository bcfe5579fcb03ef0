"""Which front-end the operations of a command line are for, and the secret that they are signed
with."""

import json
import ssl
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from twisted_bazaar.errors import Unusable
from twisted_bazaar.tools import signed_operations
from twisted_bazaar.tools.operation_arguments import add_member_arguments
from twisted_bazaar.tools.signed_operations import Operator

SECRET = "a secret that is long enough"


def asked(*options: str | Path) -> Namespace:
    parser = ArgumentParser()
    add_member_arguments(parser)
    return parser.parse_args(["show", *map(str, options)])


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


@pytest.fixture
def data(tmp_path: Path, secret: Path) -> Path:
    """The folder of a bazaar on this machine."""
    process = {"name": "frontend", "internal": "127.0.0.1:7010", "command": []}
    (tmp_path / "processes.json").write_text(json.dumps([process]))
    return tmp_path


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, secret: Path) -> None:
    monkeypatch.setenv("BAZAAR_FRONTEND", "front:8091")
    monkeypatch.setenv("BAZAAR_SECRET_FILE", str(secret))


@pytest.mark.usefixtures("environment")
def test_the_environment_names_a_front_end_and_its_secret() -> None:
    operator = Operator.find(asked())
    assert (str(operator.address), operator.secret) == ("front:8091", SECRET.encode())


@pytest.mark.usefixtures("environment")
def test_what_is_on_the_command_line_wins(data: Path, tmp_path: Path) -> None:
    assert str(Operator.find(asked("--frontend", "other:1")).address) == "other:1"
    assert str(Operator.find(asked("--data", data)).address) == "127.0.0.1:7010"
    (tmp_path / "other").write_text("another secret, which is long enough")
    found = Operator.find(asked("--secret-file", tmp_path / "other"))
    assert found.secret.startswith(b"another")


class Unanswered:
    def __init__(self, why: Exception) -> None:
        self._why = why

    def request(self, *_: object) -> None:
        raise self._why

    def close(self) -> None:
        pass


def _unusual() -> ssl.SSLError:
    why = ssl.SSLError(1, "[SSL] …")
    why.reason = "SSLV3_ALERT_CERTIFICATE_EXPIRED"
    return why


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("why", "line"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (_unusual(), "it refuses this process's certificate: sslv3 alert certificate expired"),
    ],
)
def test_why_nothing_answers_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, why: Exception, line: str
) -> None:
    monkeypatch.setattr(signed_operations, "connect_inside", lambda *_: Unanswered(why))
    with pytest.raises(Unusable) as caught:
        Operator.find(asked()).operate({"operation": "members"})
    assert str(caught.value) == f"front:8091/market does not answer: {line}"


def test_a_secret_of_the_environment_alone_names_no_front_end(
    data: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAZAAR_SECRET_FILE", str(secret))
    assert str(Operator.find(asked("--data", data)).address) == "127.0.0.1:7010"
    monkeypatch.delenv("BAZAAR_SECRET_FILE")
    with pytest.raises(Unusable, match="given together"):
        Operator.find(asked("--frontend", "front:8091"))
