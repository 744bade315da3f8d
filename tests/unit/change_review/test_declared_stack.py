"""The change review and the Pulumi program agree about the stack.

What the program declares may be made, and no removal of it goes unnoticed.
"""

from __future__ import annotations

import json

import pytest

from seawall.change_review.judgement import ReviewOutcome, exposures_of, judge
from seawall.change_review.preview import Preview, parse
from tests.testing.declared import Declared, declared
from tests.testing.proposals import CALM, NOW, POLICY, document, judged, refusals, step

REMOVABLE = {
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "pulumi:providers:aws",
}
"""Nothing expires any more; a provider goes with what it looks after, which is judged."""


def first(resources: list[Declared]) -> Preview:
    """The preview of a stack that is not there yet."""
    found = document(*(step(each.type, None, each.inputs, name=each.name) for each in resources))
    del found["steps"][0]["oldState"]
    return parse(json.dumps(found))


@pytest.mark.parametrize("stack", ["sandbox", "staging", "production"])
def test_the_first_deployment_of_a_stack_is_allowed(stack: str) -> None:
    preview = first(list(declared(stack)))
    judgement = judge(
        preview,
        policy=POLICY,
        freeze=CALM,
        override=None,
        now=NOW,
        exposures=exposures_of(preview, POLICY),
    )

    assert [
        (finding.rule.id, finding.change.name, finding.evidence) for finding in judgement.findings
    ] == []
    assert judgement.outcome is ReviewOutcome.ALLOWED
    assert judgement.changed > len(POLICY.signing_wallets())


def test_nothing_of_the_stack_goes_unseen_or_without_a_rule_of_its_own() -> None:
    unseen = {
        each.type
        for each in declared()
        if not refusals(judged(step(each.type, each.inputs, None, name=each.name)))
    }
    strange = {
        each.type
        for each in declared()
        if "not-understood" in refusals(judged(step(each.type, each.inputs, None, name=each.name)))
    }

    assert unseen == REMOVABLE
    assert strange == set()


def test_a_step_that_changes_nothing_breaks_no_rule() -> None:
    same = [
        step(
            each.type,
            each.inputs,
            each.inputs,
            name=each.name,
            op="update",
            protect=(each.protect, each.protect),
        )
        for each in declared()
    ]

    assert refusals(judged(*same)) == set()


def test_every_signing_key_of_a_wallet_and_its_roles_lead_to_the_money_behind_it() -> None:
    keys = [
        each
        for each in declared()
        if each.type in ("aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey", "aws:iam/role:Role")
    ]
    of_wallets = [each for each in keys if "wallet" in each.inputs.get("tags", {})]
    assert {each.inputs["tags"]["wallet"] for each in of_wallets} == set(POLICY.signing_wallets())

    for each in of_wallets:
        [finding] = judged(step(each.type, each.inputs, None, name=each.name)).findings
        assert finding.exposure is not None
        assert finding.exposure.wallets == (each.inputs["tags"]["wallet"],)
        assert finding.exposure.maximum_value_micro > 0
