"""Three hundred clients want the hundred shares that there are, all at once."""

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults

from .bazaar import Bazaar
from .web_client import Reply, WebClient, web_client

BUYERS = 300
REST = {"number", "time", "client_order_id", "total", "limit_price"}
SHARES = 100
"""What a bazaar lists of each stock."""
STOCK = "GameStart"
LET_IN_SECONDS = 0.9
"""Who finds the door shut knocks again after a second."""


async def buy_one_each(web: WebClient, keys: Sequence[str | None]) -> list[Reply]:
    """All at once, each on a connection of its own; the answers in the order of `keys`."""
    calls = [web.trade("buy", 1, STOCK, key) for key in keys]
    replies: list[Reply] = await gatherResults(calls, consumeErrors=True)
    return replies


def bought(replies: Sequence[Reply]) -> list[int]:
    """The order numbers of those that got a share; the others were told that none is left."""
    for reply in replies:
        if reply.code != 200:
            error = {
                "code": 409,
                "reason": "not_enough_shares",
                "message": f'not enough shares: buy 1 "{STOCK}"',
            }
            assert (reply.code, reply.json) == (409, {"error": error})
    return [reply.data["transaction_number"] for reply in replies if reply.code == 200]


async def assert_sold_out_to_a_hundred(web: WebClient) -> None:
    """Nothing is left, and the orders 1 … 100 are on record: one share each, and no others."""
    sold_out = {"name": STOCK, "price": 15.99, "quantity": 0, "volume": SHARES, "halted": False}
    assert await web.stock(STOCK) == sold_out
    assert sold_out in (await web.get("/stocks")).data
    listed = await web.orders()
    assert [order["number"] for order in listed] == list(range(1, SHARES + 1))
    wanted: dict[str, Any] = {"name": STOCK, "type": "buy", "quantity": 1, "price": 15.99}
    looked_up = [web.get(f"/orders/{order['number']}") for order in listed]
    for order, reply in zip(listed, await gatherResults(looked_up), strict=True):
        assert order.items() >= wanted.items()
        assert order.keys() - wanted.keys() == REST
        assert reply.data == order
    assert (await web.get(f"/orders/{SHARES + 1}")).code == 404
    assert (await web.trade("buy", 1, STOCK)).code == 409


@pytest_twisted.ensureDeferred
async def test_a_hundred_of_three_hundred_get_a_share_and_the_numbers_1_to_100(
    start_bazaar: Callable[..., Bazaar],
) -> None:
    bazaar = start_bazaar("--cache=off")
    async with web_client(bazaar.url, BUYERS) as web:
        replies = await buy_one_each(web, [None] * BUYERS)
        assert sorted(bought(replies)) == list(range(1, SHARES + 1))
        assert not any(reply.header("Idempotent-Replayed") for reply in replies)
        await assert_sold_out_to_a_hundred(web)


@pytest_twisted.ensureDeferred
async def test_buyers_that_send_their_key_twice_at_once_get_one_answer_and_one_share(
    start_bazaar: Callable[..., Bazaar],
) -> None:
    bazaar = start_bazaar("--replicas=1", "--cache=off")
    once = [f"once-{n}" for n in range(BUYERS // 2)]
    twice = [f"twice-{n}" for n in range(BUYERS // 2)]
    keys = once + twice + twice
    Random(1).shuffle(keys)
    async with web_client(bazaar.url, len(keys)) as web:
        answers: dict[str, list[Reply]] = {}
        replies = await buy_one_each(web, keys)
        for key, reply in zip(keys, replies, strict=True):
            answers.setdefault(key, []).append(reply)
        bought(replies)
        for same in answers.values():
            assert len({(reply.code, reply.body) for reply in same}) == 1
            replayed = [reply.header("Idempotent-Replayed") for reply in same]
            assert replayed.count("true") < len(same), "somebody was the first"
        assert sorted(bought([same[0] for same in answers.values()])) == list(range(1, SHARES + 1))
        await assert_sold_out_to_a_hundred(web)
        for again, same in zip(
            await buy_one_each(web, list(answers)), answers.values(), strict=True
        ):
            assert (again.code, again.body) == (same[0].code, same[0].body)
            assert again.header("Idempotent-Replayed") == ("true" if again.code == 200 else None)


def kernel_queue() -> int:
    """How many clients this machine lets wait for one that listens."""
    try:
        return int(Path("/proc/sys/net/core/somaxconn").read_text())
    except OSError:
        return 0


@pytest.mark.skipif(kernel_queue() < BUYERS, reason="this machine lets fewer wait")
def test_three_hundred_may_come_in_at_once_while_the_front_end_is_busy(
    start_bazaar: Callable[..., Bazaar],
) -> None:
    bazaar = start_bazaar("--replicas=1", "--cache=off")
    host, _, port = bazaar.processes()["frontend"]["address"].rpartition(":")
    with ExitStack() as stack:
        busy = bazaar.kill("frontend", signal.SIGSTOP)
        stack.callback(os.kill, busy, signal.SIGCONT)
        poll = select.poll()
        clients: dict[int, socket.socket] = {}
        for _ in range(BUYERS):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((host, int(port)))
            poll.register(client, select.POLLOUT)
            clients[client.fileno()] = client
        outside = set(clients)
        deadline = time.monotonic() + LET_IN_SECONDS
        while outside and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000):
                poll.unregister(descriptor)
                outside.remove(descriptor)
        assert not outside, f"{len(outside)} of {BUYERS} were not let in"
        os.kill(busy, signal.SIGCONT)
        for client in clients.values():
            client.settimeout(10)
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: bazaar\r\n\r\n")
        for client in clients.values():
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
