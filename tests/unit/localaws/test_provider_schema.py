"""Every type and property that the provider has exists in the installed SDK.

The schema for `pulumi import` types them as the SDK does.
"""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import replace

import pytest

from localaws.provider.registry import FUNCTIONS, RESOURCES
from localaws.provider.resources import kms
from localaws.provider.schema import schema_text
from localaws.provider.table import Property
from tests.testing.sdk_names import SCHEMA, inputs_of_type, unknown, unknown_fields
from tests.testing.stack_types.example import all_examples

EXAMPLES = all_examples()


@pytest.mark.parametrize("kind", RESOURCES)
def test_a_type_and_its_properties_are_those_of_the_sdk(kind: str) -> None:
    """Nested properties count too, of every example and of what it needs."""
    example = EXAMPLES[kind]
    for name, inputs in [(kind, example.inputs), (kind, example.changed), *example.needs.values()]:
        assert unknown_fields(inputs, inputs_of_type(name)) == [], name
    described = SCHEMA["resources"][kind]
    assert set(RESOURCES[kind].all_outputs) <= set(described["properties"])
    assert all(RESOURCES[kind].all_inputs[name].required for name in described["requiredInputs"]), (
        "AWS needs no less"
    )


def test_a_name_that_the_sdk_does_not_have_is_noticed() -> None:
    wrong = replace(kms.KEY, inputs={**kms.KEY.inputs, "keySpec": Property()})
    with pytest.raises(
        LookupError, match="aws:kms/key:Key of the installed pulumi_aws has no keySpec"
    ):
        schema_text({wrong.kind: wrong}, version="7.0.0")
    with pytest.raises(LookupError, match="the installed pulumi_aws has no aws:kms/lock:Lock"):
        schema_text(
            {"aws:kms/lock:Lock": replace(kms.KEY, kind="aws:kms/lock:Lock")}, version="7.0.0"
        )
    versioning = inputs_of_type("aws:s3/bucketVersioning:BucketVersioning")
    assert unknown_fields(
        {"versioningConfiguration": {"status": "x", "state": "x"}, "bucke": 1}, versioning
    ) == ["bucke", "versioningConfiguration.state"]


def test_the_schema_has_the_types_of_the_sdk() -> None:
    key = inputs_of_type("aws:kms/key:Key")
    assert key["multiRegion"] == {"type": "boolean"}
    assert key["deletionWindowInDays"] == {"type": "integer"}
    assert key["tags"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert "tagsAll" not in key
    lock = inputs_of_type("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
    assert unknown({"defaultRetention": {"mode": "x", "days": 1}}, lock["rule"]) == []
    assert unknown({"defaultRetention": {"day": 1}}, lock["rule"]) == ["defaultRetention.day"]


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_and_its_arguments_are_those_of_the_sdk(kind: str) -> None:
    package, name = kind.partition(":")[2].partition("/")[0], kind.rpartition(":")[2]
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    module = importlib.import_module(
        "pulumi_aws" if package == "index" else f"pulumi_aws.{package}"
    )
    arguments = set(inspect.signature(getattr(module, snake)).parameters)
    assert {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", each).lower() for each in FUNCTIONS[kind].all_inputs
    } <= arguments
