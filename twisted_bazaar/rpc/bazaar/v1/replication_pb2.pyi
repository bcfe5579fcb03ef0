from twisted_bazaar.rpc.bazaar.v1 import following_pb2 as _following_pb2
from twisted_bazaar.rpc.bazaar.v1 import order_pb2 as _order_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AppendRequest(_message.Message):
    __slots__ = ("term", "leader", "previous_index", "previous_term", "records", "commit", "released", "round", "sent", "cluster", "to", "previous_digest", "followed", "begins")
    TERM_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_INDEX_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_TERM_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FOLLOWED_FIELD_NUMBER: _ClassVar[int]
    BEGINS_FIELD_NUMBER: _ClassVar[int]
    term: int
    leader: int
    previous_index: int
    previous_term: int
    records: _containers.RepeatedScalarFieldContainer[bytes]
    commit: int
    released: int
    round: int
    sent: float
    cluster: str
    to: int
    previous_digest: str
    followed: _containers.RepeatedCompositeFieldContainer[_following_pb2.Followed]
    begins: int
    def __init__(self, term: _Optional[int] = ..., leader: _Optional[int] = ..., previous_index: _Optional[int] = ..., previous_term: _Optional[int] = ..., records: _Optional[_Iterable[bytes]] = ..., commit: _Optional[int] = ..., released: _Optional[int] = ..., round: _Optional[int] = ..., sent: _Optional[float] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., previous_digest: _Optional[str] = ..., followed: _Optional[_Iterable[_Union[_following_pb2.Followed, _Mapping]]] = ..., begins: _Optional[int] = ...) -> None: ...

class AppendReply(_message.Message):
    __slots__ = ("term", "follower", "fits", "index", "round", "sent", "taken")
    TERM_FIELD_NUMBER: _ClassVar[int]
    FOLLOWER_FIELD_NUMBER: _ClassVar[int]
    FITS_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    term: int
    follower: int
    fits: bool
    index: int
    round: int
    sent: float
    taken: int
    def __init__(self, term: _Optional[int] = ..., follower: _Optional[int] = ..., fits: _Optional[bool] = ..., index: _Optional[int] = ..., round: _Optional[int] = ..., sent: _Optional[float] = ..., taken: _Optional[int] = ...) -> None: ...

class VoteRequest(_message.Message):
    __slots__ = ("term", "candidate", "last_index", "last_term", "cluster", "to", "last_digest", "members", "members_index")
    TERM_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    LAST_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_TERM_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    LAST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_INDEX_FIELD_NUMBER: _ClassVar[int]
    term: int
    candidate: int
    last_index: int
    last_term: int
    cluster: str
    to: int
    last_digest: str
    members: _containers.RepeatedScalarFieldContainer[int]
    members_index: int
    def __init__(self, term: _Optional[int] = ..., candidate: _Optional[int] = ..., last_index: _Optional[int] = ..., last_term: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., last_digest: _Optional[str] = ..., members: _Optional[_Iterable[int]] = ..., members_index: _Optional[int] = ...) -> None: ...

class VoteReply(_message.Message):
    __slots__ = ("term", "voter", "granted")
    TERM_FIELD_NUMBER: _ClassVar[int]
    VOTER_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    term: int
    voter: int
    granted: bool
    def __init__(self, term: _Optional[int] = ..., voter: _Optional[int] = ..., granted: _Optional[bool] = ...) -> None: ...

class PollRequest(_message.Message):
    __slots__ = ("replica", "nonce", "to")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    replica: int
    nonce: int
    to: int
    def __init__(self, replica: _Optional[int] = ..., nonce: _Optional[int] = ..., to: _Optional[int] = ...) -> None: ...

class PollReply(_message.Message):
    __slots__ = ("replica", "term", "last_index", "last_term", "leader", "wait", "suspect", "nonce", "copied", "cluster", "members", "last_digest", "disk_seconds", "members_index", "roster", "before", "settled", "level")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LAST_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_TERM_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    SUSPECT_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    COPIED_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    LAST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DISK_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_INDEX_FIELD_NUMBER: _ClassVar[int]
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    replica: int
    term: int
    last_index: int
    last_term: int
    leader: int
    wait: float
    suspect: bool
    nonce: int
    copied: bool
    cluster: str
    members: _containers.RepeatedScalarFieldContainer[int]
    last_digest: str
    disk_seconds: float
    members_index: int
    roster: _containers.RepeatedCompositeFieldContainer[_order_pb2.Member]
    before: _containers.RepeatedScalarFieldContainer[int]
    settled: bool
    level: int
    def __init__(self, replica: _Optional[int] = ..., term: _Optional[int] = ..., last_index: _Optional[int] = ..., last_term: _Optional[int] = ..., leader: _Optional[int] = ..., wait: _Optional[float] = ..., suspect: _Optional[bool] = ..., nonce: _Optional[int] = ..., copied: _Optional[bool] = ..., cluster: _Optional[str] = ..., members: _Optional[_Iterable[int]] = ..., last_digest: _Optional[str] = ..., disk_seconds: _Optional[float] = ..., members_index: _Optional[int] = ..., roster: _Optional[_Iterable[_Union[_order_pb2.Member, _Mapping]]] = ..., before: _Optional[_Iterable[int]] = ..., settled: _Optional[bool] = ..., level: _Optional[int] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("replica", "after", "digest", "cluster", "to", "snapshots")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    after: int
    digest: str
    cluster: str
    to: int
    snapshots: bool
    def __init__(self, replica: _Optional[int] = ..., after: _Optional[int] = ..., digest: _Optional[str] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., snapshots: _Optional[bool] = ...) -> None: ...

class FetchReply(_message.Message):
    __slots__ = ("replica", "term", "after", "fits", "records", "last_index", "last_term", "begins")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    FITS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    LAST_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_TERM_FIELD_NUMBER: _ClassVar[int]
    BEGINS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    term: int
    after: int
    fits: bool
    records: _containers.RepeatedScalarFieldContainer[bytes]
    last_index: int
    last_term: int
    begins: int
    def __init__(self, replica: _Optional[int] = ..., term: _Optional[int] = ..., after: _Optional[int] = ..., fits: _Optional[bool] = ..., records: _Optional[_Iterable[bytes]] = ..., last_index: _Optional[int] = ..., last_term: _Optional[int] = ..., begins: _Optional[int] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ("replica", "cluster", "to", "copy", "offset")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    COPY_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    replica: int
    cluster: str
    to: int
    copy: str
    offset: int
    def __init__(self, replica: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., copy: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class SnapshotReply(_message.Message):
    __slots__ = ("replica", "copy", "beginning", "size", "offset", "data")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    COPY_FIELD_NUMBER: _ClassVar[int]
    BEGINNING_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    replica: int
    copy: str
    beginning: bytes
    size: int
    offset: int
    data: bytes
    def __init__(self, replica: _Optional[int] = ..., copy: _Optional[str] = ..., beginning: _Optional[bytes] = ..., size: _Optional[int] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class EarlierRequest(_message.Message):
    __slots__ = ("replica", "cluster", "to", "after", "upto")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    replica: int
    cluster: str
    to: int
    after: int
    upto: int
    def __init__(self, replica: _Optional[int] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., after: _Optional[int] = ..., upto: _Optional[int] = ...) -> None: ...

class EarlierReply(_message.Message):
    __slots__ = ("replica", "term", "after", "records")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    term: int
    after: int
    records: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, replica: _Optional[int] = ..., term: _Optional[int] = ..., after: _Optional[int] = ..., records: _Optional[_Iterable[bytes]] = ...) -> None: ...
