"""What a deployment does not offer is not claimed, and never passed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from seawall.conventions.evidence import EVERY_PORT, Port
from seawall.scorecard.checks import ALL, FLOOR
from seawall.scorecard.checks.customers import paid_once, told_truth
from seawall.scorecard.checks.reads import SHOWN as READS
from seawall.scorecard.claims import OF_TARGETS, claims_of, unknown_words
from seawall.scorecard.facts import Facts
from seawall.scorecard.files import junit, summary
from seawall.scorecard.judgement import ask, judge_facts
from seawall.scorecard.outcome import Check, Outcome
from seawall.scorecard.payments import payment_of
from seawall.scorecard.run import FILES, PORT_OF, Run
from seawall.scorecard.verdict import Verdict
from tests.testing.scorecard.days import offering
from tests.testing.scorecard.spoiled_promises import late_under_another_number
from tests.testing.scorecard.spoiled_signing import relabelled
from tests.testing.scorecard.spoiling import each, without

Judge = Callable[..., Verdict]


@pytest.fixture
def judged(altered: Callable[..., Run], good_run: Run, directory: Path) -> Judge:
    """Judges the good run as if only some ports were offered; no file of another can be read."""

    def make(
        *offers: Port,
        claims: Sequence[str] = ("drill.payouts",),
        targets: Sequence[str] = (),
        **more: Any,
    ) -> Verdict:
        found = offering(good_run, offers, claims=claims, targets=targets)
        spoilt = altered(**found, **more)
        gone = {
            name: file for name, file in FILES.items() if PORT_OF.get(file) not in (None, *offers)
        }
        files = dict(good_run.manifest.files)
        for name, file in gone.items():
            spoilt.__dict__[name] = None  # a check that reads it all the same breaks
            (directory / file).unlink()
            files.pop(file)
        spoilt.__dict__["manifest"] = found["manifest"].model_copy(update={"files": files})
        object.__setattr__(spoilt, "directory", directory)
        return judge_facts(Facts(spoilt))

    return make


def test_with_payouts_alone_the_floor_passes_and_the_sentence_counts(judged: Judge) -> None:
    verdict = judged("payouts", targets=("small_withdrawals_completed_min",))

    assert {r.id: r.reason for r in verdict.results if r.outcome is not Outcome.PASS} == {}
    assert verdict.outcome is Outcome.PASS
    own = {"stress.small_completed", *READS}  # from what the kit itself writes
    assert {result.id for result in verdict.results} == FLOOR | own
    asked = len(verdict.results) + len(verdict.not_claimed)
    assert verdict.sentence == (
        f"The venue survived: {len(verdict.results)} of {asked} checks are claimed and hold,"
        f" {len(verdict.not_claimed)} are not claimed."
    )
    assert verdict.times == ()
    needs = {each.id: each.needs for each in verdict.not_claimed}
    assert needs["safety.old_epoch"] == ("mode_changes", "signatures")
    assert needs["safety.paid_once"] == ("numbered_payouts",)
    assert summary(verdict)["not_claimed"]["safety.ledger_sums_zero"] == ["ledger"]
    skipped = ET.fromstring(junit(verdict)).findall(".//skipped")  # noqa: S314 - our own text
    assert len(skipped) == len(verdict.not_claimed)


def test_without_payouts_there_is_no_pass(judged: Judge) -> None:
    """The floor is never waived: money must be seen outside the venue."""
    every = [port for port in EVERY_PORT if port not in ("payouts", "numbered_payouts")]
    verdict = judged(*every)

    assert verdict.outcome is Outcome.UNKNOWN
    assert {"drill.payouts", "customer.paid_once", "customer.told_truth"} <= set(verdict.unknown)
    assert "offers no payouts" in verdict.result("customer.paid_once").reason


@pytest.mark.parametrize("claims", [("all",), ("safety",), ("safety.old_epoch",)])
def test_what_the_policy_demands_is_unknown_without_its_evidence(
    claims: tuple[str, ...], judged: Judge
) -> None:
    verdict = judged("payouts", claims=claims)

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.result("safety.old_epoch").reason == (
        "it must be claimed, and the deployment offers no mode_changes, signatures"
    )


def test_a_violation_counts_without_the_venues_records(judged: Judge, good_run: Run) -> None:
    """What its customers were told and paid is enough to catch it."""
    paid_less = without(good_run.payouts, lambda row: row.seq == 9)
    verdict = judged("payouts", payouts=paid_less)

    assert verdict.failed == ("customer.told_truth",)


def test_a_late_payment_is_late_whatever_number_the_venue_names(
    judged: Judge, good_run: Run
) -> None:
    """Without its records, the number is the venue's own answer to its customer."""
    verdict = judged(
        "payouts",
        "numbered_payouts",
        targets=("small_withdrawals_completed_min",),
        **late_under_another_number(good_run),
    )

    assert verdict.failed == ("stress.small_completed",)


