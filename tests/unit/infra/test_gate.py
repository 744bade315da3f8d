"""The gate gets declarations by the engine's names, as plain data, with unknown values marked."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from infra.refusals.declared import UNKNOWN, Demands
from infra.refusals.gate import Gate, _known, _wire_name
from seawall.errors import UsageError
from tests.testing.declared import POLICY

TRAIL = "aws:cloudtrail/trail:Trail"
STRANGE: dict[str, Any] = {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}


@pytest.fixture
async def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """One that no engine knows of, and that is open."""
    for name in ("register_resource_transform", "register_stack_transformation"):
        monkeypatch.setattr(f"infra.refusals.gate.{name}", lambda _: None)
    made = Gate(Demands(policy=POLICY, protected=True, key_window_days=30, expected=()))
    made._judged.set_result(None)
    return made


def hold(gate: Gate, of: type[pulumi.Resource], *, protect: bool | None = None) -> pulumi.Resource:
    """Declare a trail, or what says it is one.

    Its constructor is left out, because it would register it.
    """
    made: Any = object.__new__(of)
    options = pulumi.ResourceOptions(protect=protect)
    gate._hold(
        pulumi.ResourceTransformationArgs(
            made, TRAIL, "trail", {"is_multi_region_trail": True}, options
        )
    )
    return made  # type: ignore[no-any-return]


def transform_args(
    *, custom: bool = True, protect: bool | None = True, **inputs: Any
) -> pulumi.ResourceTransformArgs:
    """What the engine passes to a transform just before it makes a resource."""
    return pulumi.ResourceTransformArgs(
        custom=custom,
        type_=TRAIL,
        name="trail",
        props=inputs,
        opts=pulumi.ResourceOptions(protect=protect),
    )


@pytest.mark.parametrize("protect", [True, False, None])
async def test_what_is_declared_is_kept_for_the_judgement_and_for_the_destroy_guard(
    gate: Gate, protect: bool | None
) -> None:
    made = hold(gate, aws.cloudtrail.Trail, protect=protect)
    [declared] = gate._collector.declared
    assert str(declared) == f"{TRAIL} trail"
    assert declared.inputs == {"isMultiRegionTrail": True}
    assert declared.protect is (protect is True)
    assert gate.resources == [made]


async def test_components_are_not_judged(gate: Gate) -> None:
    hold(gate, pulumi.ComponentResource)
    assert (gate._collector.declared, gate.resources) == ([], [])
    gate._judge_known(transform_args(custom=False, **STRANGE))


@pytest.mark.parametrize(
    ("protect", "inputs", "said"),
    [(False, {}, "not protected"), (None, {}, "not protected"), (True, STRANGE, "AWS owns")],
)
async def test_a_resource_is_judged_again_just_before_it_is_made(
    gate: Gate, protect: bool | None, inputs: dict[str, Any], said: str
) -> None:
    gate._judge_known(transform_args(protect=True))
    with pytest.raises(UsageError, match=said):
        gate._judge_known(transform_args(protect=protect, **inputs))


async def test_values_that_only_aws_knows_are_unknown_at_any_depth() -> None:
    async def later() -> str:
        return "arn"

    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    coroutine = later()
    block = aws.cloudtrail.TrailInsightSelectorArgs(
        insight_type=pulumi.Output.from_input("ApiCallRateInsight")
    )
    seen = _known({"a": [future, "b"], "c": (coroutine,), "d": block})
    coroutine.close()
    assert seen == {"a": [UNKNOWN, "b"], "c": [UNKNOWN], "d": {"insightType": UNKNOWN}}


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("policy", "policy"),
        ("enable_key_rotation", "enableKeyRotation"),
        ("key_material_base64", "keyMaterialBase64"),
    ],
)
def test_inputs_have_the_names_that_the_engine_knows(name: str, wire: str) -> None:
    assert _wire_name(name) == wire
