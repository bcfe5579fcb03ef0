from twisted_bazaar.rpc.bazaar.v1 import market_pb2 as _market_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Rejection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REJECTION_UNSPECIFIED: _ClassVar[Rejection]
    REJECTION_UNKNOWN_STOCK: _ClassVar[Rejection]
    REJECTION_NOT_ENOUGH_SHARES: _ClassVar[Rejection]
    REJECTION_TOO_MANY_SHARES: _ClassVar[Rejection]
    REJECTION_KEY_REUSED: _ClassVar[Rejection]

class Retry(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETRY_UNSPECIFIED: _ClassVar[Retry]
    RETRY_NOT_LEADER: _ClassVar[Retry]
    RETRY_OVERLOADED: _ClassVar[Retry]
    RETRY_OUTCOME_UNKNOWN: _ClassVar[Retry]
REJECTION_UNSPECIFIED: Rejection
REJECTION_UNKNOWN_STOCK: Rejection
REJECTION_NOT_ENOUGH_SHARES: Rejection
REJECTION_TOO_MANY_SHARES: Rejection
REJECTION_KEY_REUSED: Rejection
RETRY_UNSPECIFIED: Retry
RETRY_NOT_LEADER: Retry
RETRY_OVERLOADED: Retry
RETRY_OUTCOME_UNKNOWN: Retry

class Trade(_message.Message):
    __slots__ = ("key", "stock", "side", "quantity")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    key: str
    stock: str
    side: _market_pb2.Side
    quantity: int
    def __init__(self, key: _Optional[str] = ..., stock: _Optional[str] = ..., side: _Optional[_Union[_market_pb2.Side, str]] = ..., quantity: _Optional[int] = ...) -> None: ...

class TradeRequest(_message.Message):
    __slots__ = ("trades", "term", "life", "number", "expected", "expires", "cluster", "to")
    TRADES_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LIFE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    trades: _containers.RepeatedCompositeFieldContainer[Trade]
    term: int
    life: int
    number: int
    expected: _containers.RepeatedScalarFieldContainer[int]
    expires: _containers.RepeatedScalarFieldContainer[float]
    cluster: str
    to: int
    def __init__(self, trades: _Optional[_Iterable[_Union[Trade, _Mapping]]] = ..., term: _Optional[int] = ..., life: _Optional[int] = ..., number: _Optional[int] = ..., expected: _Optional[_Iterable[int]] = ..., expires: _Optional[_Iterable[float]] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("number", "rejection", "retry", "replayed")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    number: int
    rejection: Rejection
    retry: Retry
    replayed: bool
    def __init__(self, number: _Optional[int] = ..., rejection: _Optional[_Union[Rejection, str]] = ..., retry: _Optional[_Union[Retry, str]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class TradeReply(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ...) -> None: ...

class GetOrderRequest(_message.Message):
    __slots__ = ("number", "cluster", "to")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    number: int
    cluster: str
    to: int
    def __init__(self, number: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ...) -> None: ...

class GetOrderReply(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _market_pb2.Order
    def __init__(self, order: _Optional[_Union[_market_pb2.Order, _Mapping]] = ...) -> None: ...

class ListOrdersRequest(_message.Message):
    __slots__ = ("after", "limit", "cluster", "to")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    after: int
    limit: int
    cluster: str
    to: int
    def __init__(self, after: _Optional[int] = ..., limit: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ...) -> None: ...

class ListOrdersReply(_message.Message):
    __slots__ = ("orders",)
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[_market_pb2.Order]
    def __init__(self, orders: _Optional[_Iterable[_Union[_market_pb2.Order, _Mapping]]] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("to",)
    TO_FIELD_NUMBER: _ClassVar[int]
    to: int
    def __init__(self, to: _Optional[int] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("replica", "role", "term", "leader", "last_index", "last_number", "digest", "clock", "cluster", "disk_seconds")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    LAST_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    DISK_SECONDS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    role: str
    term: int
    leader: int
    last_index: int
    last_number: int
    digest: str
    clock: float
    cluster: str
    disk_seconds: float
    def __init__(self, replica: _Optional[int] = ..., role: _Optional[str] = ..., term: _Optional[int] = ..., leader: _Optional[int] = ..., last_index: _Optional[int] = ..., last_number: _Optional[int] = ..., digest: _Optional[str] = ..., clock: _Optional[float] = ..., cluster: _Optional[str] = ..., disk_seconds: _Optional[float] = ...) -> None: ...

class CampaignRequest(_message.Message):
    __slots__ = ("cluster", "to")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    to: int
    def __init__(self, cluster: _Optional[str] = ..., to: _Optional[int] = ...) -> None: ...

class CampaignReply(_message.Message):
    __slots__ = ("leader", "term", "wait", "unable", "campaigning")
    LEADER_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    UNABLE_FIELD_NUMBER: _ClassVar[int]
    CAMPAIGNING_FIELD_NUMBER: _ClassVar[int]
    leader: int
    term: int
    wait: float
    unable: str
    campaigning: bool
    def __init__(self, leader: _Optional[int] = ..., term: _Optional[int] = ..., wait: _Optional[float] = ..., unable: _Optional[str] = ..., campaigning: _Optional[bool] = ...) -> None: ...

class FollowRequest(_message.Message):
    __slots__ = ("term", "cluster", "to")
    TERM_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    term: int
    cluster: str
    to: int
    def __init__(self, term: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ...) -> None: ...

class FollowReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
