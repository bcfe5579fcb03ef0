"""A bazaar whose log is in an engine, cut into partitions: each service is a real process."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.fakes.certificates import OPERATOR
from twisted_bazaar.frontend.operations.challenges import (
    CHALLENGE_HEADER,
    SIGNATURE_HEADER,
    sign_operation,
)

from .bazaar import START_SECONDS, Answer
from .chosen_engine import Engine
from .cluster import Cluster
from .inside import connection_to
from .waiting import wait_until

__all__ = ["PartitionedCluster"]


UNHURRIED = (
    *("--heartbeat=0.1", "--election-timeout=1", "--tenure=1.5", "--lease=2", "--deadline=9"),
)
"""A leader keeps its lead where other tests take the processors."""


class PartitionedCluster(Cluster):
    """Three members, of which each leads some of the partitions; a catalog and a front-end."""

    def __init__(self, folder: Path, url: str, partitions: int, *options: str) -> None:
        """`url` is that of the engine."""
        super().__init__(folder, *UNHURRIED, *options, engine=Engine(url, partitions))
        self.secret = folder / "secret"
        folder.mkdir(parents=True, exist_ok=True)
        self.secret.write_text("the secret of a bazaar in a test")

    def command(self, name: str) -> list[str]:
        command = super().command(name)
        if name.startswith("order-"):
            return command
        return [*command, f"--secret-file={self.secret}"]

    def partition_states(self) -> Sequence[Any]:
        """What `/status` says of each partition."""
        states: Sequence[Any] = self.request("GET", "/status").body["data"]["partitions"]
        return states

    def leaders(self) -> list[int]:
        """By partition, the member that leads it; 0: none."""
        return [each["leader"] for each in self.partition_states()]

    def led_without(self, member: int) -> list[int]:
        """By partition, its leader, if all have one, and `member` leads none; else empty."""
        leaders = self.leaders()
        return leaders if not {0, member} & {*leaders} else []

    def wait_led(self, *leaders: int, within: float = START_SECONDS) -> None:
        """Wait until these lead the partitions, by number."""
        wait_until(lambda: self.leaders() == [*leaders], f"led by {leaders}", within, self.tail)

    def operate(self, operation: Mapping[str, Any]) -> Any:
        """The data that the front-end answers to an operation; of a refusal, the error."""
        connection = connection_to(self, "frontend", OPERATOR)
        try:
            connection.request("GET", "/market")
            challenge = json.loads(connection.getresponse().read())["data"]["challenge"]
            body = json.dumps(operation).encode()
            signature = sign_operation(self.secret.read_bytes(), challenge, body).decode()
            names = CHALLENGE_HEADER.decode(), SIGNATURE_HEADER.decode()
            headers = dict(zip(names, (challenge, signature), strict=True))
            connection.request("POST", "/market", body, headers)
            answer = json.loads(connection.getresponse().read())
            return answer.get("data") or answer["error"]
        finally:
            connection.close()

    def shown(self, moved: Sequence[Mapping[str, Any]]) -> Any:
        """The partitions as operators are shown them, once these stocks were `moved`; None: not
        yet."""
        shown = self.operate({"operation": "partitions"})
        return shown if shown["moved"] == moved else None

    def buy(self, stock: str, quantity: int = 1, key: str = "") -> Answer:
        headers = {"Idempotency-Key": key} if key else {}
        trade = {"name": stock, "quantity": quantity, "type": "buy"}
        return self.request("POST", "/orders", trade, headers)
