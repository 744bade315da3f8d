"""The gRPC service that the Pulumi engine calls (pulumirpc.ResourceProvider), on ``registry``.

Configuration belongs to the connection: several explicit providers attach to one port, and calls
are distinguished by their gRPC peer. Secrets: the engine unwraps them for us and marks what comes
back under the same name (it does so for a plugin that does not accept secrets); what the table
calls secret is marked here as well, since an imported value was never declared secret.
"""

# ruff: noqa: ARG002, N802 - names and arguments are those of the gRPC service

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from localaws.provider import configuration as settings
from localaws.provider import inputs as rules
from localaws.provider.clients import Aws, Clients
from localaws.provider.configuration import Configuration
from localaws.provider.failures import abort, half_made, reason, translated
from localaws.provider.registry import FUNCTIONS, RESOURCES
from localaws.provider.table import HalfMadeError, ResourceType
from localaws.provider.values import Properties, from_struct, secret, to_struct
from seawall.errors import PortBusyError

VERSION = version("pulumi-aws")
"""The provider reports the release of pulumi_aws that the program is written with."""

_MESSAGE_BYTES_MAX = 400 * 1024 * 1024
"""What the engine's own plugins accept (pulumi, sdk/go/common/util/rpcutil)."""
_WORKERS = 32
"""Twice the engine's default parallelism on a small machine; calls wait for AWS, not for a core."""
_Kind = provider_pb2.PropertyDiff
_FOREIGN = (ClientError, BotoCoreError, LookupError)
_READ_AGAIN_AFTER_S = (0.1, 0.4, 1.5)
"""Waits before a resource that was just made is read again.

AWS is eventually consistent: it may not be seen at once (for example IAM user guide, "Changes that
I make are not always immediately visible").
"""


