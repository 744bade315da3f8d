"""A preview is read without trusting it: what it lacks is a doubt, and a doubt is never a pass."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seawall.change_review.judgement import ReviewOutcome, exposures_of, judge
from seawall.change_review.preview import parse
from seawall.errors import EvidenceError
from tests.testing.proposals import (
    ADDRESS,
    CALM,
    NOW,
    POLICY,
    document,
    judged,
    refusals,
    step,
    urn,
)

KEY = "aws:kms/key:Key"
INPUTS = {
    "keyUsage": "SIGN_VERIFY",
    "customerMasterKeySpec": "ECC_SECG_P256K1",
    "region": "us-east-1",
}
PROTECTED = {
    "urn": urn(KEY, "customer-aster-hot"),
    "message": 'error: unable to replace resource "..."\nas it is currently marked for protection. To unprotect the resource, remove the `protect` flag',
    "severity": "error",
}
UNDELETABLE = {
    "urn": urn(KEY, "customer-aster-hot"),
    "message": 'error: Preview failed: resource "..." cannot be deleted\nbecause it is protected. To unprotect the resource, either remove the `protect` flag',
    "severity": "error",
}
EPILOGUE = {"message": "error: preview failed\n", "severity": "error"}


def outcome(found: dict[str, Any], **engine: Any) -> tuple[ReviewOutcome, tuple[str, ...]]:
    preview = parse(json.dumps(found), **engine)
    judgement = judge(
        preview,
        policy=POLICY,
        freeze=CALM,
        override=None,
        now=NOW,
        exposures=exposures_of(preview, POLICY),
    )
    return judgement.outcome, judgement.doubts


def test_a_preview_that_protect_refused_is_still_judged_and_refused() -> None:
    """The engine exits 1 and lists the step all the same."""
    judgement = judged(
        step(KEY, INPUTS, INPUTS, op="replace", protect=(True, True)),
        diagnostics=[PROTECTED],
        exit_code=1,
    )

    assert refusals(judgement) == {"signing-key-replaced"}
    assert judgement.outcome is ReviewOutcome.REFUSED
    assert judgement.doubts == ()
    assert judgement.faults == (
        "the engine itself refuses, and may not show what else would change: protected are customer-aster-hot (aws:kms/key:Key)",
    )


def test_a_preview_that_protect_cut_short_is_refused_although_it_lists_no_key() -> None:
    """Seen with the real engine.

    A protected replica stops the preview before the key's own delete is listed.
    """
    judgement = judged(diagnostics=[UNDELETABLE, EPILOGUE], exit_code=255)

    assert judgement.findings == ()
    assert judgement.outcome is ReviewOutcome.REFUSED
    assert judgement.doubts == ()


@pytest.mark.parametrize(
    ("diagnostics", "doubt"),
    [
        (
            [{"message": "error: an unhandled error occurred", "severity": "error"}],
            "an unhandled error occurred",
        ),
        ([EPILOGUE], "preview failed"),
        (
            [
                {"urn": urn(KEY, "k"), "message": "error: ExpiredToken", "severity": "error"},
                EPILOGUE,
            ],
            "ExpiredToken",
        ),
        ([PROTECTED, {"message": "error: no credentials", "severity": "error"}], "no credentials"),
    ],
)
def test_a_preview_that_failed_for_another_reason_is_in_doubt(
    diagnostics: list[dict[str, Any]], doubt: str
) -> None:
    judgement = judged(diagnostics=diagnostics, exit_code=1)

    assert doubt in judgement.doubts[0]
    assert judgement.outcome is (
        ReviewOutcome.REFUSED if PROTECTED in diagnostics else ReviewOutcome.UNKNOWN
    )


def test_warnings_are_no_doubt() -> None:
    assert (
        judged(diagnostics=[{"message": "warning: old", "severity": "warning"}]).outcome
        is ReviewOutcome.ALLOWED
    )


def test_an_engine_that_failed_without_a_word_is_not_believed() -> None:
    found, doubts = outcome(document(), exit_code=1, stderr="error: the lock is held\n")

    assert found is ReviewOutcome.UNKNOWN
    assert doubts == ("pulumi preview ended with 1: error: the lock is held",)


def without(found: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in names}


@pytest.mark.parametrize(
    ("found", "doubt"),
    [
        (
            without(document(), "changeSummary"),
            "the preview has no summary of changes: it was cut short",
        ),
        (
            {**document(), "changeSummary": {"same": 1, "delete": 1}},
            "the engine would delete 1 resources, the preview lists 0",
        ),
        (
            document(without(step(KEY, INPUTS, INPUTS), "oldState")),
            "does not show what it was and what it would be",
        ),
        (
            document(without(step(KEY, INPUTS, INPUTS), "newState")),
            "does not show what it was and what it would be",
        ),
        (
            document(without(step(KEY, INPUTS, None), "oldState")),
            "does not show what would be lost",
        ),
        (
            {**document(), "steps": [*document()["steps"], {"op": "delete"}]},
            "step 2 of the preview names no operation or no resource",
        ),
        (
            {**document(), "steps": [*document()["steps"], {"op": "delete", "urn": "key"}]},
            "step 2 of the preview names no",
        ),
        (
            {**document(), "steps": [*document()["steps"], "delete"]},
            "step 2 of the preview names no",
        ),
    ],
)
def test_a_preview_that_lacks_something_is_in_doubt(found: dict[str, Any], doubt: str) -> None:
    judged_as, doubts = outcome(found)

    assert any(doubt in each for each in doubts)
    assert judged_as is not ReviewOutcome.ALLOWED


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"steps": 1}', '{"steps": []}', '{"steps": [{"op": "same"}]}', "{}\n{}"],
)
def test_what_is_no_preview_is_an_error_and_never_a_pass(text: str) -> None:
    with pytest.raises(EvidenceError):
        parse(text)


def test_two_stacks_are_not_one_preview() -> None:
    other = {
        "op": "same",
        "urn": "urn:pulumi:staging::seawall::pulumi:pulumi:Stack::seawall-staging",
    }
    with pytest.raises(EvidenceError, match="the preview is of 2 stacks"):
        parse(json.dumps(document(other)))


def test_what_stands_behind_a_key_is_what_the_policy_allows_and_the_address_is_that_of_the_outputs() -> (
    None
):
    """420 AST at 2,000 and 840,000 USDX in production.

    The sandbox's policy is scaled, so the sum is taken from it.
    """
    wallet = POLICY.wallets["customer-aster-hot"]
    expected = sum(
        POLICY.value_micro(asset, POLICY.base_units(asset, each.maximum))
        for asset, each in wallet.holdings.items()
    )

    [finding] = judged(step(KEY, INPUTS, None)).findings

    assert finding.exposure is not None
    assert finding.exposure.maximum_value_micro == expected > 0
    assert finding.exposure.addresses == {"customer-aster-hot": ADDRESS}
    assert finding.exposure.owner == "treasury-lead"
    assert finding.exposure.live_value_micro is None


def test_a_tag_leads_to_the_wallet_and_a_bucket_to_all_of_its_wallets() -> None:
    [by_tag] = judged(
        step(KEY, {**INPUTS, "tags": {"wallet": "customer-birch-hot"}}, None, name="whatever")
    ).findings
    [by_bucket] = judged(
        step("aws:iam/role:Role", {"tags": {"bucket": "customer"}}, None, name="admin")
    ).findings

    assert by_tag.exposure is not None
    assert by_tag.exposure.wallets == ("customer-birch-hot",)
    assert by_bucket.exposure is not None
    assert by_bucket.exposure.scope == "bucket"
    assert set(by_bucket.exposure.wallets) == {
        name for name, each in POLICY.signing_wallets().items() if each.bucket == "customer"
    }


def test_a_wallet_that_the_policy_dropped_is_still_named_and_its_worth_unknown() -> None:
    tags = {"wallet": "forgotten-aster-hot", "bucket": "customer"}
    [finding] = judged(step(KEY, {**INPUTS, "tags": tags}, None, name="whatever")).findings

    assert finding.exposure is not None
    assert finding.exposure.name == "forgotten-aster-hot"
    assert finding.exposure.holdings == ()
