"""What the provider's table makes of inputs, without AWS."""

from __future__ import annotations

from localaws.provider import inputs
from localaws.provider.resources import kms
from localaws.provider.resources.s3.buckets import BUCKET
from localaws.provider.values import UNKNOWN, from_struct, to_struct


def names(found: list[inputs.Change]) -> list[tuple[str, bool]]:
    return [(change.name, change.replaces) for change in found]


def test_what_the_table_does_not_know_is_refused_by_name() -> None:
    refused = inputs.failures(
        kms.ALIAS.all_inputs, {"namePrefix": "x", "targetKeyId": "1"}, kind=kms.ALIAS.kind
    )
    assert [name for name, _ in refused] == ["namePrefix", "name"]
    assert "does not support namePrefix" in refused[0][1]


def test_a_key_that_would_change_its_address_is_replaced_and_a_description_is_not() -> None:
    old = {"multiRegion": True, "description": "a", "region": "us-east-1"}
    assert names(inputs.changes(kms.KEY, old, {**old, "multiRegion": False})) == [
        ("multiRegion", True)
    ]
    assert names(inputs.changes(kms.KEY, old, {**old, "description": "b"})) == [
        ("description", False)
    ]
    assert names(inputs.changes(kms.KEY, old, {**old, "region": "us-west-2"})) == [("region", True)]


def test_policies_that_say_the_same_are_no_change() -> None:
    old, new = {"policy": '{"Version": "2012-10-17"}'}, {"policy": '{ "Version":"2012-10-17" }'}
    assert inputs.changes(kms.KEY, old, new) == []


def test_what_is_not_known_yet_counts_as_a_change() -> None:
    assert names(inputs.changes(BUCKET, {"bucket": "a"}, {"bucket": UNKNOWN})) == [("bucket", True)]


def test_ignored_changes_are_ignored() -> None:
    assert (
        inputs.changes(kms.KEY, {"description": "a"}, {"description": "b"}, ignore={"description"})
        == []
    )


def test_a_refresh_keeps_the_wording_and_shows_the_drift() -> None:
    old = {"name": "alias/a", "targetKeyId": "arn:aws:kms:us-east-1:1:key/k1"}
    same = inputs.inputs_of(kms.ALIAS, {"name": "alias/a", "targetKeyId": "k1"}, old)
    moved = inputs.inputs_of(kms.ALIAS, {"name": "alias/a", "targetKeyId": "k2"}, old)
    assert same == old
    assert moved == {**old, "targetKeyId": "k2"}


def test_whole_numbers_come_back_as_integers() -> None:
    values = {"period": 10, "threshold": 0.25, "list": [1, {"days": 400}], "nothing": None}
    assert from_struct(to_struct(values)) == {
        "period": 10,
        "threshold": 0.25,
        "list": [1, {"days": 400}],
    }
    assert isinstance(from_struct(to_struct(values))["period"], int)
