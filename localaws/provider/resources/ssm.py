"""Systems Manager: parameters.

The value is read back, and the engine encrypts it in the state, whatever its type, as upstream
does. The id, and what is imported, is the parameter's name. What forces a replacement follows
upstream (hashicorp/terraform-provider-aws, internal/service/ssm/parameter.go, ForceNew); the step
from the tier Advanced down to Standard, which upstream replaces for, AWS refuses and so does this
provider.
"""

from __future__ import annotations

from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import equal
from localaws.provider.table import Property, ResourceType, unfinished
from localaws.provider.tagging import Tagging, tag_map
from localaws.provider.values import Properties, from_aws, to_aws

_TAGGING = Tagging(
    service="ssm",
    by="name",
    resource="ResourceId",
    add="add_tags_to_resource",
    remove="remove_tags_from_resource",
    also={"ResourceType": "Parameter"},
)
_DESCRIBED = {
    "allowedPattern": "AllowedPattern",
    "dataType": "DataType",
    "description": "Description",
    "keyId": "KeyId",
    "name": "Name",
    "tier": "Tier",
    "type": "Type",
}
"""Properties that DescribeParameters returns and PutParameter takes."""
_SECURE = "SecureString"


def same_tier(one: Any, other: Any) -> bool:
    """Whether a tier is what was asked for; under Intelligent-Tiering AWS chooses one."""
    return "Intelligent-Tiering" in (one, other) or equal(one, other)


def _put(aws: Aws, inputs: Properties, *, overwrite: bool) -> None:
    asked = to_aws(_DESCRIBED, inputs)
    if inputs["type"] != _SECURE:
        asked.pop("KeyId", None)
    # What is not named stays as it was (API reference, PutParameter), hence what is not declared is
    # emptied.
    empty = {
        name: "" for name in ("AllowedPattern", "Description") if overwrite and name not in asked
    }
    aws.ssm.put_parameter(Value=inputs["value"], Overwrite=overwrite, **asked, **empty)


def _create(aws: Aws, inputs: Properties) -> str:
    _put(aws, inputs, overwrite=bool(inputs.get("overwrite")))
    name = str(inputs["name"])
    with unfinished(name):  # PutParameter takes no tags when it may overwrite
        _TAGGING.sync(aws, name, {}, inputs.get("tags"))
    return name


def _read(aws: Aws, name: str) -> Properties | None:
    found = aws.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    filters = [{"Key": "Name", "Option": "Equals", "Values": [found["Name"]]}]
    pages = aws.ssm.get_paginator("describe_parameters").paginate(ParameterFilters=filters)
    about = next((item for page in pages for item in page["Parameters"]), None)
    if about is None:
        return None
    described = from_aws(_DESCRIBED, about)
    if found["Type"] != _SECURE:
        described.pop("keyId", None)
    tags = aws.ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    return {
        **described,
        "value": found["Value"],
        "arn": found["ARN"],
        "version": found["Version"],
        "tags": tag_map(tags),
    }


PARAMETER = ResourceType(
    kind="aws:ssm/parameter:Parameter",
    acts=True,
    inputs={
        "name": Property(required=True, replaces=True),
        "type": Property(required=True),
        "value": Property(required=True, secret=True, moves=("version",)),
        "description": Property(moves=("version",)),
        "allowedPattern": Property(),
        "dataType": Property(replaces=True, computed=True),
        "keyId": Property(computed=True),
        "tier": Property(same=same_tier, computed=True),
        "overwrite": Property(local=True),
    },
    outputs=("arn", "version"),
    create=_create,
    read=_read,
    update=lambda aws, _name, _old, new: _put(aws, new, overwrite=True),
    delete=lambda aws, name, _properties: aws.ssm.delete_parameter(Name=name),
    named_by="name",
    tagging=_TAGGING,
    gone=frozenset({"ParameterNotFound"}),
)