@pytest.mark.parametrize("check", [paid_once, told_truth])
def test_a_pass_says_which_payouts_no_node_has_shown(
    check: Check, altered: Callable[..., Run], good_run: Run
) -> None:
    """A statement may be the venue's own file."""
    manifest = good_run.manifest.model_copy(update={"chains": ("birch",)})

    finding = ask(check, Facts(altered(manifest=manifest)))

    assert finding.outcome is Outcome.PASS
    assert finding.reason.endswith("; on aster by a statement, which no node was asked about")
    assert "statement" not in ask(check, Facts(good_run)).reason


def test_a_payout_pays_one_request(altered: Callable[..., Run], good_run: Run) -> None:
    """Two of the prober's requests are alike, and both name the number of the first."""
    probed = {str((sample.detail or {})["id"]) for sample in good_run.probes["small_withdrawal"]}
    one, other = [row for row in good_run.withdrawals if row.id in probed][:2]
    renamed = each(good_run.withdrawals, lambda row: row.id == other.id, seq=one.seq)

    facts = Facts(altered(withdrawals=renamed))

    assert payment_of(facts, one.id) is not None
    assert payment_of(facts, other.id) is None


def test_a_manifest_that_does_not_say_what_is_offered_claims_everything(good_run: Run) -> None:
    assert good_run.manifest.offers == EVERY_PORT


def test_every_check_says_which_ports_it_needs() -> None:
    """Read from its evidence, so that the two cannot differ; few can do without one.

    Those that people's orders could steer can do without these, and say so.
    """
    steerable = {check.id for check in ALL if check.steerable}
    adapting = {
        check.id: check.adapts_to - ({"orders"} if check.steerable else set())
        for check in ALL
        if check.adapts_to
    }
    adapting = {identity: ports for identity, ports in adapting.items() if ports}
    assert steerable == {
        "drill.calm",
        "drill.fault_landed",
        "failover.time",
        "failover.rails",
        "protection.time",
        "page.protection",
        "recovery.time",
        "tiers.reached",
        "tiers.avoided",
        "page.none",
        "stress.small_completed",
        "protected.guarantees",
        "protected.suspensions",
        "protected.defers",
        "safety.floor_held",
        *READS,
    }
    assert adapting == {
        "evidence.complete": frozenset(EVERY_PORT),
        "evidence.observers": {"payouts", "flow", "mode_changes"},
        "page.none": {"mode_changes"},
        "drill.calm": {"mode_changes"},
        "drill.flood_value": {"surpluses"},
        "drill.payouts": {"withdrawals", "statements", "instructions"},
        "safety.floor_held": {"surpluses"},
        "safety.journal_chain": {"surpluses", "orders"},
        "drill.fault_landed": {
            *("signatures", "aws_log", "metrics"),
            *("mode_changes", "top_ups", "surpluses"),
        },
        "failover.time": {"pages", "aws_log"},
        "protection.time": {"pages"},
        "signing.by_signers_only": {"signatures"},
        "stress.small_completed": {"withdrawals", "statements", "instructions"},
        "safety.paid_once": {"withdrawals", "statements", "instructions"},
        "database.rpo": {"withdrawals"},
        "database.promises": {"metrics"},
        **{name: {"mode_changes"} for name in READS},
        **{
            name: {"statements", "instructions"}
            for name in (
                *("customer.paid_once", "customer.told_truth", "recovery.time"),
                *("protected.defers", "safety.chain_equals_posted"),
                "safety.nothing_voided_paid",
            )
        },
    }
    floor = {check.id: check.needs for check in ALL if check.id in FLOOR}
    assert floor.keys() == FLOOR
    assert set(floor.values()) <= {(), ("payouts",)}


