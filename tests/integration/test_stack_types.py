"""Every resource type of the attached provider keeps the engine's contract, against the sandbox's AWS.

Made, read back unchanged, no difference on a second look, changed in place where it can be, drift seen, removed, gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from seawall.policy import load_policy
from seawall.sandbox.aws.identities import Identities, create_identities
from seawall.sandbox.provider.registry import RESOURCES
from seawall.sandbox.provider.server import start_provider
from seawall.sandbox.provider.values import UNKNOWN, Properties, from_struct, to_struct
from tests.integration.aws_site import PRIMARY, STANDBY, client, running_aws

pytestmark = pytest.mark.integration

POLICY = load_policy(Path(__file__).resolve().parents[2] / "policies" / "sandbox.yaml")
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
        ],
    }
)
SIGN = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:Sign", "Resource": "*"}]})
VERIFY = SIGN.replace("Sign", "Verify")


@pytest.fixture(scope="module")
def aws() -> Iterator[tuple[str, Identities]]:
    with running_aws() as endpoint:
        yield endpoint, create_identities(endpoint=endpoint, policy=POLICY)


@pytest.fixture(scope="module")
def provider_port(aws: tuple[str, Identities]) -> Iterator[int]:
    endpoint, identities = aws
    with pytest.MonkeyPatch.context() as patch:
        for name, value in identities.deployer.environment().items():
            patch.setenv(name, value)
        server, port = start_provider(aws_endpoint=endpoint)
    yield port
    server.stop(grace=0).wait()


class Engine:
    """One connection to the provider, configured for a region, speaking as the engine does."""

    def __init__(self, port: int, *, region: str) -> None:
        # Channels to one address share a connection unless they differ in their options; the engine's never do.
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)
        self.stub.Configure(provider_pb2.ConfigureRequest(args=to_struct({"region": region})))

    def check(self, kind: str, inputs: Properties) -> Any:
        """Checked inputs and failures."""
        return self.stub.Check(provider_pb2.CheckRequest(urn=urn(kind), news=to_struct(inputs)))

    def create(self, kind: str, inputs: Properties, *, preview: bool = False) -> tuple[str, Properties]:
        """Id and state."""
        request = provider_pb2.CreateRequest(urn=urn(kind), properties=to_struct(inputs), preview=preview)
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
        return self.stub.Diff(provider_pb2.DiffRequest(urn=urn(kind), old_inputs=to_struct(old), news=to_struct(new)))

    def update(self, kind: str, identifier: str, state: Properties, old: Properties, new: Properties) -> Properties:
        """The new state."""
        request = provider_pb2.UpdateRequest(
            urn=urn(kind), id=identifier, olds=to_struct(state), old_inputs=to_struct(old), news=to_struct(new)
        )
        return from_struct(self.stub.Update(request).properties)

    def delete(self, kind: str, identifier: str, state: Properties) -> None:
        """Remove it."""
        self.stub.Delete(provider_pb2.DeleteRequest(urn=urn(kind), id=identifier, properties=to_struct(state)))


@pytest.fixture
def engine(provider_port: int) -> Iterator[Engine]:
    connected = Engine(provider_port, region=PRIMARY)
    yield connected
    connected.channel.close()


def urn(kind: str) -> str:
    return f"urn:pulumi:test::seawall::{kind}::thing"


@dataclass(frozen=True, kw_only=True)
class Example:
    """Inputs of one type, what may change in place, and the resources that it needs.

    ``stays``: AWS has no way to take it back; a bucket under object lock stays versioned.
    """

    inputs: Properties
    changed: Properties = field(default_factory=dict)
    needs: dict[str, tuple[str, Properties]] = field(default_factory=dict)
    stays: bool = False


KEY: Properties = {"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "ECC_SECG_P256K1", "multiRegion": True}
BUCKET = ("aws:s3/bucket:Bucket", {"bucket": "seawall-evidence", "objectLockEnabled": True, "forceDestroy": True})
KEY_NEEDED = ("aws:kms/key:Key", KEY)
ROLE = ("aws:iam/role:Role", {"name": "seawall-role", "assumeRolePolicy": TRUST})
TOPIC = ("aws:sns/topic:Topic", {"name": "seawall-topic"})

EXAMPLES: dict[str, Example] = {
    "aws:kms/key:Key": Example(
        inputs={**KEY, "description": "one", "tags": {"a": "1", "b": "2"}, "deletionWindowInDays": 7},
        changed={"description": "two", "tags": {"a": "3"}, "isEnabled": False},
    ),
    "aws:kms/replicaKey:ReplicaKey": Example(
        inputs={"primaryKeyArn": "$key.arn", "region": STANDBY, "description": "one", "tags": {"a": "1"}},
        changed={"description": "two", "tags": {}},
        needs={"key": KEY_NEEDED},
    ),
    "aws:kms/alias:Alias": Example(
        inputs={"name": "alias/seawall/thing", "targetKeyId": "$key.keyId"},
        changed={"targetKeyId": "$other.keyId"},
        needs={"key": KEY_NEEDED, "other": KEY_NEEDED},
    ),
    "aws:iam/role:Role": Example(
        inputs={"name": "seawall-thing", "assumeRolePolicy": TRUST, "description": "one", "tags": {"a": "1"}},
        changed={"description": "two", "maxSessionDuration": 7200, "tags": {"b": "2"}},
    ),
    "aws:iam/rolePolicy:RolePolicy": Example(
        inputs={"name": "sign", "role": "$role.name", "policy": SIGN}, changed={"policy": VERIFY}, needs={"role": ROLE}
    ),
    "aws:s3/bucket:Bucket": Example(
        inputs={"bucket": "seawall-thing", "forceDestroy": True, "tags": {"a": "1"}}, changed={"tags": {"b": "2"}}
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Example(
        inputs={"bucket": "$bucket.bucket", "versioningConfiguration": {"status": "Enabled"}},
        needs={"bucket": BUCKET},
        stays=True,
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": Example(
        inputs={"bucket": "$bucket.bucket", "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 1}}},
        changed={"rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 2}}},
        needs={"bucket": BUCKET},
    ),
    "aws:sns/topic:Topic": Example(
        inputs={"name": "seawall-thing", "tags": {"a": "1"}}, changed={"displayName": "Thing", "tags": {"a": "2"}}
    ),
    "aws:sns/topicSubscription:TopicSubscription": Example(
        inputs={"topic": "$topic.arn", "protocol": "email", "endpoint": "someone@harbour.example"},
        needs={"topic": TOPIC},
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Example(
        inputs={
            "name": "seawall-thing",
            "comparisonOperator": "GreaterThanOrEqualToThreshold",
            "evaluationPeriods": 1,
            "metricName": "seawall_indicator",
            "namespace": "Seawall",
            "period": 10,
            "statistic": "Maximum",
            "threshold": 0.25,
            "dimensions": {"indicator": "drawdown_velocity"},
            "tags": {"a": "1"},
        },
        changed={"threshold": 2, "tags": {"b": "2"}, "actionsEnabled": False},
    ),
}


def resolved(value: Any, made: dict[str, Properties]) -> Any:
    """``$name.property`` of what an example needs becomes its value."""
    if isinstance(value, str) and value.startswith("$"):
        name, _, attribute = value[1:].partition(".")
        return made[name][attribute]
    return value


@pytest.fixture
def prepared(engine: Engine) -> Iterator[Callable[[str], tuple[Properties, Properties]]]:
    """Make what a type's example needs; gives its inputs and its changed inputs."""
    cleanup: list[tuple[str, str, Properties]] = []

    def prepare(kind: str) -> tuple[Properties, Properties]:
        example = EXAMPLES[kind]
        made: dict[str, Properties] = {}
        for name, (needed, inputs) in example.needs.items():
            identifier, made[name] = engine.create(needed, inputs)
            cleanup.append((needed, identifier, made[name]))
        first = {name: resolved(value, made) for name, value in example.inputs.items()}
        then = {name: resolved(value, made) for name, value in example.changed.items()}
        checked = from_struct(engine.check(kind, first).inputs)
        return checked, {**checked, **then}

    yield prepare
    for needed, identifier, state in reversed(cleanup):
        engine.delete(needed, identifier, state)


