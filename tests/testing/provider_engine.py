"""Calls the provider over gRPC as the Pulumi engine does, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from localaws.provider import values
from localaws.provider.server import start_provider
from localaws.provider.values import Properties, to_struct
from sandbox.identities import Identity


def from_struct(struct: Any) -> Properties:
    """Return the properties in an answer, without the marks of secrets.

    The engine keeps those itself.
    """
    return {name: _unmarked(value) for name, value in values.from_struct(struct).items()}


def _unmarked(value: Any) -> Any:
    return (
        value["value"]
        if isinstance(value, dict) and value == values.secret(value.get("value"))
        else value
    )


@contextmanager
def running_provider(endpoint: str, deployer: Identity) -> Iterator[int]:
    """Serve with the credentials of ``deployer``; gives the port."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in deployer.environment().items():
            patch.setenv(name, value)
        server, port = start_provider(aws_endpoint=endpoint)
    yield port
    server.stop(grace=0).wait()


class Engine:
    """One connection to the provider, configured for a Region."""

    def __init__(self, port: int, *, region: str) -> None:
        # Channels to one address share a connection unless they differ in their options; the
        # engine's never do.
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)
        self.stub.Configure(provider_pb2.ConfigureRequest(args=to_struct({"region": region})))

    def check(self, kind: str, inputs: Properties) -> Any:
        """Checked inputs and failures."""
        return self.stub.Check(provider_pb2.CheckRequest(urn=urn(kind), news=to_struct(inputs)))

    def checked(self, kind: str, inputs: Properties) -> Properties:
        """Checked inputs, of which none failed."""
        answer = self.check(kind, inputs)
        assert not answer.failures, answer.failures
        return from_struct(answer.inputs)

    def create(
        self, kind: str, inputs: Properties, *, preview: bool = False
    ) -> tuple[str, Properties]:
        """Id and state."""
        request = provider_pb2.CreateRequest(
            urn=urn(kind), properties=to_struct(inputs), preview=preview
        )
        answer = self.stub.Create(request)
        return answer.id, from_struct(answer.properties)

    def read(
        self, kind: str, identifier: str, state: Properties, inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        """Id, state and inputs."""
        request = provider_pb2.ReadRequest(
            urn=urn(kind), id=identifier, properties=to_struct(state), inputs=to_struct(inputs)
        )
        answer = self.stub.Read(request)
        return answer.id, from_struct(answer.properties), from_struct(answer.inputs)

    def diff(self, kind: str, old: Properties, new: Properties) -> Any:
        """What changes between two sets of inputs."""
        return self.stub.Diff(
            provider_pb2.DiffRequest(urn=urn(kind), old_inputs=to_struct(old), news=to_struct(new))
        )

    def update(
        self, kind: str, identifier: str, state: Properties, old: Properties, new: Properties
    ) -> Properties:
        """The new state."""
        request = provider_pb2.UpdateRequest(
            urn=urn(kind),
            id=identifier,
            olds=to_struct(state),
            old_inputs=to_struct(old),
            news=to_struct(new),
        )
        return from_struct(self.stub.Update(request).properties)

    def delete(self, kind: str, identifier: str, state: Properties) -> None:
        """Remove it."""
        self.stub.Delete(
            provider_pb2.DeleteRequest(urn=urn(kind), id=identifier, properties=to_struct(state))
        )


def urn(kind: str) -> str:
    """The name of the one resource that these tests make."""
    return f"urn:pulumi:test::seawall::{kind}::thing"
