"""What reflection answers, request by request."""

from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import (
    ExtensionRequest,
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from twisted_bazaar.rpc.bazaar.v1 import order_pb2
from twisted_bazaar.rpc.descriptions import V1, V1ALPHA, Descriptions

NOT_FOUND, INVALID_ARGUMENT = 5, 3
ORDERS = "bazaar.v1.Orders"
ORDER_FILE = order_pb2.DESCRIPTOR.name

DESCRIPTIONS = Descriptions([ORDERS])


def answered(**asked: Any) -> ServerReflectionResponse:
    request = ServerReflectionRequest(host="there", **asked)
    answer = DESCRIPTIONS.answer(request)
    assert answer.original_request == request
    assert answer.valid_host == "there"
    return answer


def files(answer: ServerReflectionResponse) -> list[FileDescriptorProto]:
    said = answer.file_descriptor_response.file_descriptor_proto
    return [FileDescriptorProto.FromString(each) for each in said]


def test_the_services_are_listed_with_both_versions_of_reflection() -> None:
    listed = answered(list_services="").list_services_response.service
    assert [each.name for each in listed] == [ORDERS, V1, V1ALPHA]


@pytest.mark.parametrize(
    "asked",
    [
        {"file_by_filename": ORDER_FILE},
        {"file_containing_symbol": ORDERS},
        {"file_containing_symbol": f"{ORDERS}.Trade"},
        {"file_containing_symbol": "bazaar.v1.TradeRequest"},
        {"file_containing_symbol": "bazaar.v1.TradeRequest.trades"},
    ],
)
def test_a_file_comes_first_and_with_all_that_it_needs(asked: dict[str, str]) -> None:
    said = files(answered(**asked))
    assert said[0].name == ORDER_FILE
    names = {each.name for each in said}
    assert all(names.issuperset(each.dependency) for each in said)
    assert [each.name for each in said[0].service] == ["Orders"]


@pytest.mark.parametrize("service", [V1, V1ALPHA])
def test_each_version_of_reflection_describes_itself(service: str) -> None:
    [file] = files(answered(file_containing_symbol=service))
    assert file.package == service.rpartition(".")[0]
    [method] = file.service[0].method
    assert method.input_type == f".{file.package}.ServerReflectionRequest"
    assert (method.client_streaming, method.server_streaming) == (True, True)


@pytest.mark.parametrize(
    "asked",
    [
        {"file_by_filename": "nope.proto"},
        {"file_containing_symbol": "bazaar.v1.Nope"},
        {"file_containing_symbol": f"{ORDERS}.Nope"},
        {"file_containing_symbol": ""},
        # It is in this process, but no service that is served needs it.
        {"file_containing_symbol": "google.protobuf.FileDescriptorProto"},
        {"file_containing_extension": ExtensionRequest(containing_type="x", extension_number=1)},
        {
            "file_containing_extension": ExtensionRequest(
                containing_type="bazaar.v1.TradeRequest", extension_number=1
            )
        },
        {"all_extension_numbers_of_type": "bazaar.v1.Nope"},
    ],
)
def test_what_is_not_there_is_not_found(asked: dict[str, Any]) -> None:
    assert answered(**asked).error_response.error_code == NOT_FOUND


def test_a_message_without_extensions_has_none() -> None:
    said = answered(all_extension_numbers_of_type="bazaar.v1.TradeRequest")
    numbers = said.all_extension_numbers_response
    assert (numbers.base_type_name, list(numbers.extension_number)) == (
        "bazaar.v1.TradeRequest",
        [],
    )


def test_an_empty_request_is_refused() -> None:
    assert answered().error_response.error_code == INVALID_ARGUMENT


def test_a_service_that_is_not_imported_is_an_error_when_it_is_asked_for() -> None:
    with pytest.raises(KeyError):
        Descriptions(["bazaar.v1.Nope"])._pool  # noqa: B018