def test_every_type_has_an_example() -> None:
    assert set(EXAMPLES) == set(RESOURCES)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_resource_lives_as_the_engine_expects(engine: Engine, prepared: Any, kind: str) -> None:
    inputs, changed = prepared(kind)
    identifier, state = engine.create(kind, inputs)
    none = provider_pb2.DiffResponse.DIFF_NONE
    try:
        assert engine.read(kind, identifier, state, inputs) == (identifier, state, inputs)
        assert engine.diff(kind, inputs, inputs).changes == none
        if changed != inputs:
            assert not engine.diff(kind, inputs, changed).replaces
            state = engine.update(kind, identifier, state, inputs, changed)
            assert engine.read(kind, identifier, state, changed) == (identifier, state, changed), (
                "AWS was told everything"
            )
            _, _, drifted = engine.read(kind, identifier, state, inputs)
            assert engine.diff(kind, drifted, inputs).changes != none, "what somebody else changed is seen"
    finally:
        engine.delete(kind, identifier, state)
    assert (engine.read(kind, identifier, state, inputs)[0] != "") is EXAMPLES[kind].stays
    engine.delete(kind, identifier, state)


def test_an_import_reads_every_input_from_aws(engine: Engine, prepared: Any) -> None:
    inputs, _ = prepared("aws:kms/key:Key")
    identifier, state = engine.create("aws:kms/key:Key", inputs)
    _, found, told = engine.read("aws:kms/key:Key", identifier, {}, {})
    expected = {name: value for name, value in inputs.items() if name != "deletionWindowInDays"}
    assert told == {**expected, "policy": found["policy"], "region": PRIMARY}
    engine.delete("aws:kms/key:Key", identifier, state)


