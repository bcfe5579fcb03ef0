"""What server reflection says of the services of a process. Pure.

There are two versions of the protocol, whose messages are the same but for their package:
`grpc.reflection.v1`, and `v1alpha`, which many clients still ask for. grpcio-reflection has v1alpha
only, so the description of v1 is made from that.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property

from google.protobuf import descriptor_pool, text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2 import (
    ErrorResponse,
    ExtensionNumberResponse,
    FileDescriptorResponse,
    ListServiceResponse,
    ServerReflectionRequest,
    ServerReflectionResponse,
    ServiceResponse,
)

__all__ = ["V1", "V1ALPHA", "Descriptions"]

V1 = "grpc.reflection.v1.ServerReflection"
V1ALPHA = "grpc.reflection.v1alpha.ServerReflection"

_INVALID_ARGUMENT, _NOT_FOUND = 3, 5


class Descriptions:
    """Answers the requests of both versions, about the files of these services and no others."""

    def __init__(self, services: Iterable[str]) -> None:
        """`services` are full names, of which generated code has been imported; reflection itself
        is added."""
        self._services = sorted({*services, V1, V1ALPHA})

    @cached_property
    def _pool(self) -> descriptor_pool.DescriptorPool:
        """The files of all services. Made when it is first needed, as few processes are asked."""
        pool, known = descriptor_pool.DescriptorPool(), descriptor_pool.Default()
        files: dict[str, FileDescriptorProto] = {}
        for name in self._services:
            if name == V1:
                described = _v1()
                files[described.name] = described
            else:
                for file in _with_dependencies(known.FindServiceByName(name).file):
                    files[file.name] = _proto_of(file)
        for described in files.values():
            pool.Add(described)
        return pool

    def answer(self, request: ServerReflectionRequest) -> ServerReflectionResponse:
        """The answer to `request`."""
        answer = ServerReflectionResponse(valid_host=request.host, original_request=request)
        try:
            self._fill(answer, request)
        except KeyError:
            answer.error_response.CopyFrom(
                ErrorResponse(error_code=_NOT_FOUND, error_message="not found")
            )
        return answer

    def _fill(self, answer: ServerReflectionResponse, request: ServerReflectionRequest) -> None:
        """Raises KeyError if there is no such thing."""
        match request.WhichOneof("message_request"):
            case "list_services":
                services = [ServiceResponse(name=name) for name in self._services]
                answer.list_services_response.CopyFrom(ListServiceResponse(service=services))
            case "file_by_filename":
                file = self._pool.FindFileByName(request.file_by_filename)
                answer.file_descriptor_response.CopyFrom(_described(file))
            case "file_containing_symbol":
                file = self._file_with(request.file_containing_symbol)
                answer.file_descriptor_response.CopyFrom(_described(file))
            case "file_containing_extension":
                asked = request.file_containing_extension
                message = self._pool.FindMessageTypeByName(asked.containing_type)
                found = self._pool.FindExtensionByNumber(message, asked.extension_number)
                file = self._pool.FindFileContainingSymbol(found.full_name)
                answer.file_descriptor_response.CopyFrom(_described(file))
            case "all_extension_numbers_of_type":
                message = self._pool.FindMessageTypeByName(request.all_extension_numbers_of_type)
                numbers = sorted(each.number for each in self._pool.FindAllExtensions(message))
                answer.all_extension_numbers_response.CopyFrom(
                    ExtensionNumberResponse(
                        base_type_name=message.full_name, extension_number=numbers
                    )
                )
            case _:
                answer.error_response.CopyFrom(
                    ErrorResponse(error_code=_INVALID_ARGUMENT, error_message="unknown request")
                )

    def _file_with(self, symbol: str) -> FileDescriptor:
        """Raises KeyError."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            # protobuf does not find methods and fields of that name.
            parent = self._pool.FindFileContainingSymbol(symbol.rpartition(".")[0])
        for find in (self._pool.FindMethodByName, self._pool.FindFieldByName):
            with suppress(KeyError):
                find(symbol)
                return parent
        raise KeyError(symbol)


def _v1() -> FileDescriptorProto:
    said = text_format.MessageToString(_proto_of(reflection_pb2.DESCRIPTOR))
    return text_format.Parse(said.replace("v1alpha", "v1"), FileDescriptorProto())


def _proto_of(file: FileDescriptor) -> FileDescriptorProto:
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    return proto


def _with_dependencies(file: FileDescriptor) -> list[FileDescriptor]:
    """`file` and all that it needs, each after what it needs."""
    found: dict[str, FileDescriptor] = {}
    for needed in file.dependencies:
        found |= {each.name: each for each in _with_dependencies(needed)}
    found[file.name] = file
    return list(found.values())


def _described(file: FileDescriptor) -> FileDescriptorResponse:
    """`file`, and then what it needs: clients take the first for the one that they asked for."""
    files = reversed(_with_dependencies(file))
    return FileDescriptorResponse(
        file_descriptor_proto=[_proto_of(each).SerializeToString() for each in files]
    )