class AwsProvider(provider_pb2_grpc.ResourceProviderServicer):
    """The ``aws`` package on boto3, against one endpoint."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._configured: dict[str, Configuration] = {}

    # --------------------------------------------------------------------------------------------
    # The plugin itself
    # --------------------------------------------------------------------------------------------

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Which kinds of value are accepted; the same as Configure answers."""
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=False, accept_resources=False, accept_outputs=False
        )

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Empty:
        """The engine says where it listens; this provider never calls it."""
        return Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The release of pulumi_aws whose resources the table follows."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        """All resources and their properties, with types; `pulumi import` writes code by it."""
        # loads the SDK, which nothing else here needs
        from localaws.provider.schema import schema_text  # noqa: PLC0415

        return provider_pb2.GetSchemaResponse(schema=schema_text(RESOURCES, version=VERSION))

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Settings that have no meaning here are refused by name; a region is needed."""
        refused = settings.refused(from_struct(request.news), regions=self._clients.regions)
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(refused))

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Say what a change of the provider's settings means.

        Another Region is another provider, so everything in it moves. Other default tags are a
        change of the resources.
        """
        old, new = from_struct(request.olds), from_struct(request.news)
        changed = [name for name in ("region", "defaultTags") if old.get(name) != new.get(name)]
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME
            if changed
            else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=[name for name in changed if name == "region"],
            diffs=changed,
        )

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Remember the configuration of this connection.

        Credentials that AWS does not accept end the run here, once, before anything is made.
        """
        given = from_struct(request.args)
        if not given.get("region"):
            abort(
                context,
                "aws: say which region this provider is for",
                code=grpc.StatusCode.INVALID_ARGUMENT,
            )
        configured = settings.configured(given)
        aws = Aws(clients=self._clients, region=configured.region)
        translated(context, f"the aws provider in {configured.region}", aws.sts.get_caller_identity)
        self._configured[context.peer()] = configured
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Empty:
        """Do nothing: calls to AWS are short and are left to end."""
        return Empty()

    # --------------------------------------------------------------------------------------------
    # Functions
    # --------------------------------------------------------------------------------------------

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer a data source."""
        function = FUNCTIONS.get(request.tok)
        if function is None:
            abort(
                context,
                f"the sandbox's provider does not support the function {request.tok}",
                code=grpc.StatusCode.UNIMPLEMENTED,
            )
        given = from_struct(request.args)
        refused = rules.failures(
            function.all_inputs, given, kind=request.tok, regions=self._clients.regions
        )
        if refused:
            return provider_pb2.InvokeResponse(failures=_failures(refused))
        aws = self._aws(given, context)
        answer = translated(context, request.tok, lambda: function.call(aws, given))
        return provider_pb2.InvokeResponse(**{"return": to_struct(answer)})

    # --------------------------------------------------------------------------------------------
    # Resources
    # --------------------------------------------------------------------------------------------

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuse what the table does not know, fill in its defaults, work out all tags."""
        resource = _resource(request.urn, context)
        given = from_struct(request.news)
        refused = rules.failures(
            resource.all_inputs, given, kind=resource.kind, regions=self._clients.regions
        )
        configured = self._configuration(context)
        checked = rules.checked(
            resource, given, region=configured.region, default_tags=configured.default_tags
        )
        return provider_pb2.CheckResponse(
            inputs=_struct(resource, checked), failures=_failures(refused)
        )

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Compare inputs; say for each change whether AWS must make the resource anew."""
        resource = _resource(request.urn, context)
        old, new = from_struct(request.old_inputs), from_struct(request.news)
        found = rules.changes(resource, old, new, ignore=set(request.ignoreChanges))
        replaced = [change.name for change in found if change.replaces]
        name_taken = resource.named_by is not None and resource.named_by not in replaced
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME
            if found
            else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=[change.name for change in found],
            replaces=replaced,
            deleteBeforeReplace=bool(replaced) and name_taken,
            hasDetailedDiff=True,
            detailedDiff={
                change.name: _Kind(kind=_kind(change), inputDiff=True) for change in found
            },
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Make the resource and answer with what AWS then says of it.

        One that is made only in part is reported with its error.
        """
        resource = _resource(request.urn, context)
        given = from_struct(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(
                properties=_struct(resource, rules.previewed(resource, given))
            )
        aws, label = self._aws(given, context), _label(request.urn)
        message = ""
        try:
            identifier = resource.create(aws, rules.for_aws(resource, given))
        except HalfMadeError as error:
            identifier, message = error.identifier, reason(label, error.__cause__ or error)
        except _FOREIGN as error:
            abort(context, reason(label, error))
        state = self._as_it_is(resource, aws, identifier, given, context)
        if isinstance(state, Exception):
            half_made(
                context,
                identifier=identifier,
                properties=_wrapped(resource, given),
                message=message or reason(label, state),
            )
        if message:
            half_made(
                context,
                identifier=identifier,
                properties=_wrapped(resource, state),
                message=message,
            )
        return provider_pb2.CreateResponse(id=identifier, properties=_struct(resource, state))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer with what AWS says of the resource now; no id if it is gone."""
        resource = _resource(request.urn, context)
        known, old = from_struct(request.properties), from_struct(request.inputs)
        identifier: str = request.id
        elsewhere: Properties = {}
        if not known and not old and resource.regional:
            identifier, elsewhere = rules.imported_id(request.id, regions=self._clients.regions)
        aws = self._aws({**elsewhere, **old, **known}, context)
        found = translated(context, _label(request.urn), lambda: resource.found(aws, identifier))
        if found is None:
            return provider_pb2.ReadResponse(id="")
        default_tags = self._configuration(context).default_tags
        found = rules.settled(resource, found, {**known, **old}, default_tags)
        described = rules.inputs_of(resource, found, old)
        return provider_pb2.ReadResponse(
            id=identifier, properties=_struct(resource, found), inputs=_struct(resource, described)
        )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Change the resource in place, from what AWS says it is to what the program wants.

        A failure in between is reported as such.
        """
        resource = _resource(request.urn, context)
        state, old, new = (
            from_struct(request.olds),
            from_struct(request.old_inputs),
            from_struct(request.news),
        )
        if request.preview:
            return provider_pb2.UpdateResponse(
                properties=_struct(resource, rules.preview_of_update(resource, state, old, new))
            )
        aws, label = self._aws({**state, **new}, context), _label(request.urn)
        found = translated(context, label, lambda: resource.found(aws, request.id))
        if found is None:
            abort(
                context,
                f"{label}: AWS has no {request.id} any more (run pulumi refresh, then pulumi up)",
            )
        wanted = rules.for_aws(resource, new)
        message = ""
        try:
            resource.change(
                aws, request.id, found, rules.standing(resource, found, old, wanted), wanted
            )
        except _FOREIGN as error:
            message = reason(label, error)
        after = self._as_it_is(resource, aws, request.id, new, context)
        if isinstance(after, Exception):
            half_made(
                context,
                identifier=request.id,
                properties=_wrapped(resource, state),
                message=message or reason(label, after),
            )
        if message:
            half_made(
                context,
                identifier=request.id,
                properties=_wrapped(resource, after),
                message=message,
            )
        return provider_pb2.UpdateResponse(properties=_struct(resource, after))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Empty:
        """Remove the resource; one that is gone already is fine."""
        resource = _resource(request.urn, context)
        state = from_struct(request.properties)
        aws = self._aws(state, context)
        translated(context, _label(request.urn), lambda: resource.remove(aws, request.id, state))
        return Empty()

    # --------------------------------------------------------------------------------------------
    # Inside
    # --------------------------------------------------------------------------------------------

    def _configuration(self, context: grpc.ServicerContext) -> Configuration:
        found = self._configured.get(context.peer())
        if found is None:
            abort(
                context,
                "aws: this connection was never configured",
                code=grpc.StatusCode.FAILED_PRECONDITION,
            )
        return found

    def _aws(self, properties: Properties, context: grpc.ServicerContext) -> Aws:
        region = self._configuration(context).region
        return Aws(clients=self._clients, region=str(properties.get("region") or region))

    def _as_it_is(
        self,
        resource: ResourceType,
        aws: Aws,
        identifier: str,
        given: Properties,
        context: grpc.ServicerContext,
    ) -> Properties | Exception:
        """The state of a resource that exists, or why it cannot be read."""
        default_tags = self._configuration(context).default_tags
        try:
            found = resource.found(aws, identifier)
            for wait_s in _READ_AGAIN_AFTER_S:
                if found is not None:
                    break
                time.sleep(wait_s)
                found = resource.found(aws, identifier)
        except _FOREIGN as error:
            return error
        if found is None:
            return LookupError(f"{identifier} was made, but AWS does not show it")
        return rules.settled(resource, found, given, default_tags)


def _resource(urn: str, context: grpc.ServicerContext) -> ResourceType:
    token = urn.split("::")[2].rpartition("$")[2]
    resource = RESOURCES.get(token)
    if resource is None:
        offered = ", ".join(sorted(RESOURCES))
        abort(
            context,
            f"the sandbox's provider does not support {token}; it has {offered}",
            code=grpc.StatusCode.UNIMPLEMENTED,
        )
    return resource


def _label(urn: str) -> str:
    parts = urn.split("::")
    return f"{parts[2].rpartition('$')[2]} {parts[-1]}"


def _wrapped(resource: ResourceType, properties: Properties) -> Properties:
    secrets = {name for name, prop in resource.inputs.items() if prop.secret}
    return {name: secret(value) if name in secrets else value for name, value in properties.items()}


def _struct(resource: ResourceType, properties: Properties) -> Any:
    return to_struct(_wrapped(resource, properties))


def _failures(refused: list[tuple[str, str]]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=name, reason=why) for name, why in refused]


def _kind(change: rules.Change) -> Any:
    if change.added:
        return _Kind.ADD_REPLACE if change.replaces else _Kind.ADD
    if change.removed:
        return _Kind.DELETE_REPLACE if change.replaces else _Kind.DELETE
    return _Kind.UPDATE_REPLACE if change.replaces else _Kind.UPDATE


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
        raise PortBusyError(f"cannot listen on 127.0.0.1:{port}") from error
    server.start()
    return server, bound
