"""Every resource type of the provider keeps the engine's contract, against the emulated AWS.

Made, read back unchanged, no difference when read again, changed in place where it can be, drift
seen, removed, gone. What is made of each type is in ``tests.testing.stack_types``, a module per
AWS service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2

from localaws.provider.registry import RESOURCES
from localaws.provider.values import UNKNOWN, Properties, from_struct, to_struct
from sandbox.identities import Identities, create_identities
from seawall.policy_file import load_policy
from tests.testing.aws_harness import PRIMARY, STANDBY, client, running_aws
from tests.testing.provider_engine import Engine, running_provider
from tests.testing.stack_types.example import all_examples, resolved
from tests.testing.stack_types.iam import TRUST
from tests.testing.stack_types.kms import KEY

pytestmark = pytest.mark.integration

POLICY = load_policy(Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml")
EXAMPLES = all_examples()


@pytest.fixture(scope="module")
def aws() -> Iterator[tuple[str, Identities]]:
    with running_aws() as endpoint:
        yield endpoint, create_identities(endpoint=endpoint, policy=POLICY)


@pytest.fixture(scope="module")
def provider_port(aws: tuple[str, Identities]) -> Iterator[int]:
    endpoint, identities = aws
    with running_provider(endpoint, identities.deployer) as port:
        yield port


@pytest.fixture
def engine(provider_port: int) -> Iterator[Engine]:
    connected = Engine(provider_port, region=PRIMARY)
    yield connected
    connected.channel.close()


@pytest.fixture
def prepared(engine: Engine) -> Iterator[Callable[[str], tuple[Properties, Properties]]]:
    """Make what a type's example needs; gives its inputs and its changed inputs."""
    cleanup: list[tuple[str, str, Properties]] = []

    def prepare(kind: str) -> tuple[Properties, Properties]:
        example = EXAMPLES[kind]
        made: dict[str, Properties] = {}
        for name, (needed, inputs) in example.needs.items():
            identifier, state = engine.create(
                needed, engine.checked(needed, resolved(inputs, made))
            )
            made[name] = {**state, "id": identifier}
            cleanup.append((needed, identifier, state))
        first = resolved(example.inputs, made)
        return engine.checked(kind, first), engine.checked(
            kind, {**first, **resolved(example.changed, made)}
        )

    yield prepare
    for needed, identifier, state in reversed(cleanup):
        engine.delete(needed, identifier, state)


def made_up(kind: str, state: Properties) -> Properties:
    """A state in which every property that AWS returns is wrong.

    What AWS does not keep, and where the resource is, stay.
    """
    kept = {name for name, prop in RESOURCES[kind].inputs.items() if prop.local} | {"region"}
    return {name: value if name in kept else {"made": "up"} for name, value in state.items()}


def test_every_type_has_an_example() -> None:
    assert set(EXAMPLES) == set(RESOURCES)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_resource_lives_as_the_engine_expects(engine: Engine, prepared: Any, kind: str) -> None:
    inputs, changed = prepared(kind)
    identifier, state = engine.create(kind, inputs)
    none = provider_pb2.DiffResponse.DIFF_NONE
    try:
        assert engine.read(kind, identifier, state, inputs) == (identifier, state, inputs)
        assert engine.read(kind, identifier, made_up(kind, state), inputs) == (
            identifier,
            state,
            inputs,
        ), "AWS is asked"
        assert engine.diff(kind, inputs, inputs).changes == none
        if changed != inputs:
            assert not engine.diff(kind, inputs, changed).replaces
            state = engine.update(kind, identifier, state, inputs, changed)
            assert engine.read(kind, identifier, state, changed) == (identifier, state, changed), (
                "AWS was told everything"
            )
            _, _, drifted = engine.read(kind, identifier, state, inputs)
            assert engine.diff(kind, drifted, inputs).changes != none, (
                "what was changed elsewhere is seen"
            )
    finally:
        engine.delete(kind, identifier, state)
    assert (engine.read(kind, identifier, state, inputs)[0] != "") is EXAMPLES[kind].stays
    engine.delete(kind, identifier, state)


