"""What the bazaar is compared with: servers that do the least that Klein and gRPC can do.

python -m load.bench.bare http FILE     serve, and write the port to FILE
python -m load.bench.bare grpc FILE
python -m load.bench.bare call HOST:PORT CALLERS SECONDS     call the gRPC one, print a JSON line
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import grpc
from twisted.internet.address import IPv4Address
from twisted.web.http import Request

from load.run.latencies import Latencies
from twisted_bazaar.rpc import keepalive
from twisted_bazaar.rpc.bazaar.v1 import market_pb2, order_pb2
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import (
    OrdersServicer,
    OrdersStub,
    add_OrdersServicer_to_server,
)
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.storage.files import replace_file

from .sample_line import sample_line

__all__ = ["main"]

STOCK = b'{"data":{"name":"GameStart","price":15.99,"quantity":100,"volume":0,"halted":false}}'
HANDLER_THREADS = 16


def _serve_http(file: Path) -> None:
    """Serve Klein routes that answer at once with bytes, without an access log."""
    from klein import Klein
    from twisted.internet import reactor
    from twisted.web.server import Site

    app = Klein()

    @app.route("/stocks/<name>", methods=["GET"])
    def stock(request: Request, name: str) -> bytes:
        request.setHeader(b"Content-Type", b"application/json")
        return STOCK

    @app.route("/orders", methods=["POST"])
    def place(request: Request) -> bytes:
        assert request.content is not None
        order = json.loads(request.content.read())
        request.setHeader(b"Content-Type", b"application/json")
        return json.dumps({"data": {"transaction_number": order["quantity"]}}).encode()

    site = Site(app.resource())
    site.log = lambda request: None  # type: ignore[method-assign]
    running = cast(Reactor, reactor)
    port = running.listenTCP(0, cast(Any, site), interface="127.0.0.1", backlog=511)
    address = port.getHost()
    assert isinstance(address, IPv4Address)
    _publish(file, address.port)
    running.run()


class _Orders(OrdersServicer):
    def Trade(  # noqa: N802
        self, request: order_pb2.TradeRequest, context: grpc.ServicerContext
    ) -> order_pb2.TradeReply:
        return order_pb2.TradeReply(outcomes=[order_pb2.Outcome(number=1)])


def _serve_grpc(file: Path) -> None:
    server = grpc.server(ThreadPoolExecutor(HANDLER_THREADS))
    add_OrdersServicer_to_server(_Orders(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    _publish(file, port)
    server.wait_for_termination()


def _publish(file: Path, port: int) -> None:
    replace_file(file, b"%d" % port, sync=False)


def _call(address: str, callers: int, seconds: float) -> None:
    """Call from `callers` threads, each of which calls again once it has its answer."""
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
    print(sample_line(latencies, seconds, errors=0))


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
