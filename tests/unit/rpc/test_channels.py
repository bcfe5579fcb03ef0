"""The channels of a process, as the addresses that it calls change."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from twisted.internet.task import Clock

from twisted_bazaar.rpc.bazaar.v1 import order_pb2
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import OrdersStub
from twisted_bazaar.rpc.channel import Channel, Channels
from twisted_bazaar.runtime.address import Address

HERE, THERE = Address("127.0.0.1", 1), Address("127.0.0.1", 2)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def channels(clock: Clock) -> Iterator[Channels]:
    reactor: Any = clock
    channels = Channels(reactor, 1)
    channels.startService()
    yield channels
    channels.stopService()
    assert not clock.getDelayedCalls()


def is_closed(channel: Channel) -> bool:
    try:
        OrdersStub(channel.grpc).Status(order_pb2.StatusRequest(), timeout=0.01)
    except grpc.RpcError:
        return False  # nothing listens there
    except ValueError:
        return True
    raise AssertionError


def test_a_channel_that_is_of_no_use_is_closed_once_its_calls_had_time(
    channels: Channels, clock: Clock
) -> None:
    kept, gone = channels.to(HERE), channels.to(THERE)
    channels.keep_only([HERE], 10.0)
    channels.keep_only([HERE], 10.0)
    clock.advance(9.9)
    assert not is_closed(gone)
    clock.advance(0.1)
    assert is_closed(gone)
    assert not is_closed(kept)
    assert channels.to(HERE) is kept
    assert channels.to(THERE) is not gone


def test_a_channel_that_is_of_use_again_stays(channels: Channels, clock: Clock) -> None:
    channel = channels.to(THERE)
    channels.keep_only([], 10.0)
    channels.keep_only([THERE], 10.0)
    clock.advance(10.0)
    assert channels.to(THERE) is channel


def test_a_stop_waits_for_no_channel(channels: Channels) -> None:
    channels.to(THERE)
    channels.keep_only([], 10.0)