def test_an_import_reads_every_input_from_aws(engine: Engine, prepared: Any) -> None:
    inputs, _ = prepared("aws:kms/key:Key")
    identifier, state = engine.create("aws:kms/key:Key", inputs)
    _, found, described = engine.read("aws:kms/key:Key", identifier, {}, {})
    expected = {name: value for name, value in inputs.items() if name != "deletionWindowInDays"}
    assert described == {**expected, "policy": found["policy"], "region": PRIMARY}
    engine.delete("aws:kms/key:Key", identifier, state)


def test_a_preview_makes_nothing(engine: Engine, aws: tuple[str, Identities]) -> None:
    endpoint, identities = aws
    _, state = engine.create("aws:sns/topic:Topic", {"name": "seawall-imagined"}, preview=True)
    unknown = dict.fromkeys(("arn", "owner", "tagsAll", "region"), UNKNOWN)
    assert state == {"name": "seawall-imagined", **unknown}
    topics = client("sns", endpoint, identities.deployer.environment()).list_topics()["Topics"]
    assert not [topic for topic in topics if topic["TopicArn"].endswith("imagined")]


@pytest.mark.parametrize(
    "change",
    [{"multiRegion": False}, {"customerMasterKeySpec": "ECC_NIST_P256"}, {"region": STANDBY}],
)
def test_a_change_of_a_keys_nature_means_another_key(engine: Engine, change: Properties) -> None:
    assert list(engine.diff("aws:kms/key:Key", KEY, {**KEY, **change}).replaces) == list(change)


def test_a_property_that_is_not_supported_is_refused_by_name(engine: Engine) -> None:
    failures = engine.check(
        "aws:iam/role:Role", {"name": "a", "assumeRolePolicy": TRUST, "inlinePolicies": []}
    ).failures
    assert [(failure.property, failure.reason) for failure in failures] == [
        (
            "inlinePolicies",
            "the sandbox's provider does not support inlinePolicies of aws:iam/role:Role",
        )
    ]


def test_a_type_or_function_that_is_not_supported_is_refused_by_name(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError, match="does not support aws:ec2/vpc:Vpc"):
        engine.check("aws:ec2/vpc:Vpc", {})
    with pytest.raises(grpc.RpcError, match="does not support the function aws:ec2/getVpc:getVpc"):
        engine.stub.Invoke(provider_pb2.InvokeRequest(tok="aws:ec2/getVpc:getVpc"))


def test_a_setting_without_meaning_is_refused_by_name(engine: Engine) -> None:
    answer = engine.stub.CheckConfig(
        provider_pb2.CheckRequest(news=to_struct({"region": PRIMARY, "profile": "real"}))
    )
    assert [failure.property for failure in answer.failures] == ["profile"]


def test_an_error_carries_the_code_of_aws_and_the_name_of_the_resource(engine: Engine) -> None:
    with pytest.raises(
        grpc.RpcError, match=r"aws:iam/role:Role thing: AccessDenied: User: .*deployer"
    ):
        engine.create("aws:iam/role:Role", {"name": "not-ours", "assumeRolePolicy": TRUST})


def test_two_connections_are_two_regions(engine: Engine, provider_port: int) -> None:
    other = Engine(provider_port, region=STANDBY)
    made = [
        (each, *each.create("aws:sns/topic:Topic", {"name": "seawall-both"}))
        for each in (engine, other)
    ]
    regions = [state["region"] for _, _, state in made]
    for each, identifier, state in made:
        each.delete("aws:sns/topic:Topic", identifier, state)
    other.channel.close()
    assert regions == [PRIMARY, STANDBY]


def test_a_public_key_comes_in_the_form_that_addresses_are_made_from(engine: Engine) -> None:
    identifier, state = engine.create("aws:kms/key:Key", engine.checked("aws:kms/key:Key", KEY))
    request = provider_pb2.InvokeRequest(
        tok="aws:kms/getPublicKey:getPublicKey", args=to_struct({"keyId": identifier})
    )
    answer = from_struct(getattr(engine.stub.Invoke(request), "return"))
    engine.delete("aws:kms/key:Key", identifier, state)
    assert answer["publicKey"].startswith("MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE")
    assert answer["customerMasterKeySpec"] == "ECC_SECG_P256K1"
    assert answer["arn"] == state["arn"]
