"""The gRPC server around :class:`AwsProvider`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from localaws.provider.clients import Clients
from localaws.provider.service import AwsProvider
from seawall.errors import PortBusyError

_MESSAGE_BYTES_MAX = 400 * 1024 * 1024
"""What the engine's own plugins accept (pulumi, sdk/go/common/util/rpcutil)."""
_WORKERS = 32
"""Twice the engine's default parallelism on a small machine; calls wait for AWS, not for a core."""


def start_provider(*, aws_endpoint: str, port: int = 0) -> tuple[grpc.Server, int]:
    """A running server and its port on loopback. Raises :class:`PortBusyError`."""
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(max_workers=_WORKERS), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(
        AwsProvider(Clients(aws_endpoint)), server
    )
    try:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as error:
        message = f"cannot listen on 127.0.0.1:{port}"
        raise PortBusyError(message) from error
    server.start()
    return server, bound