def test_a_preview_makes_nothing(engine: Engine, aws: tuple[str, Identities]) -> None:
    endpoint, identities = aws
    _, state = engine.create("aws:sns/topic:Topic", {"name": "seawall-imagined"}, preview=True)
    assert state == {"name": "seawall-imagined", "arn": UNKNOWN, "owner": UNKNOWN, "tagsAll": UNKNOWN}
    topics = client("sns", endpoint, identities.deployer.environment()).list_topics()["Topics"]
    assert not [topic for topic in topics if topic["TopicArn"].endswith("imagined")]


@pytest.mark.parametrize(
    "change", [{"multiRegion": False}, {"customerMasterKeySpec": "ECC_NIST_P256"}, {"region": STANDBY}]
)
def test_a_change_of_a_keys_nature_means_another_key(engine: Engine, change: Properties) -> None:
    assert list(engine.diff("aws:kms/key:Key", KEY, {**KEY, **change}).replaces) == list(change)


def test_a_property_that_is_not_supported_is_refused_by_name(engine: Engine) -> None:
    failures = engine.check(
        "aws:iam/role:Role", {"name": "a", "assumeRolePolicy": TRUST, "permissionsBoundary": "b"}
    ).failures
    assert [(failure.property, failure.reason) for failure in failures] == [
        ("permissionsBoundary", "the sandbox's provider does not support permissionsBoundary of aws:iam/role:Role")
    ]


def test_a_type_or_function_that_is_not_supported_is_refused_by_name(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError, match="does not support aws:ec2/vpc:Vpc"):
        engine.check("aws:ec2/vpc:Vpc", {})
    with pytest.raises(grpc.RpcError, match="does not support the function aws:ec2/getVpc:getVpc"):
        engine.stub.Invoke(provider_pb2.InvokeRequest(tok="aws:ec2/getVpc:getVpc"))


def test_a_setting_without_meaning_is_refused_by_name(engine: Engine) -> None:
    answer = engine.stub.CheckConfig(provider_pb2.CheckRequest(news=to_struct({"region": PRIMARY, "profile": "real"})))
    assert [failure.property for failure in answer.failures] == ["profile"]


def test_an_error_carries_the_code_of_aws_and_the_name_of_the_resource(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError, match=r"aws:iam/role:Role thing: AccessDenied: User: .*deployer"):
        engine.create("aws:iam/role:Role", {"name": "not-ours", "assumeRolePolicy": TRUST})


def test_two_connections_are_two_regions(engine: Engine, provider_port: int) -> None:
    other = Engine(provider_port, region=STANDBY)
    made = [(each, *each.create("aws:sns/topic:Topic", {"name": "seawall-both"})) for each in (engine, other)]
    regions = [state["region"] for _, _, state in made]
    for each, identifier, state in made:
        each.delete("aws:sns/topic:Topic", identifier, state)
    other.channel.close()
    assert regions == [PRIMARY, STANDBY]


def test_a_public_key_comes_in_the_form_that_addresses_are_made_from(engine: Engine) -> None:
    identifier, state = engine.create("aws:kms/key:Key", KEY)
    request = provider_pb2.InvokeRequest(tok="aws:kms/getPublicKey:getPublicKey", args=to_struct({"keyId": identifier}))
    answer = from_struct(getattr(engine.stub.Invoke(request), "return"))
    engine.delete("aws:kms/key:Key", identifier, state)
    assert answer["publicKey"].startswith("MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE")
    assert answer["customerMasterKeySpec"] == "ECC_SECG_P256K1"
    assert answer["arn"] == state["arn"]
