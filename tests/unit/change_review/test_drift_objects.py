"""An S3 object that was overwritten outside the stack is drift; an unreadable one is unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from seawall.change_review.drift import (
    Difference,
    Drift,
    DriftedResource,
    Head,
    StoredObject,
    head_reader,
    stored_objects,
    with_overwritten,
)
from seawall.errors import EvidenceError
from tests.testing.endpoints import serving

KIND = "aws:s3/bucketObjectv2:BucketObjectv2"
URN = f"urn:pulumi:sandbox::seawall::seawall:infra:OfflineKit${KIND}::runbooks/drawdown.md"
OUTPUTS = {
    "bucket": "kit",
    "key": "runbooks/drawdown.md",
    "region": "us-west-2",
    "versionId": "v1",
    "etag": "e1",
}
OURS = StoredObject(
    urn=URN, bucket="kit", key="runbooks/drawdown.md", region="us-west-2", version="v1", etag="e1"
)
CLEAN = Drift(stack="sandbox", compared=2, resources=())


def printed(*steps: dict[str, Any]) -> str:
    return json.dumps({"steps": list(steps)})


def answering(*heads: Head | None) -> Any:
    """What S3 answers, object by object."""
    answers = iter(heads)
    return lambda _stored: next(answers)


@pytest.mark.parametrize("op", ["refresh", "update"])
def test_the_objects_are_read_from_the_stacks_own_state(op: str) -> None:
    """Of an object that drifted otherwise, too: its new state has what AWS has."""
    theirs = {"outputs": {**OUTPUTS, "versionId": "v2"}}
    step = {"op": op, "urn": URN, "oldState": {"outputs": OUTPUTS}, "newState": theirs}
    bucket = {
        "op": op,
        "urn": URN.replace(KIND, "aws:s3/bucket:Bucket"),
        "oldState": {"outputs": OUTPUTS},
    }

    assert stored_objects(printed(bucket, step)) == (OURS,)


def test_the_current_version_of_the_stack_is_no_drift() -> None:
    assert with_overwritten(CLEAN, [OURS], answering({"VersionId": "v1", "ETag": '"e2"'})) == CLEAN


@pytest.mark.parametrize(
    ("stored", "head", "difference"),
    [
        (
            OURS,
            {
                "VersionId": "v2",
                "ETag": '"e1"',
                "LastModified": datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC),
            },
            ("version v1", "version v2, written 2026-11-24T03:04:05Z"),
        ),
        (OURS, {"ETag": '"e1"'}, ("version v1", "version None")),
        (
            StoredObject(**{**vars(OURS), "version": None}),
            {"ETag": '"e2"'},
            ("version e1", "version e2"),
        ),
    ],
)
def test_another_version_is_drift_of_the_content(
    stored: StoredObject, head: Head, difference: tuple[str, str]
) -> None:
    found = with_overwritten(CLEAN, [stored], answering(head))

    [drifted] = found.resources
    assert (drifted.urn, drifted.kind, drifted.name, drifted.gone) == (
        URN,
        KIND,
        "runbooks/drawdown.md",
        False,
    )
    assert drifted.differences == (
        Difference(path="content", before=difference[0], after=difference[1]),
    )
    assert found.exit_code == 1


def test_drift_of_content_is_listed_beside_what_the_refresh_found() -> None:
    kind = Difference(path="contentType", before="text/plain", after="text/html")
    known = DriftedResource(
        urn=URN, kind=KIND, name="runbooks/drawdown.md", gone=False, differences=(kind,)
    )
    topic = DriftedResource(
        urn="urn:topic", kind="aws:sns/topic:Topic", name="info", gone=True, differences=()
    )

    found = with_overwritten(
        Drift(stack="sandbox", compared=2, resources=(known, topic)),
        [OURS],
        answering({"VersionId": "v2"}),
    )

    assert [each.path for each in found.resources[0].differences] == ["contentType", "content"]
    assert found.resources[1:] == (topic,)


@pytest.mark.parametrize("gone", [True, False])
def test_an_object_that_is_gone_is_named_by_the_refresh_alone(gone: bool) -> None:
    known = (
        (
            DriftedResource(
                urn=URN, kind=KIND, name="runbooks/drawdown.md", gone=True, differences=()
            ),
        )
        if gone
        else ()
    )
    drift = Drift(stack="sandbox", compared=2, resources=known)

    assert with_overwritten(drift, [OURS], answering(*(() if gone else (None,)))) == drift


def test_an_object_that_cannot_be_read_is_not_taken_for_unchanged() -> None:
    def denied(_stored: StoredObject) -> Mapping[str, Any]:
        message = "AccessDenied"
        raise EvidenceError(message)

    with pytest.raises(EvidenceError, match="AccessDenied"):
        with_overwritten(CLEAN, [OURS], denied)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize(("status", "known"), [(404, True), (403, False)])
def test_s3_is_asked_where_the_engine_asks_it(variable: str, status: int, known: bool) -> None:
    asked = []

    def answer(path: str, _body: Any) -> tuple[int, Any]:
        asked.append(path)
        return status, ""

    who = {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }
    with serving(answer) as url:
        read_head = head_reader({**who, variable: url})
        if known:
            assert read_head(OURS) is None, "the refresh names what is gone"
        else:
            with pytest.raises(
                EvidenceError,
                match=r"it is not known what is in s3://kit/runbooks/drawdown.md: .*403",
            ):
                read_head(OURS)
    assert asked == ["/kit/runbooks/drawdown.md"]
