"""The provider as the engine talks to it: pulumirpc.ResourceProvider over gRPC, on the table of ``registry``.

Configuration belongs to the connection: several explicit providers attach to one port, and calls are told apart by their gRPC peer.
"""

# ruff: noqa: ARG002, N802 - names and arguments are those of the gRPC service

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NoReturn, TypeVar

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from seawall.sandbox.provider import inputs as rules
from seawall.sandbox.provider.clients import Aws, Clients, code_of
from seawall.sandbox.provider.registry import FUNCTIONS, RESOURCES
from seawall.sandbox.provider.table import ResourceType
from seawall.sandbox.provider.values import Properties, from_struct, to_struct

VERSION = version("pulumi-aws")
"""The release whose resources the table follows is the one that the program is written with."""

_CONFIG = frozenset(
    {
        "region",
        "version",
        "skipCredentialsValidation",
        "skipRegionValidation",
        "skipMetadataApiCheck",
        "skipRequestingAccountId",
    }
)
"""Provider settings with a meaning here, and those that the SDK always sends, which switch off checks that we do not make."""

_Kind = provider_pb2.PropertyDiff
_Result = TypeVar("_Result")


class AwsProvider(provider_pb2_grpc.ResourceProviderServicer):
    """The ``aws`` package on boto3, against one endpoint."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._region_of_peer: dict[str, str] = {}

    # --- the plugin itself -------------------------------------------------------------------------------------------

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        """What kinds of value we take; the same as Configure answers."""
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False, accept_resources=False, accept_outputs=False
        )

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Empty:
        """The engine says where it listens; we never call it."""
        return Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The release whose resources we follow."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Names of all resources and their properties; `pulumi import` asks for it."""
        anything = {"$ref": "pulumi.json#/Any"}
        schema = {
            "name": "aws",
            "version": VERSION,
            "resources": {
                token: {
                    "inputProperties": dict.fromkeys(resource.all_inputs, anything),
                    "requiredInputs": [name for name, prop in resource.all_inputs.items() if prop.required],
                    "properties": dict.fromkeys([*resource.all_inputs, *resource.outputs], anything),
                }
                for token, resource in RESOURCES.items()
            },
        }
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Settings that have no meaning here are refused by name; a region is needed."""
        given = from_struct(request.news)
        refused = [(name, f"the sandbox's provider has no setting {name}") for name in sorted(set(given) - _CONFIG)]
        if "region" not in given:
            refused.append(("region", "say which region this provider is for"))
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(refused))

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Another region is another provider, so everything in it moves."""
        old, new = from_struct(request.olds), from_struct(request.news)
        if old.get("region") == new.get("region"):
            return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME, replaces=["region"], diffs=["region"]
        )

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Remember the region of this connection."""
        region = from_struct(request.args).get("region")
        if not region:
            _abort(context, "aws: say which region this provider is for", code=grpc.StatusCode.INVALID_ARGUMENT)
        self._region_of_peer[context.peer()] = str(region)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Empty:
        """Calls to AWS are short and are left to end."""
        return Empty()

    # --- functions ---------------------------------------------------------------------------------------------------

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer a data source."""
        function = FUNCTIONS.get(request.tok)
        if function is None:
            _abort(
                context,
                f"the sandbox's provider does not support the function {request.tok}",
                code=grpc.StatusCode.UNIMPLEMENTED,
            )
        given = from_struct(request.args)
        refused = rules.failures(function.all_inputs, given, kind=request.tok)
        if refused:
            return provider_pb2.InvokeResponse(failures=_failures(refused))
        aws = self._aws(given, context)
        answer = _translated(context, request.tok, lambda: function.call(aws, given))
        return provider_pb2.InvokeResponse(**{"return": to_struct(answer)})

    # --- resources ---------------------------------------------------------------------------------------------------

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuse what the table does not know, fill in its defaults."""
        resource = _resource(request.urn, context)
        given = from_struct(request.news)
        refused = rules.failures(resource.all_inputs, given, kind=resource.kind)
        return provider_pb2.CheckResponse(
            inputs=to_struct(rules.with_defaults(resource.inputs, given)), failures=_failures(refused)
        )

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Compare inputs; say for each change whether AWS must make the resource anew."""
        resource = _resource(request.urn, context)
        old, new = from_struct(request.old_inputs), from_struct(request.news)
        found = rules.changes(resource, old, new, ignore=set(request.ignoreChanges))
        replaced = [change.name for change in found if change.replaces]
        name_taken = resource.named_by is not None and resource.named_by not in replaced
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=[change.name for change in found],
            replaces=replaced,
            deleteBeforeReplace=bool(replaced) and name_taken,
            hasDetailedDiff=True,
            detailedDiff={change.name: _Kind(kind=_kind(change), inputDiff=True) for change in found},
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Make the resource and answer with what AWS then says of it."""
        resource = _resource(request.urn, context)
        given = from_struct(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=to_struct(rules.previewed(resource, given)))
        aws = self._aws(given, context)

        def make() -> tuple[str, Properties]:
            identifier = resource.create(aws, given)
            return identifier, self._state(resource, aws, identifier, given)

        identifier, properties = _translated(context, _label(request.urn), make)
        return provider_pb2.CreateResponse(id=identifier, properties=to_struct(properties))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        """What AWS says of the resource now; no id if it is gone."""
        resource = _resource(request.urn, context)
        known, old = from_struct(request.properties), from_struct(request.inputs)
        aws = self._aws({**old, **known}, context)
        found = _translated(context, _label(request.urn), lambda: resource.read(aws, request.id))
        if found is None:
            return provider_pb2.ReadResponse(id="")
        found = _with_region(resource, aws, rules.settled(resource, found, {**old, **known}))
        return provider_pb2.ReadResponse(
            id=request.id, properties=to_struct(found), inputs=to_struct(rules.inputs_of(resource, found, old))
        )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Change the resource in place."""
        resource = _resource(request.urn, context)
        state, new = from_struct(request.olds), from_struct(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=to_struct({**state, **new}))
        aws = self._aws({**state, **new}, context)

        def change() -> Properties:
            if resource.update is not None:
                resource.update(aws, request.id, from_struct(request.old_inputs), new)
            return self._state(resource, aws, request.id, new)

        return provider_pb2.UpdateResponse(properties=to_struct(_translated(context, _label(request.urn), change)))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Empty:
        """Remove the resource; one that is gone already is fine."""
        resource = _resource(request.urn, context)
        state = from_struct(request.properties)
        aws = self._aws(state, context)
        _translated(context, _label(request.urn), lambda: resource.delete(aws, request.id, state))
        return Empty()

    # --- inside --------------------------------------------------------------------------------------------------------

    def _aws(self, properties: Properties, context: grpc.ServicerContext) -> Aws:
        region = self._region_of_peer.get(context.peer())
        if region is None:
            _abort(context, "aws: this connection was never configured", code=grpc.StatusCode.FAILED_PRECONDITION)
        return Aws(clients=self._clients, region=str(properties.get("region") or region))

    @staticmethod
    def _state(resource: ResourceType, aws: Aws, identifier: str, given: Properties) -> Properties:
        found = resource.read(aws, identifier)
        if found is None:
            message = f"{identifier} is gone as soon as it was made"
            raise LookupError(message)
        return _with_region(resource, aws, rules.settled(resource, found, given))


