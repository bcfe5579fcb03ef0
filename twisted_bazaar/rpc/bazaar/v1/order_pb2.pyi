from twisted_bazaar.rpc.bazaar.v1 import following_pb2 as _following_pb2
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
    REJECTION_PRICE_OUT_OF_BOUNDS: _ClassVar[Rejection]
    REJECTION_EXPIRED: _ClassVar[Rejection]
    REJECTION_HALTED: _ClassVar[Rejection]

class Retry(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RETRY_UNSPECIFIED: _ClassVar[Retry]
    RETRY_NOT_LEADER: _ClassVar[Retry]
    RETRY_OVERLOADED: _ClassVar[Retry]
    RETRY_OUTCOME_UNKNOWN: _ClassVar[Retry]
    RETRY_ORDER_UNREAD: _ClassVar[Retry]

class ChangeRefusal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_REFUSAL_UNSPECIFIED: _ClassVar[ChangeRefusal]
    CHANGE_REFUSAL_UNKNOWN_STOCK: _ClassVar[ChangeRefusal]
    CHANGE_REFUSAL_LISTED_ALREADY: _ClassVar[ChangeRefusal]
    CHANGE_REFUSAL_INVALID: _ClassVar[ChangeRefusal]
    CHANGE_REFUSAL_TOO_MANY_STOCKS: _ClassVar[ChangeRefusal]
REJECTION_UNSPECIFIED: Rejection
REJECTION_UNKNOWN_STOCK: Rejection
REJECTION_NOT_ENOUGH_SHARES: Rejection
REJECTION_TOO_MANY_SHARES: Rejection
REJECTION_KEY_REUSED: Rejection
REJECTION_PRICE_OUT_OF_BOUNDS: Rejection
REJECTION_EXPIRED: Rejection
REJECTION_HALTED: Rejection
RETRY_UNSPECIFIED: Retry
RETRY_NOT_LEADER: Retry
RETRY_OVERLOADED: Retry
RETRY_OUTCOME_UNKNOWN: Retry
RETRY_ORDER_UNREAD: Retry
CHANGE_REFUSAL_UNSPECIFIED: ChangeRefusal
CHANGE_REFUSAL_UNKNOWN_STOCK: ChangeRefusal
CHANGE_REFUSAL_LISTED_ALREADY: ChangeRefusal
CHANGE_REFUSAL_INVALID: ChangeRefusal
CHANGE_REFUSAL_TOO_MANY_STOCKS: ChangeRefusal

class Trade(_message.Message):
    __slots__ = ("key", "stock", "side", "quantity", "made", "limit", "valid_until", "validate")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_FIELD_NUMBER: _ClassVar[int]
    key: str
    stock: str
    side: _market_pb2.Side
    quantity: int
    made: bool
    limit: int
    valid_until: int
    validate: bool
    def __init__(self, key: _Optional[str] = ..., stock: _Optional[str] = ..., side: _Optional[_Union[_market_pb2.Side, str]] = ..., quantity: _Optional[int] = ..., made: _Optional[bool] = ..., limit: _Optional[int] = ..., valid_until: _Optional[int] = ..., validate: _Optional[bool] = ...) -> None: ...

class TradeRequest(_message.Message):
    __slots__ = ("trades", "term", "life", "number", "expected", "expires", "followed", "cluster", "to", "partition")
    TRADES_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LIFE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    FOLLOWED_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    trades: _containers.RepeatedCompositeFieldContainer[Trade]
    term: int
    life: int
    number: int
    expected: _containers.RepeatedScalarFieldContainer[int]
    expires: _containers.RepeatedScalarFieldContainer[float]
    followed: _containers.RepeatedCompositeFieldContainer[_following_pb2.Followed]
    cluster: str
    to: int
    partition: int
    def __init__(self, trades: _Optional[_Iterable[_Union[Trade, _Mapping]]] = ..., term: _Optional[int] = ..., life: _Optional[int] = ..., number: _Optional[int] = ..., expected: _Optional[_Iterable[int]] = ..., expires: _Optional[_Iterable[float]] = ..., followed: _Optional[_Iterable[_Union[_following_pb2.Followed, _Mapping]]] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., partition: _Optional[int] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("number", "rejection", "retry", "replayed", "price", "judged", "partition")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    number: int
    rejection: Rejection
    retry: Retry
    replayed: bool
    price: int
    judged: bool
    partition: int
    def __init__(self, number: _Optional[int] = ..., rejection: _Optional[_Union[Rejection, str]] = ..., retry: _Optional[_Union[Retry, str]] = ..., replayed: _Optional[bool] = ..., price: _Optional[int] = ..., judged: _Optional[bool] = ..., partition: _Optional[int] = ...) -> None: ...

class TradeReply(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ...) -> None: ...

class GetOrderRequest(_message.Message):
    __slots__ = ("number", "cluster", "to", "partition")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    number: int
    cluster: str
    to: int
    partition: int
    def __init__(self, number: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., partition: _Optional[int] = ...) -> None: ...

class GetOrderReply(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _market_pb2.Order
    def __init__(self, order: _Optional[_Union[_market_pb2.Order, _Mapping]] = ...) -> None: ...

class ListOrdersRequest(_message.Message):
    __slots__ = ("after", "limit", "descending", "stock", "side", "since", "until", "key", "cluster", "to", "partition", "client")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    after: int
    limit: int
    descending: bool
    stock: str
    side: _market_pb2.Side
    since: int
    until: int
    key: str
    cluster: str
    to: int
    partition: int
    client: str
    def __init__(self, after: _Optional[int] = ..., limit: _Optional[int] = ..., descending: _Optional[bool] = ..., stock: _Optional[str] = ..., side: _Optional[_Union[_market_pb2.Side, str]] = ..., since: _Optional[int] = ..., until: _Optional[int] = ..., key: _Optional[str] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., partition: _Optional[int] = ..., client: _Optional[str] = ...) -> None: ...

class ListOrdersReply(_message.Message):
    __slots__ = ("orders", "examined", "ended")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    EXAMINED_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[_market_pb2.Order]
    examined: int
    ended: bool
    def __init__(self, orders: _Optional[_Iterable[_Union[_market_pb2.Order, _Mapping]]] = ..., examined: _Optional[int] = ..., ended: _Optional[bool] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("after", "version", "limit", "wait_ms", "cluster", "to", "partition")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    after: int
    version: int
    limit: int
    wait_ms: int
    cluster: str
    to: int
    partition: int
    def __init__(self, after: _Optional[int] = ..., version: _Optional[int] = ..., limit: _Optional[int] = ..., wait_ms: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., partition: _Optional[int] = ...) -> None: ...

class WatchReply(_message.Message):
    __slots__ = ("orders", "stocks", "last_number", "version", "history", "digest", "before")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    STOCKS_FIELD_NUMBER: _ClassVar[int]
    LAST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[_market_pb2.Order]
    stocks: _containers.RepeatedCompositeFieldContainer[_market_pb2.Stock]
    last_number: int
    version: int
    history: str
    digest: str
    before: str
    def __init__(self, orders: _Optional[_Iterable[_Union[_market_pb2.Order, _Mapping]]] = ..., stocks: _Optional[_Iterable[_Union[_market_pb2.Stock, _Mapping]]] = ..., last_number: _Optional[int] = ..., version: _Optional[int] = ..., history: _Optional[str] = ..., digest: _Optional[str] = ..., before: _Optional[str] = ...) -> None: ...

class ListedStock(_message.Message):
    __slots__ = ("name", "price", "quantity")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    price: int
    quantity: int
    def __init__(self, name: _Optional[str] = ..., price: _Optional[int] = ..., quantity: _Optional[int] = ...) -> None: ...

class ListStocks(_message.Message):
    __slots__ = ("stocks",)
    STOCKS_FIELD_NUMBER: _ClassVar[int]
    stocks: _containers.RepeatedCompositeFieldContainer[ListedStock]
    def __init__(self, stocks: _Optional[_Iterable[_Union[ListedStock, _Mapping]]] = ...) -> None: ...

class Reprice(_message.Message):
    __slots__ = ("stock", "price")
    STOCK_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    stock: str
    price: int
    def __init__(self, stock: _Optional[str] = ..., price: _Optional[int] = ...) -> None: ...

class MoveStock(_message.Message):
    __slots__ = ("stock", "partition")
    STOCK_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    stock: str
    partition: int
    def __init__(self, stock: _Optional[str] = ..., partition: _Optional[int] = ...) -> None: ...

class StockNames(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class ChangeRequest(_message.Message):
    __slots__ = ("list", "reprice", "halt", "resume", "move", "term", "life", "number", "expires", "cluster", "to", "partition")
    LIST_FIELD_NUMBER: _ClassVar[int]
    REPRICE_FIELD_NUMBER: _ClassVar[int]
    HALT_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    MOVE_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LIFE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    list: ListStocks
    reprice: Reprice
    halt: StockNames
    resume: StockNames
    move: MoveStock
    term: int
    life: int
    number: int
    expires: float
    cluster: str
    to: int
    partition: int
    def __init__(self, list: _Optional[_Union[ListStocks, _Mapping]] = ..., reprice: _Optional[_Union[Reprice, _Mapping]] = ..., halt: _Optional[_Union[StockNames, _Mapping]] = ..., resume: _Optional[_Union[StockNames, _Mapping]] = ..., move: _Optional[_Union[MoveStock, _Mapping]] = ..., term: _Optional[int] = ..., life: _Optional[int] = ..., number: _Optional[int] = ..., expires: _Optional[float] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., partition: _Optional[int] = ...) -> None: ...

class ChangeReply(_message.Message):
    __slots__ = ("index", "refusal", "retry", "message")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    index: int
    refusal: ChangeRefusal
    retry: Retry
    message: str
    def __init__(self, index: _Optional[int] = ..., refusal: _Optional[_Union[ChangeRefusal, str]] = ..., retry: _Optional[_Union[Retry, str]] = ..., message: _Optional[str] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("to",)
    TO_FIELD_NUMBER: _ClassVar[int]
    to: int
    def __init__(self, to: _Optional[int] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("replica", "role", "term", "leader", "last_index", "last_number", "digest", "clock", "cluster", "disk_seconds", "level", "followers", "partitions", "placements", "roster", "members_index", "before")
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
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    FOLLOWERS_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_INDEX_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
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
    level: int
    followers: _containers.RepeatedCompositeFieldContainer[FollowerLag]
    partitions: _containers.RepeatedCompositeFieldContainer[PartitionStatus]
    placements: _containers.RepeatedCompositeFieldContainer[Placement]
    roster: _containers.RepeatedCompositeFieldContainer[Member]
    members_index: int
    before: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, replica: _Optional[int] = ..., role: _Optional[str] = ..., term: _Optional[int] = ..., leader: _Optional[int] = ..., last_index: _Optional[int] = ..., last_number: _Optional[int] = ..., digest: _Optional[str] = ..., clock: _Optional[float] = ..., cluster: _Optional[str] = ..., disk_seconds: _Optional[float] = ..., level: _Optional[int] = ..., followers: _Optional[_Iterable[_Union[FollowerLag, _Mapping]]] = ..., partitions: _Optional[_Iterable[_Union[PartitionStatus, _Mapping]]] = ..., placements: _Optional[_Iterable[_Union[Placement, _Mapping]]] = ..., roster: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., members_index: _Optional[int] = ..., before: _Optional[_Iterable[int]] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("id", "address", "joining")
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    JOINING_FIELD_NUMBER: _ClassVar[int]
    id: int
    address: str
    joining: bool
    def __init__(self, id: _Optional[int] = ..., address: _Optional[str] = ..., joining: _Optional[bool] = ...) -> None: ...

class PartitionStatus(_message.Message):
    __slots__ = ("partition", "role", "term", "leader", "last_index", "last_number", "digest", "cluster", "preferred")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    LAST_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    PREFERRED_FIELD_NUMBER: _ClassVar[int]
    partition: int
    role: str
    term: int
    leader: int
    last_index: int
    last_number: int
    digest: str
    cluster: str
    preferred: int
    def __init__(self, partition: _Optional[int] = ..., role: _Optional[str] = ..., term: _Optional[int] = ..., leader: _Optional[int] = ..., last_index: _Optional[int] = ..., last_number: _Optional[int] = ..., digest: _Optional[str] = ..., cluster: _Optional[str] = ..., preferred: _Optional[int] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("stock", "partition", "arrived")
    STOCK_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    ARRIVED_FIELD_NUMBER: _ClassVar[int]
    stock: str
    partition: int
    arrived: bool
    def __init__(self, stock: _Optional[str] = ..., partition: _Optional[int] = ..., arrived: _Optional[bool] = ...) -> None: ...

class FollowerLag(_message.Message):
    __slots__ = ("replica", "entries", "seconds")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    entries: int
    seconds: float
    def __init__(self, replica: _Optional[int] = ..., entries: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class CampaignRequest(_message.Message):
    __slots__ = ("cluster", "to", "partition")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    to: int
    partition: int
    def __init__(self, cluster: _Optional[str] = ..., to: _Optional[int] = ..., partition: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("term", "cluster", "to", "partition")
    TERM_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    term: int
    cluster: str
    to: int
    partition: int
    def __init__(self, term: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., partition: _Optional[int] = ...) -> None: ...

class FollowReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HandOverRequest(_message.Message):
    __slots__ = ("member", "cluster", "to", "partition")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    member: int
    cluster: str
    to: int
    partition: int
    def __init__(self, member: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., partition: _Optional[int] = ...) -> None: ...

class HandOverReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ChangeMembersRequest(_message.Message):
    __slots__ = ("add", "remove", "based_on", "cluster", "to", "partition")
    ADD_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    BASED_ON_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    add: Member
    remove: int
    based_on: int
    cluster: str
    to: int
    partition: int
    def __init__(self, add: _Optional[_Union[Member, _Mapping]] = ..., remove: _Optional[int] = ..., based_on: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., partition: _Optional[int] = ...) -> None: ...

class ChangeMembersReply(_message.Message):
    __slots__ = ("index", "refusal", "final")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    index: int
    refusal: str
    final: bool
    def __init__(self, index: _Optional[int] = ..., refusal: _Optional[str] = ..., final: _Optional[bool] = ...) -> None: ...
