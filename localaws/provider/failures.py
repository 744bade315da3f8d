"""Reports to the engine what AWS refused: the resource's name, AWS's code, and what to do.

Where a resource was made and a later step failed, the report says that the resource exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import grpc
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from pulumi.runtime.proto import provider_pb2, status_pb2

from localaws.provider.clients import code_of
from localaws.provider.values import Properties, to_struct

_Result = TypeVar("_Result")

_CREDENTIALS = (
    "the provider's credentials are not accepted: start the sandbox, or get new credentials, "
    "and run it again"
)
_EXPIRED = "the provider's credentials have expired: get new ones and run it again"
_DENIED = (
    "allow the deployer this action, or run it as someone who may; what was done is recorded, "
    "so that run goes on from here"
)
_REMEDIES = {
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "InvalidClientTokenId": _CREDENTIALS,
    "UnrecognizedClientException": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "MissingAuthenticationToken": _CREDENTIALS,
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "UnauthorizedOperation": _DENIED,
    "AuthorizationError": _DENIED,
}
"""What to do about a code of AWS (IAM user guide, "Common errors", and the services' references).
"""


def reason(label: str, error: BaseException) -> str:
    """One line: which resource, the error of AWS, what to do."""
    if isinstance(error, ClientError):
        code = code_of(error)
        text = f"{label}: {code}: {error.response.get('Error', {}).get('Message', error)}"
        return f"{text} ({_REMEDIES[code]})" if code in _REMEDIES else text
    if isinstance(error, (NoConnectionError, HTTPClientError)):
        return f"{label}: AWS does not answer: {error} (see that the sandbox runs: bin/seawall up)"
    return f"{label}: {type(error).__name__}: {error}"


def translated(context: grpc.ServicerContext, label: str, call: Callable[[], _Result]) -> _Result:
    """Return the result of ``call``; an error of AWS ends the gRPC call with its code."""
    try:
        return call()
    except (ClientError, BotoCoreError, LookupError) as error:
        abort(context, reason(label, error))


def half_made(
    context: grpc.ServicerContext, *, identifier: str, properties: Properties, message: str
) -> NoReturn:
    """End the call: the resource exists as ``properties`` say, and ``message`` says what failed.

    The engine records it, and the next `up` updates it even if the program stays the same (pulumi,
    proto/provider.proto, ErrorResourceInitFailed).
    """
    detail = provider_pb2.ErrorResourceInitFailed(
        id=identifier, properties=to_struct(properties), reasons=[message]
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
    status.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    abort(context, message)


def abort(
    context: grpc.ServicerContext, message: str, *, code: Any = grpc.StatusCode.UNKNOWN
) -> NoReturn:
    """End the call with ``message``."""
    context.abort(code, message)
    raise AssertionError(message)  # abort does not return