def _with_region(resource: ResourceType, aws: Aws, properties: Properties) -> Properties:
    return {**properties, "region": aws.region} if resource.regional else properties


def _resource(urn: str, context: grpc.ServicerContext) -> ResourceType:
    token = urn.split("::")[2].rpartition("$")[2]
    resource = RESOURCES.get(token)
    if resource is None:
        offered = ", ".join(sorted(RESOURCES))
        _abort(
            context,
            f"the sandbox's provider does not support {token}; it has {offered}",
            code=grpc.StatusCode.UNIMPLEMENTED,
        )
    return resource


def _label(urn: str) -> str:
    parts = urn.split("::")
    return f"{parts[2].rpartition('$')[2]} {parts[-1]}"


def _failures(refused: list[tuple[str, str]]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in refused]


def _kind(change: rules.Change) -> Any:
    if change.added:
        return _Kind.ADD_REPLACE if change.replaces else _Kind.ADD
    if change.removed:
        return _Kind.DELETE_REPLACE if change.replaces else _Kind.DELETE
    return _Kind.UPDATE_REPLACE if change.replaces else _Kind.UPDATE


def _translated(context: grpc.ServicerContext, label: str, call: Callable[[], _Result]) -> _Result:
    """The result of ``call``; what AWS refuses becomes a gRPC error with its code and the resource's name."""
    try:
        return call()
    except ClientError as error:
        _abort(context, f"{label}: {code_of(error)}: {error.response.get('Error', {}).get('Message', error)}")
    except (BotoCoreError, LookupError) as error:
        _abort(context, f"{label}: {type(error).__name__}: {error}")


def _abort(context: grpc.ServicerContext, message: str, *, code: Any = grpc.StatusCode.UNKNOWN) -> NoReturn:
    context.abort(code, message)
    raise AssertionError(message)  # abort does not return
