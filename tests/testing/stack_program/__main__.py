"""A Pulumi program that declares what a JSON file says, for tests of the provider.

``SEAWALL_TEST_RESOURCES`` names it: ``{"providers": {name: {region, default_tags}}, "resources":
{name: {kind, provider, inputs, protect, after}}}``. ``after`` names resources above that must be
there first. In inputs ``"$name.property"`` is an output of a resource above, and ``{"$secret":
value}`` a secret.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

REFERENCE = re.compile(r"\$[A-Za-z][\w-]*\.\w+")
SPEC = json.loads(Path(os.environ["SEAWALL_TEST_RESOURCES"]).read_text(encoding="utf-8"))


def mentioned(value: Any) -> set[str]:
    """Every ``name.property`` that ``value`` refers to."""
    if isinstance(value, dict):
        return set().union(*map(mentioned, value.values()))
    if isinstance(value, list):
        return set().union(*map(mentioned, value))
    return {value[1:]} if isinstance(value, str) and REFERENCE.fullmatch(value) else set()


WANTED = mentioned(SPEC["resources"])
MADE: dict[str, pulumi.CustomResource] = {}


def resolved(value: Any) -> Any:
    """``value`` with outputs in the place of their names."""
    if isinstance(value, dict):
        if set(value) == {"$secret"}:
            return pulumi.Output.secret(resolved(value["$secret"]))
        return {name: resolved(item) for name, item in value.items()}
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if isinstance(value, str) and REFERENCE.fullmatch(value):
        name, _, attribute = value[1:].partition(".")
        return MADE[name].id if attribute == "id" else MADE[name].__dict__[attribute]
    return value


PROVIDERS = {
    name: aws.Provider(
        name,
        region=settings["region"],
        default_tags=aws.ProviderDefaultTagsArgs(tags=settings["default_tags"])
        if "default_tags" in settings
        else None,
    )
    for name, settings in SPEC["providers"].items()
}
for name, declared in SPEC["resources"].items():
    outputs = {each.partition(".")[2]: None for each in WANTED if each.partition(".")[0] == name}
    options = pulumi.ResourceOptions(
        provider=PROVIDERS[declared["provider"]],
        protect=declared.get("protect"),
        depends_on=[MADE[each] for each in declared.get("after", [])],
    )
    inputs = {key: resolved(value) for key, value in declared["inputs"].items()}
    MADE[name] = pulumi.CustomResource(declared["kind"], name, {**outputs, **inputs}, options)
