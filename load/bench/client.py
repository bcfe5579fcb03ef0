"""A closed loop of our own, for machines without `wrk`: a JSON line says how it went.

python -m load.bench.client URL lookups|trades STOCK,STOCK… CONNECTIONS SECONDS
"""

import json
import sys
from itertools import cycle

from twisted.internet import task
from twisted.internet.defer import Deferred, DeferredList

from load.client.connection import Connection
from load.client.session import NoAnswer
from load.run.latencies import Latencies
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import monotonic_seconds

__all__ = ["main"]

ANSWER_SECONDS = 8.0


async def _loop(
    reactor: Reactor, url: str, kind: str, stocks: list[str], connections: int, seconds: float
) -> None:
    latencies, errors = Latencies(), 0
    paths = cycle([f"{url}/stocks/{name}" for name in stocks])
    bodies = cycle([{"name": name, "quantity": 1, "type": side}
                    for name in stocks for side in ("buy", "sell")])  # fmt: skip
    until = monotonic_seconds() + seconds

    async def client() -> None:
        nonlocal errors
        connection = Connection(reactor)
        while (began := monotonic_seconds()) < until:
            try:
                if kind == "trades":
                    asked = connection.post(f"{url}/orders", next(bodies), {}, ANSWER_SECONDS)
                else:
                    asked = connection.get(next(paths), ANSWER_SECONDS)
                errors += (await asked).status != 200
            except NoAnswer:
                errors += 1
            latencies.record(monotonic_seconds() - began)
        await connection.close()

    clients = [Deferred.fromCoroutine(client()) for _ in range(connections)]
    await DeferredList(clients, fireOnOneErrback=True)
    said = {
        "rate": latencies.count / seconds,
        "p50_ms": latencies.percentile(50) * 1000,
        "p99_ms": latencies.percentile(99) * 1000,
        "errors": errors,
    }
    print(json.dumps(said))


def main() -> None:
    url, kind, stocks, connections, seconds = sys.argv[1:]
    task.react(
        lambda reactor: Deferred.fromCoroutine(
            _loop(reactor, url, kind, stocks.split(","), int(connections), float(seconds))
        )
    )


if __name__ == "__main__":
    main()
