"""What the bazaar is compared with: the least that Klein and gRPC can do. One of them a process.

python -m load.bench.bare http FILE     serve, and write the port to FILE
python -m load.bench.bare grpc FILE
python -m load.bench.bare call HOST:PORT CALLERS SECONDS     a JSON line says how it went
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from load.run.latencies import Latencies
from twisted_bazaar.rpc import keepalive
from twisted_bazaar.rpc.bazaar.v1 import market_pb2, order_pb2
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import (
    OrdersServicer,
    OrdersStub,
    add_OrdersServicer_to_server,
)

__all__ = ["main"]

STOCK = b'{"data":{"name":"GameStart","price":15.99,"quantity":100,"volume":0}}'
HANDLER_THREADS = 16


def _serve_http(file: Path) -> None:
    """Klein as it is at its best: routes that answer at once with bytes, and no access log."""
    from klein import Klein
    from twisted.internet import reactor
    from twisted.web.server import Site

    app = Klein()

    @app.route("/stocks/<name>", methods=["GET"])
    def stock(request: Any, name: str) -> bytes:
        request.setHeader(b"Content-Type", b"application/json")
        return STOCK

    @app.route("/orders", methods=["POST"])
    def place(request: Any) -> bytes:
        order = json.loads(request.content.read())
        request.setHeader(b"Content-Type", b"application/json")
        return json.dumps({"data": {"transaction_number": order["quantity"]}}).encode()

    site: Any = Site(app.resource())
    site.log = lambda request: None
    clock: Any = reactor
    port = clock.listenTCP(0, site, interface="127.0.0.1", backlog=511)
    _tell(file, port.getHost().port)
    clock.run()


class _Orders(OrdersServicer):
    def Trade(self, request: Any, context: Any) -> order_pb2.TradeReply:  # noqa: N802
        return order_pb2.TradeReply(outcomes=[order_pb2.Outcome(number=1)])


def _serve_grpc(file: Path) -> None:
    server = grpc.server(ThreadPoolExecutor(HANDLER_THREADS))
    add_OrdersServicer_to_server(_Orders(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    _tell(file, port)
    server.wait_for_termination()


def _tell(file: Path, port: int) -> None:
    part = file.with_suffix(".part")
    part.write_text(str(port))
    part.rename(file)


def _call(address: str, callers: int, seconds: float) -> None:
    """So many threads, each of which calls again once it has its answer."""
    channel = grpc.insecure_channel(address, options=keepalive.DIRECT)
    grpc.channel_ready_future(channel).result(timeout=10)
    stub = OrdersStub(channel)
    trade = order_pb2.Trade(key="key", stock="GameStart", side=market_pb2.SIDE_BUY, quantity=1)
    request = order_pb2.TradeRequest(trades=[trade])
    until = time.perf_counter() + seconds
    took: list[Latencies] = []

    def call() -> None:
        mine = Latencies()
        while (began := time.perf_counter()) < until:
            stub.Trade(request)
            mine.record(time.perf_counter() - began)
        took.append(mine)

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    latencies = Latencies()
    for each in took:
        latencies.add(each)
    print(
        json.dumps(
            {
                "rate": latencies.count / seconds,
                "p50_ms": latencies.percentile(50) * 1000,
                "p99_ms": latencies.percentile(99) * 1000,
                "errors": 0,
            }
        )
    )


def main() -> None:
    match sys.argv[1:]:
        case ["http", file]:
            _serve_http(Path(file))
        case ["grpc", file]:
            _serve_grpc(Path(file))
        case ["call", address, callers, seconds]:
            _call(address, int(callers), float(seconds))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
