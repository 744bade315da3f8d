"""Signatures and events of AWS's own log are matched by counting, within two seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seawall.scorecard.aws_log import (
    APART_S,
    compared,
    contradicted,
    signatures,
    signed_inside,
    unplaced,
)
from seawall.scorecard.facts import Facts
from seawall.scorecard.readers import SECOND
from seawall.scorecard.rows import Signature, SignCall
from seawall.scorecard.run import FILES, Run
from tests.testing.scorecard.spoiling import us

Alter = Callable[..., Run]


def one(run: Run) -> tuple[Signature, SignCall]:
    """A signature in the middle of the good run, and its event, alone with what ends the log."""
    signature = next(
        row
        for row in run.signatures
        if us(40) < (row.signed_at or 0) < us(42) and row.address.endswith("3")
    )
    event = next(
        call
        for call in run.sign_calls
        if call.address == signature.address and abs(call.at - (signature.signed_at or 0)) < SECOND
    )
    return signature, event


def uncovered(
    run: Run, altered: Alter, *, seconds: tuple[float, ...], events: tuple[int, ...]
) -> int:
    """How many signatures at ``seconds`` of the drill are not covered by events at ``events``."""
    signature, event = one(run)
    rows = tuple(
        replace(signature, nonce=index, signed_at=us(at)) for index, at in enumerate(seconds)
    )
    calls = tuple(replace(event, event_id=str(index), at=us(at)) for index, at in enumerate(events))
    return len(compared(Facts(altered(signatures=rows, sign_calls=calls))).uncovered)


@pytest.mark.parametrize(
    ("seconds", "events", "missing"),
    [
        ((40.0,), (40 - APART_S,), 0),
        ((40.9,), (40 - APART_S,), 0),
        ((40.0,), (40 - APART_S - 1,), 1),
        ((40.9,), (40 + APART_S,), 0),
        ((40.9,), (40 + APART_S + 1,), 1),
        ((40.0, 40.1), (40,), 1),
        ((40.0, 40.1), (39, 41), 0),
        ((40.0, 41.0, 42.0), (38, 39, 40), 0),
        ((40.0, 43.0), (42, 42), 0),
        ((40.0, 50.0), (40, 41, 41, 41), 1),
        ((), (40,), 0),
        ((40.0,), (), 1),
    ],
)
def test_each_signature_takes_one_event_that_is_near_enough(
    seconds: tuple[float, ...], events: tuple[int, ...], missing: int, altered: Alter, good_run: Run
) -> None:
    assert uncovered(good_run, altered, seconds=seconds, events=events) == missing


def test_a_denied_request_covers_nothing(altered: Alter, good_run: Run) -> None:
    signature, event = one(good_run)
    denied = replace(event, error="AccessDenied")

    found = compared(Facts(altered(signatures=(signature,), sign_calls=(denied,))))

    assert [each.nonce for each in found.uncovered] == [signature.nonce]


def test_the_address_of_a_key_counts_in_any_case(altered: Alter, good_run: Run) -> None:
    signature, event = one(good_run)
    shouted = replace(event, address=str(event.address).upper().replace("0X", "0x"))

    found = compared(Facts(altered(signatures=(signature,), sign_calls=(shouted,))))

    assert found.uncovered == ()


def test_signatures_of_before_the_drill_and_those_that_were_only_asked_for_do_not_count(
    altered: Alter, good_run: Run
) -> None:
    signature, _ = one(good_run)
    asked = replace(signature, nonce=1, signed_by=None, signed_at=None, tx_hash=None)
    earlier = replace(signature, nonce=1_000_000, signed_at=us(-30))

    found = signatures(Facts(altered(signatures=(asked, earlier, signature))))

    assert [each.nonce for each in found] == [signature.nonce]


def test_a_signature_that_was_broadcast_in_the_drill_is_of_it_whatever_time_it_is_given(
    altered: Alter, good_run: Run
) -> None:
    """Else a signature dated before the drill would need no event."""
    signature, event = one(good_run)
    slot = next(
        slot
        for slot in good_run.slots
        if (slot.chain_id, slot.address, slot.nonce)
        == (signature.chain_id, signature.address, signature.nonce)
    )
    backdated = replace(signature, signed_at=us(-600))
    others = tuple(call for call in good_run.sign_calls if call.address != event.address)
    calls = tuple(sorted((*others, event), key=lambda call: call.at))
    run = altered(signatures=(backdated,), slots=(slot,), sign_calls=calls)
    nonces = {(slot.chain_id, slot.address, slot.nonce)}

    assert [each.nonce for each in compared(Facts(run)).uncovered] == [signature.nonce]
    assert "no such signature there" in str(contradicted(Facts(run), nonces))


def test_a_signature_that_is_in_no_record_is_a_doubt(altered: Alter, good_run: Run) -> None:
    signature, event = one(good_run)
    run = altered(signatures=(), sign_calls=(event,))

    doubt = contradicted(Facts(run), {(signature.chain_id, signature.address, signature.nonce)})

    assert f"does not say who signed nonce {signature.nonce}" in str(doubt)


@pytest.mark.parametrize("lacking", ["signed_by", "signed_at"])
def test_a_signature_without_region_or_time_is_no_evidence(
    lacking: str, altered: Alter, good_run: Run
) -> None:
    signature, _ = one(good_run)
    changes: dict[str, Any] = {lacking: None}
    broken = altered(signatures=(replace(signature, **changes),))

    assert signatures(Facts(broken)) == ()
    assert "does not say where and when" in str([*unplaced(Facts(broken)).values()])


@pytest.mark.parametrize(
    ("at", "inside"), [(30, False), (31, True), (37, True), (38, True), (39, False), (40, False)]
)
def test_an_event_is_inside_a_fault_only_if_its_whole_second_is_with_a_second_to_spare(
    at: int, inside: bool, altered: Alter, good_run: Run
) -> None:
    _, event = one(good_run)
    run = altered(sign_calls=(replace(event, at=us(at)),))

    found = signed_inside(Facts(run), event.region, starts=us(30), ends=us(40))
    elsewhere = signed_inside(Facts(run), "eu-west-1", starts=us(30), ends=us(40))

    assert (len(found) == 1) is inside
    assert elsewhere == ()


def test_an_event_that_is_written_twice_counts_once(directory: Path, good_run: Run) -> None:
    """Two readings may overlap; the event's id says that it is one."""
    path = directory / FILES["sign_calls"]
    header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.unlink()
    path.write_text("".join((header, *lines, *lines)), encoding="utf-8")
    run = Run(directory)
    run.__dict__["manifest"] = run.manifest.model_copy(update={"files": {}})

    assert len(run.sign_calls) == len(lines) == len(good_run.sign_calls)
