"""An override is a decision of a person about one thing, for a while.

Anything vaguer is refused.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml

from seawall.change_review.freeze import (
    Freeze,
    incident_open,
    tier_absent,
    tier_known,
    tier_unknown,
)
from seawall.change_review.judgement import ReviewOutcome
from seawall.change_review.override import Override, make_override, read_override
from seawall.errors import UsageError
from tests.testing.proposals import NOW, judged, step, urn

KEY = "aws:kms/key:Key"
INPUTS = {"keyUsage": "SIGN_VERIFY"}
URN = urn(KEY, "customer-aster-hot")
REASON = "The wallet was emptied and checked by two people, see ticket 4711."
GOOD: dict[str, Any] = {
    "who": "jane.doe@venue.example",
    "justification": REASON,
    "expires": (NOW + timedelta(hours=4)).isoformat(),
    "covers": [{"urn": URN, "rule": "signing-key-replaced"}],
}


def override(**changes: Any) -> Override:
    return read_override(yaml.safe_dump({**GOOD, **changes}), source="override.yaml", now=NOW)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"justification": "urgent"}, "say why in at least 30 characters"),
        (
            {"justification": "because because because because because"},
            "say why in at least 30 characters",
        ),
        ({"justification": "x" * 60}, "say why in at least 30 characters"),
        (
            {"justification": "This change is needed, the reason is tbd by the team"},
            "'tbd' is a placeholder",
        ),
        (
            {"justification": "This change is needed for <your reason here> today"},
            "is a placeholder",
        ),
        (
            {"justification": "lorem ipsum dolor sit amet consectetur adipiscing"},
            "is a placeholder",
        ),
        ({"who": "admin"}, "name the person who decides"),
        ({"who": " "}, "name the person who decides"),
        ({"expires": "2030-01-15T16:00:00"}, "write the time with its zone"),
        ({"expires": "soon"}, "expires"),
        ({"expires": None}, "expires"),
        (
            {"expires": (NOW + timedelta(days=7, seconds=1)).isoformat()},
            "let it expire within 7 days",
        ),
        ({"covers": []}, "covers"),
        ({"covers": [{"urn": "*"}]}, "name one resource by its whole URN"),
        (
            {"covers": [{"urn": "urn:pulumi:production::seawall::aws:kms/key:Key::*"}]},
            "name one resource by its whole URN",
        ),
        ({"covers": [{"urn": "urn:pulumi:production::**"}]}, "name one resource by its whole URN"),
        ({"covers": [{"rule": "signing-key-replaced"}]}, "urn"),
        ({"everything": True}, "everything"),
    ],
)
def test_an_override_that_says_too_little_or_too_much_is_refused(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=r"^override\.yaml") as caught:
        override(**changes)
    assert problem in str(caught.value)


def test_all_problems_of_an_override_are_reported_at_once() -> None:
    with pytest.raises(UsageError, match=r"(?s)who: .*justification: .*expires: .*covers: "):
        read_override("{}", source="it", now=NOW)


@pytest.mark.parametrize("text", ["[", "- a\n- b", "just words"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_override(text, source="it", now=NOW)


def test_options_make_the_same_override_and_a_span_counts_from_now() -> None:
    made = make_override(
        who=GOOD["who"],
        justification=REASON,
        expires="4h",
        covers=[f"signing-key-replaced@{URN}"],
        now=NOW,
    )

    assert made == override()


def test_an_override_lets_pass_what_it_names_and_nothing_else() -> None:
    key, replica = (
        step(KEY, INPUTS, None),
        step("aws:kms/replicaKey:ReplicaKey", {"region": "us-west-2"}, None),
    )

    assert judged(key, override=override()).outcome is ReviewOutcome.ALLOWED
    assert judged(key, replica, override=override()).outcome is ReviewOutcome.REFUSED
    other = judged(step(KEY, INPUTS, None, name="customer-birch-hot"), override=override())
    assert other.outcome is ReviewOutcome.REFUSED
    assert other.notes == (
        f"the override covers signing-key-replaced on {URN}, which was not refused",
    )


def test_another_rule_on_the_same_resource_is_not_covered() -> None:
    weakened = step(
        KEY,
        {**INPUTS, "deletionWindowInDays": 30},
        {"keyUsage": "ENCRYPT_DECRYPT", "deletionWindowInDays": 7},
    )

    judgement = judged(weakened, override=override())

    assert {finding.rule.id: finding.overridden for finding in judgement.findings} == {
        "signing-key-replaced": True,
        "deletion-window-shortened": False,
    }
    assert judgement.outcome is ReviewOutcome.REFUSED
    assert (
        judged(weakened, override=override(covers=[{"urn": URN}])).outcome is ReviewOutcome.ALLOWED
    )


def test_an_expired_override_covers_nothing() -> None:
    decided = override()
    late = judged(step(KEY, INPUTS, None), override=decided, now=NOW + timedelta(hours=4))

    assert late.outcome is ReviewOutcome.REFUSED
    assert late.notes[0].startswith(
        "the override of jane.doe@venue.example expired at 2030-01-15T16:00:00"
    )
    just_in_time = judged(
        step(KEY, INPUTS, None), override=decided, now=NOW + timedelta(hours=3, minutes=59)
    )
    assert just_in_time.outcome is ReviewOutcome.ALLOWED


def test_no_override_mends_a_preview_that_failed() -> None:
    failed = [{"message": "error: boom", "severity": "error"}]
    assert (
        judged(step(KEY, INPUTS, None), diagnostics=failed, override=override()).outcome
        is ReviewOutcome.UNKNOWN
    )


TAGGED = step(KEY, {**INPUTS, "tags": {"a": "1"}}, {**INPUTS, "tags": {"a": "2"}})
PROTECTED = Freeze(sources=(tier_known("protected", reason="a run"),))
INCIDENT = Freeze(sources=(tier_known("normal", reason=""), incident_open("phishing")))
SILENT = Freeze(sources=(tier_unknown("it did not answer"),))
FREEZE_COVER = [{"urn": URN, "rule": "change-freeze"}]


@pytest.mark.parametrize(
    ("freeze", "outcome", "says"),
    [
        (PROTECTED, ReviewOutcome.REFUSED, "the tier is protected (a run)"),
        (
            Freeze(sources=(tier_known("stressed", reason=""),)),
            ReviewOutcome.REFUSED,
            "the tier is stressed",
        ),
        (INCIDENT, ReviewOutcome.REFUSED, "an incident is open: phishing"),
        (SILENT, ReviewOutcome.UNKNOWN, "the tier is not known: it did not answer"),
        (
            Freeze(sources=(tier_unknown("silence"), incident_open("phishing"))),
            ReviewOutcome.REFUSED,
            "an incident is open: phishing",
        ),
        (
            Freeze(sources=()),
            ReviewOutcome.UNKNOWN,
            "neither the tier nor an incident was asked for",
        ),
        (Freeze(sources=(tier_absent(),)), ReviewOutcome.ALLOWED, None),
        (Freeze(sources=(tier_known("normal", reason="calm"),)), ReviewOutcome.ALLOWED, None),
    ],
)
def test_while_changes_are_frozen_even_a_tag_is_refused(
    freeze: Freeze, outcome: ReviewOutcome, says: str | None
) -> None:
    judgement = judged(TAGGED, freeze=freeze)

    assert judgement.outcome is outcome
    assert [finding.rule.id for finding in judgement.findings] == (
        ["change-freeze"] if says else []
    )
    assert says is None or says in judgement.findings[0].evidence


@pytest.mark.parametrize("freeze", [PROTECTED, INCIDENT, SILENT])
def test_a_freeze_gives_way_to_an_override_of_the_one_change(freeze: Freeze) -> None:
    assert (
        judged(TAGGED, freeze=freeze, override=override(covers=FREEZE_COVER)).outcome
        is ReviewOutcome.ALLOWED
    )
    more = step("aws:sns/topic:Topic", None, {"name": "t"}, name="t")
    assert (
        judged(TAGGED, more, freeze=freeze, override=override(covers=FREEZE_COVER)).outcome
        is not ReviewOutcome.ALLOWED
    )


@pytest.mark.parametrize("op", ["same", "refresh", "read"])
def test_a_plan_without_a_change_is_not_frozen(op: str) -> None:
    assert (
        judged(step(KEY, INPUTS, INPUTS, op=op), freeze=PROTECTED).outcome is ReviewOutcome.ALLOWED
    )


def test_a_plan_that_only_drops_a_protection_is_a_change() -> None:
    """The engine calls that step `same`."""
    dropped = step(KEY, INPUTS, INPUTS, op="same", protect=(True, False))
    judgement = judged(dropped, freeze=PROTECTED)

    assert judgement.changed == 1
    assert {finding.rule.id for finding in judgement.findings} == {
        "protection-removed",
        "change-freeze",
    }
    kept = judged(step(KEY, INPUTS, INPUTS, op="same", protect=(True, True)))
    assert judgement.preview.changes[1].digest != kept.preview.changes[1].digest


def test_what_is_deleted_is_not_said_to_lose_its_protection_as_well() -> None:
    deleted = judged(step(KEY, INPUTS, None, protect=(True, False)))
    assert {finding.rule.id for finding in deleted.findings} == {"signing-key-replaced"}
