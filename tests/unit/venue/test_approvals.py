"""Approvals as messages and calldata: nothing that was not signed counts as signed."""

from __future__ import annotations

from dataclasses import fields, replace
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seawall.ethereum.keys import ORDER, address_of_private_key, keccak256, recoverable
from tests.testing.approvers import all_signed, signed
from venue.contracts import approvals
from venue.contracts.approvals import (
    Approval,
    CallName,
    Home,
    Kind,
    Movement,
    State,
    review_message,
    signer_of,
    veto_message,
)
from venue.contracts.calls import open_generation, outflow, pay, read_call
from venue.settler.approvals import outcome_of

WORD = 32
KEY = keccak256(b"an approver")
ADDRESSES = st.integers(min_value=1, max_value=2**160 - 1).map(lambda n: f"0x{n:040x}")
NUMBERS = st.integers(min_value=0, max_value=2**256 - 1)
HOMES = st.builds(Home, chain_id=NUMBERS, contract=ADDRESSES)
WANTED = st.builds(
    Approval,
    kind=st.sampled_from(Kind),
    id=st.uuids(),
    from_bucket=st.text(),
    to_bucket=st.text(),
    to=ADDRESSES,
    token=ADDRESSES,
    amount=NUMBERS,
    use=st.text(),
    not_before=NUMBERS,
    expires=NUMBERS,
    requester=ADDRESSES,
)


@given(one=WANTED, other=WANTED, home=HOMES, field=st.sampled_from(fields(Approval)))
def test_each_field_is_in_the_message(
    one: Approval, other: Approval, home: Home, field: object
) -> None:
    name = str(getattr(field, "name"))  # noqa: B009  (the type of a field is private)
    assume(getattr(one, name) != getattr(other, name))
    changed = replace(one, **{name: getattr(other, name)})
    assert one.message.digest(home) != changed.message.digest(home)
    assert one.fields != changed.fields


@given(wanted=WANTED, home=HOMES, other=HOMES)
def test_a_message_is_of_one_contract_on_one_chain(
    wanted: Approval, home: Home, other: Home
) -> None:
    assume(home != other)
    assert wanted.message.digest(home) != wanted.message.digest(other)


@given(identity=st.uuids(), finding=st.text(), other=st.text(), home=HOMES)
def test_a_veto_is_no_review_and_a_review_says_what_was_found(
    identity: UUID, finding: str, other: str, home: Home
) -> None:
    assume(finding != other)
    digests = {
        message.digest(home)
        for message in (
            veto_message(identity),
            review_message(identity, finding),
            review_message(identity, other),
        )
    }
    assert len(digests) == 3


@given(wanted=WANTED, home=HOMES)
def test_a_signature_has_one_form(wanted: Approval, home: Home) -> None:
    digest, good = wanted.message.digest(home), signed(wanted.message, home, KEY)
    assert signer_of(digest, good) == address_of_private_key(KEY)
    parts = recoverable(good)
    twin = (
        parts.r.to_bytes(WORD, "big")
        + (ORDER - parts.s).to_bytes(WORD, "big")
        + bytes([28 - parts.y_parity])
    )
    for bad in (twin, good[:-1], good + b"\0", good[:-1] + bytes([parts.y_parity]), b""):
        with pytest.raises(ValueError, match="signature"):
            signer_of(digest, bad)


@given(
    wanted=WANTED,
    home=HOMES,
    secrets=st.sets(st.integers(min_value=1, max_value=ORDER - 1), min_size=1, max_size=5),
)
def test_signatures_come_in_the_order_of_their_signers(
    wanted: Approval, home: Home, secrets: set[int]
) -> None:
    found = all_signed(wanted.message, home, [each.to_bytes(WORD, "big") for each in secrets])
    signers = [int(signer_of(wanted.message.digest(home), each), 16) for each in found]
    assert signers == sorted(signers)
    assert len(set(signers)) == len(secrets)


@given(wanted=WANTED, home=HOMES)
def test_calls_are_read_as_they_were_written_and_in_no_other_layout(
    wanted: Approval, home: Home
) -> None:
    """A signer counts what it reads; the contract must see the same."""
    signatures = all_signed(wanted.message, home, [KEY])
    moved = Movement(to=wanted.to, token=wanted.token, amount=wanted.amount)
    for name, data, moves in (
        ("propose", approvals.propose(wanted, signatures), None),
        ("execute", approvals.execute(wanted), None if wanted.kind == Kind.RECIPIENT else moved),
        ("veto", approvals.veto(wanted.id, signatures[0]), None),
        ("review", approvals.review(wanted.id, "fine", signatures), None),
    ):
        found = approvals.read(data)
        assert found is not None
        assert (found.name, found.approval, found.moves) == (name, wanted.id, moves)
        for bad in (data[:-1], data + b"\0", data + bytes(WORD)):
            with pytest.raises(ValueError, match="of an approval"):
                approvals.read(bad)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", ["propose", "execute", "veto", "review"])
def test_what_became_of_a_call_fits_what_the_contract_holds(name: CallName, state: State) -> None:
    """Done is what the contract has done; a transaction and a state that contradict are neither."""
    could_be = {
        "propose": {State.PROPOSED, State.EXECUTED, State.VETOED, State.REVIEWED},
        "execute": {State.EXECUTED, State.REVIEWED},
        "veto": {State.VETOED},
        "review": {State.REVIEWED},
    }[name]
    assert outcome_of(name, state, succeeded=True) == ("done" if state in could_be else None)
    reverted = outcome_of(name, state, succeeded=False)
    if name in {"veto", "review"}:  # somebody else may have handed it in
        assert (reverted == "done") == (state in could_be)
    elif name == "execute" and state in could_be:
        assert reverted is None
    else:
        assert reverted != "done"
    assert (reverted == "vetoed") == (state is State.VETOED and name != "veto")


@given(wanted=WANTED)
def test_a_signer_counts_what_an_execution_moves(wanted: Approval) -> None:
    moved = {} if wanted.kind == Kind.RECIPIENT else {wanted.token: wanted.amount}
    assert outflow(approvals.execute(wanted)) == moved
    assert outflow(approvals.veto(wanted.id, bytes(65))) == {}
    assert read_call(approvals.execute(wanted)).approval == approvals.read(
        approvals.execute(wanted)
    )


def test_nothing_else_is_read_as_a_call_about_approvals() -> None:
    for data in (pay([]), open_generation(1), b""):
        assert approvals.read(data) is None