def test_without_its_orders_a_venue_is_not_said_to_have_acted_by_itself(judged: Judge) -> None:
    """That nobody ordered anything is not claimed, and what an order could cause says so."""
    offers = [port for port in EVERY_PORT if port != "orders"]
    verdict = judged(*offers)

    assert verdict.outcome is Outcome.PASS
    assert [each.id for each in verdict.not_claimed] == ["drill.no_orders"]
    said = {each.id for each in verdict.results if "orders meanwhile is not seen" in each.reason}
    asked = {each.id for each in verdict.results}
    assert said == {check.id for check in ALL if check.steerable} & asked


def test_a_target_that_a_drill_names_is_demanded(judged: Judge) -> None:
    """It is a gate, so it must not vanish for want of evidence."""
    verdict = judged("payouts", targets=("recovery_max",))

    assert verdict.outcome is Outcome.UNKNOWN
    assert "offers no" in verdict.result("recovery.time").reason
    assert {check for checks in OF_TARGETS.values() for check in checks} <= {c.id for c in ALL}


def test_evidence_that_is_there_and_not_offered_is_no_pass(
    directory: Path, good_run: Run, altered: Callable[..., Run]
) -> None:
    """A manifest that offers less must not hide what its own run found."""
    found = offering(good_run, ("payouts",), claims=("drill",))
    verdict = judge_facts(Facts(altered(**found)))

    assert verdict.outcome is Outcome.UNKNOWN
    assert "manifest.json does not offer it" in verdict.result("evidence.complete").reason


def test_a_word_that_is_no_claim_of_the_drill_is_named(good_run: Run) -> None:
    drill = good_run.drill.model_copy(update={"claims": ("safety", "page.none", "gossip")})
    assert unknown_words(drill) == ("page.none", "gossip")
    claims = claims_of(good_run.policy, drill, offers=EVERY_PORT, operations=None)
    assert all(claim.made for claim in claims)


def test_without_awss_own_log_relabelled_payouts_are_not_found_and_nothing_is_claimed_of_them(
    judged: Judge, good_run: Run
) -> None:
    """What the log adds: the same run passes without it, and lists what it does not claim."""
    offers = [port for port in EVERY_PORT if port != "aws_log"]

    verdict = judged(*offers, **relabelled(good_run))

    assert verdict.outcome is Outcome.PASS
    assert {each.id for each in verdict.not_claimed} == {
        "signing.logged_by_aws",
        "signing.by_signers_only",
    }


def test_where_no_key_can_be_counted_contiguous_nonces_are_not_claimed(judged: Judge) -> None:
    """A venue that pays by transfers may have records of its signatures all the same."""
    offers = [port for port in EVERY_PORT if port != "key_counts"]

    verdict = judged(*offers)

    assert verdict.outcome is Outcome.PASS
    assert {each.id: each.needs for each in verdict.not_claimed} == {
        "safety.nonces_contiguous": ("key_counts",)
    }


def test_a_drill_that_claims_signatures_is_no_pass_without_awss_own_log(judged: Judge) -> None:
    offers = [port for port in EVERY_PORT if port != "aws_log"]

    verdict = judged(*offers, claims=("drill.payouts", "signing"))

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.unknown == ("signing.logged_by_aws", "signing.by_signers_only")
    assert "offers no aws_log" in verdict.result("signing.logged_by_aws").reason
