from twisted_bazaar.rpc.bazaar.v1 import following_pb2 as _following_pb2
from twisted_bazaar.rpc.bazaar.v1 import market_pb2 as _market_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Stamp(_message.Message):
    __slots__ = ("life", "at")
    LIFE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    life: int
    at: float
    def __init__(self, life: _Optional[int] = ..., at: _Optional[float] = ...) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("term", "previous_index", "previous_digest", "records", "commit", "rebuild", "sent", "history", "stamp", "lease", "cluster", "longest", "proposed", "followed", "partition", "snapshot")
    TERM_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_INDEX_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    REBUILD_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    LONGEST_FIELD_NUMBER: _ClassVar[int]
    PROPOSED_FIELD_NUMBER: _ClassVar[int]
    FOLLOWED_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    term: int
    previous_index: int
    previous_digest: str
    records: _containers.RepeatedScalarFieldContainer[bytes]
    commit: int
    rebuild: bool
    sent: float
    history: str
    stamp: Stamp
    lease: float
    cluster: str
    longest: float
    proposed: _containers.RepeatedScalarFieldContainer[bytes]
    followed: _containers.RepeatedCompositeFieldContainer[_following_pb2.Followed]
    partition: int
    snapshot: MarketSnapshot
    def __init__(self, term: _Optional[int] = ..., previous_index: _Optional[int] = ..., previous_digest: _Optional[str] = ..., records: _Optional[_Iterable[bytes]] = ..., commit: _Optional[int] = ..., rebuild: _Optional[bool] = ..., sent: _Optional[float] = ..., history: _Optional[str] = ..., stamp: _Optional[_Union[Stamp, _Mapping]] = ..., lease: _Optional[float] = ..., cluster: _Optional[str] = ..., longest: _Optional[float] = ..., proposed: _Optional[_Iterable[bytes]] = ..., followed: _Optional[_Iterable[_Union[_following_pb2.Followed, _Mapping]]] = ..., partition: _Optional[int] = ..., snapshot: _Optional[_Union[MarketSnapshot, _Mapping]] = ...) -> None: ...

class MarketSnapshot(_message.Message):
    __slots__ = ("index", "digest", "stocks", "last_number", "listed")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    STOCKS_FIELD_NUMBER: _ClassVar[int]
    LAST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LISTED_FIELD_NUMBER: _ClassVar[int]
    index: int
    digest: str
    stocks: _containers.RepeatedCompositeFieldContainer[_market_pb2.Stock]
    last_number: int
    listed: bool
    def __init__(self, index: _Optional[int] = ..., digest: _Optional[str] = ..., stocks: _Optional[_Iterable[_Union[_market_pb2.Stock, _Mapping]]] = ..., last_number: _Optional[int] = ..., listed: _Optional[bool] = ...) -> None: ...

class ApplyReply(_message.Message):
    __slots__ = ("term", "applied", "digest", "sent", "released", "stamp", "holds", "taken", "cleared")
    TERM_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    CLEARED_FIELD_NUMBER: _ClassVar[int]
    term: int
    applied: int
    digest: str
    sent: float
    released: int
    stamp: Stamp
    holds: bool
    taken: int
    cleared: int
    def __init__(self, term: _Optional[int] = ..., applied: _Optional[int] = ..., digest: _Optional[str] = ..., sent: _Optional[float] = ..., released: _Optional[int] = ..., stamp: _Optional[_Union[Stamp, _Mapping]] = ..., holds: _Optional[bool] = ..., taken: _Optional[int] = ..., cleared: _Optional[int] = ...) -> None: ...

class ListingRequest(_message.Message):
    __slots__ = ("cluster", "partition")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    partition: int
    def __init__(self, cluster: _Optional[str] = ..., partition: _Optional[int] = ...) -> None: ...

class ListingReply(_message.Message):
    __slots__ = ("stocks",)
    STOCKS_FIELD_NUMBER: _ClassVar[int]
    stocks: _containers.RepeatedCompositeFieldContainer[_market_pb2.Stock]
    def __init__(self, stocks: _Optional[_Iterable[_Union[_market_pb2.Stock, _Mapping]]] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("address", "life", "token", "cluster", "partition", "proof", "frames", "quotes")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LIFE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    QUOTES_FIELD_NUMBER: _ClassVar[int]
    address: str
    life: int
    token: str
    cluster: str
    partition: int
    proof: str
    frames: bool
    quotes: bool
    def __init__(self, address: _Optional[str] = ..., life: _Optional[int] = ..., token: _Optional[str] = ..., cluster: _Optional[str] = ..., partition: _Optional[int] = ..., proof: _Optional[str] = ..., frames: _Optional[bool] = ..., quotes: _Optional[bool] = ...) -> None: ...

class SubscribeReply(_message.Message):
    __slots__ = ("kept_out",)
    KEPT_OUT_FIELD_NUMBER: _ClassVar[int]
    kept_out: float
    def __init__(self, kept_out: _Optional[float] = ...) -> None: ...

class CatalogStatusRequest(_message.Message):
    __slots__ = ("cluster", "partition")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    partition: int
    def __init__(self, cluster: _Optional[str] = ..., partition: _Optional[int] = ...) -> None: ...

class CatalogStatusReply(_message.Message):
    __slots__ = ("applied", "released", "lease", "serving", "subscribers")
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBERS_FIELD_NUMBER: _ClassVar[int]
    applied: int
    released: int
    lease: float
    serving: bool
    subscribers: _containers.RepeatedCompositeFieldContainer[Subscriber]
    def __init__(self, applied: _Optional[int] = ..., released: _Optional[int] = ..., lease: _Optional[float] = ..., serving: _Optional[bool] = ..., subscribers: _Optional[_Iterable[_Union[Subscriber, _Mapping]]] = ...) -> None: ...

class Subscriber(_message.Message):
    __slots__ = ("address", "lease", "kept_out")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    KEPT_OUT_FIELD_NUMBER: _ClassVar[int]
    address: str
    lease: float
    kept_out: float
    def __init__(self, address: _Optional[str] = ..., lease: _Optional[float] = ..., kept_out: _Optional[float] = ...) -> None: ...
