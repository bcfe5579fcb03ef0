from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNSPECIFIED: _ClassVar[Side]
    SIDE_BUY: _ClassVar[Side]
    SIDE_SELL: _ClassVar[Side]
SIDE_UNSPECIFIED: Side
SIDE_BUY: Side
SIDE_SELL: Side

class Stock(_message.Message):
    __slots__ = ("name", "price", "quantity", "volume", "version", "halted")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HALTED_FIELD_NUMBER: _ClassVar[int]
    name: str
    price: int
    quantity: int
    volume: int
    version: int
    halted: bool
    def __init__(self, name: _Optional[str] = ..., price: _Optional[int] = ..., quantity: _Optional[int] = ..., volume: _Optional[int] = ..., version: _Optional[int] = ..., halted: _Optional[bool] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("number", "stock", "side", "quantity", "at", "key", "made", "price", "limit")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    number: int
    stock: str
    side: Side
    quantity: int
    at: int
    key: str
    made: bool
    price: int
    limit: int
    def __init__(self, number: _Optional[int] = ..., stock: _Optional[str] = ..., side: _Optional[_Union[Side, str]] = ..., quantity: _Optional[int] = ..., at: _Optional[int] = ..., key: _Optional[str] = ..., made: _Optional[bool] = ..., price: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class LookupRequest(_message.Message):
    __slots__ = ("names", "all", "cluster", "to", "partition", "after", "history", "partial")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    cluster: str
    to: int
    partition: int
    after: int
    history: str
    partial: bool
    def __init__(self, names: _Optional[_Iterable[str]] = ..., all: _Optional[bool] = ..., cluster: _Optional[str] = ..., to: _Optional[int] = ..., partition: _Optional[int] = ..., after: _Optional[int] = ..., history: _Optional[str] = ..., partial: _Optional[bool] = ...) -> None: ...

class LookupReply(_message.Message):
    __slots__ = ("stocks", "history", "upto", "changes", "held")
    STOCKS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    stocks: _containers.RepeatedCompositeFieldContainer[Stock]
    history: str
    upto: int
    changes: bool
    held: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, stocks: _Optional[_Iterable[_Union[Stock, _Mapping]]] = ..., history: _Optional[str] = ..., upto: _Optional[int] = ..., changes: _Optional[bool] = ..., held: _Optional[_Iterable[str]] = ...) -> None: ...
