"""What reserves did because approvers had signed it, against the venue's records; pure.

A reserve's contract does three things: it refills its hot wallet, which top-ups explain
(`seawall.reconciliation.books`), and it carries out what approvers have signed: a transfer, or a
new recipient. Each of these has an id, an approval's, and is good for once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from seawall.policy import Wallet
from seawall.reconciliation.books import Moved
from seawall.reconciliation.contradictions import Contradiction, ContradictionName, Doubt, ids_of
from seawall.reconciliation.facts import IN_TRANSIT, Approval, Execution, PostingLine, Sight, Slot

APPROVAL_STATES = ("open", "slotted", "executed")
Account = tuple[str, str, str, str]
"""(bucket, network, asset, kind)."""


class Move(NamedTuple):
    """What a record says has moved between two wallets of a network; ``amount`` in base units.

    In place of one of them it may name :data:`IN_TRANSIT`, of the bucket of the other one.
    """

    from_wallet: str
    to_wallet: str
    network: str
    asset: str
    amount: int


def judge_approval(
    approval: Approval,
    slot: Slot | None,
    executions: Sequence[tuple[Execution, Slot | None]],
    *,
    sight: Sight | None,
) -> Moved:
    """What became of ``approval``.

    Args:
        approval: As on record.
        slot: The slot that carries it out.
        executions: What contracts did under its id, each with the slot of its transaction's nonce.
        sight: How far the network was seen; None if it was not read, and then it is in no doubt by
            itself.
    """
    wrong = [
        Contradiction(
            name=name,
            text=f"approval {approval.id} ({_act(approval)}) {text}",
            network=approval.network,
            asset=approval.asset,
            amount=approval.amount,
            ids=_ids(approval.id, approval.slot_id, slot, done),
        )
        for name, text, done in _wrong(approval, slot, executions, sight)
    ]
    found = Moved(stage=approval.state if slot is None else slot.state, contradictions=wrong)
    if executions:
        if approval.state != "executed" and sight is not None and sight.at_pin(executions[0][0]):
            found.stage = "not_posted"
    elif approval.state == "executed":
        found.stage = "not_seen"
        if _in_doubt(slot, sight):
            text = f"approval {approval.id} is executed on record, and that could not be seen"
            found.doubts.append(Doubt(comparison="approvals", text=text))
    if wrong:
        found.stage = "contradicted"
    return found


def _wrong(
    approval: Approval,
    slot: Slot | None,
    executions: Sequence[tuple[Execution, Slot | None]],
    sight: Sight | None,
) -> Iterator[tuple[ContradictionName, str, Execution | None]]:
    """What contradicts an approval, with what was done there."""
    if slot is None and (approval.slot_id is not None or approval.state == "slotted"):
        yield "slot-missing", f"is carried out by slot {approval.slot_id}: not on record", None
        return
    if slot is not None and slot.state == "final" and approval.state != "executed":
        yield "approval-final-yet-open", f"is {approval.state}, and slot {slot.id} is final", None
    if not executions:
        if approval.state == "executed" and sight is not None and not _in_doubt(slot, sight):
            yield "approval-without-execution", "is executed, and no contract did it", None
        return
    (first, by), *more = executions
    if more:
        yield "executed-twice", f"was executed {len(executions)} times", more[0][0]
    if _named(first) != _asked(approval):
        yield "approval-differs", f"was executed as {_done(first)}", first
    if sight is not None and sight.at_pin(first) and not _is_of(approval, by, first):
        named = "no slot" if by is None else f"slot {by.id}, which is for a {by.purpose}"
        yield "executed-by-other-slot", f"was executed by {named}", first


_Terms = tuple[str, str, str, str | None, int]


def _asked(approval: Approval) -> _Terms:
    to, asset = approval.to_address, approval.asset
    return approval.network, approval.from_wallet, to, asset, approval.amount


def _named(done: Execution) -> _Terms:
    return done.network, done.wallet, done.to, done.asset, done.amount


def _in_doubt(slot: Slot | None, sight: Sight | None) -> bool:
    """Whether what was done may be in a block that was not seen."""
    if sight is None:
        return False
    block = 0 if slot is None else slot.block_number or 0
    return not sight.complete or block > (sight.until or 0)


def executed_without_approval(done: Execution, slot: Slot | None) -> Contradiction:
    """A reserve did something under an id that is on no record."""
    return Contradiction(
        name="executed-without-approval",
        text=f"{done.wallet} did {_done(done)} under approval {done.approval}, which is on no"
        " record",
        network=done.network,
        asset=done.asset,
        amount=done.amount,
        ids=_ids(done.approval, None if slot is None else slot.id, slot, done),
    )


def judge_transfers(
    postings: Iterable[PostingLine], executed: Sequence[Approval], wallets: Mapping[str, Wallet]
) -> Iterator[Contradiction]:
    """Where postings of transfers moved something else than the approvals on record as executed."""
    moves = [
        Move(
            each.from_wallet,
            IN_TRANSIT if each.to_class == IN_TRANSIT else each.to_wallet,
            *(each.network, each.asset, each.amount),
        )
        for each in executed
        if each.asset is not None
    ]
    yield from judge_moves("transfer", postings, moves, wallets, records="approvals")


def judge_moves(
    posting: str,
    postings: Iterable[PostingLine],
    moves: Iterable[Move],
    wallets: Mapping[str, Wallet],
    *,
    records: str,
) -> Iterator[Contradiction]:
    """Where postings of the kind ``posting`` moved something else than ``moves``.

    ``records`` is what people call the records that these are from.
    """
    moved: Counter[Account] = Counter()
    for line in postings:
        if line.posting == posting:
            moved[line.bucket, line.network, line.asset, line.kind] += line.amount
    expected: Counter[Account] = Counter()
    for move in moves:
        ends = ((move.from_wallet, -1), (move.to_wallet, 1))
        [bucket, *_] = [wallets[name].bucket for name, _ in ends if name != IN_TRANSIT]
        for name, sign in ends:
            own = None if name == IN_TRANSIT else wallets[name]
            account = (
                bucket if own is None else own.bucket,
                *(move.network, move.asset),
                IN_TRANSIT if own is None else own.wallet_class,
            )
            expected[account] += sign * move.amount
    for account in sorted(moved.keys() | expected.keys()):
        bucket, network, asset, kind = account
        if moved[account] != expected[account]:
            yield Contradiction(
                name="postings-differ",
                text=f"postings `{posting}` moved {moved[account]} {asset} of {bucket} {kind} on"
                f" {network}, and the {records} that they follow from say {expected[account]}",
                network=network,
                asset=asset,
                amount=abs(moved[account] - expected[account]),
            )


def _is_of(approval: Approval, slot: Slot | None, done: Execution) -> bool:
    """Whether ``done`` is what the approval's own slot, which had that nonce, was to do."""
    if slot is None or slot.id != approval.slot_id or slot.purpose != "approval":
        return False
    return slot.payload_digest in (None, done.payload_digest)


def _act(approval: Approval) -> str:
    if approval.asset is None:
        return f"{approval.from_wallet} refills {approval.to_address}"
    return f"{approval.amount} {approval.asset} from {approval.from_wallet} to {approval.to_wallet}"


def _done(done: Execution) -> str:
    if done.asset is None:
        return f"a new recipient {done.to}"
    return f"a transfer of {done.amount} {done.asset or 'of an unknown token'} to {done.to}"


def _ids(
    approval: str, slot_id: int | None, slot: Slot | None, done: Execution | None
) -> dict[str, str | int]:
    if done is not None:
        return ids_of(
            approval=approval,
            slot=slot_id,
            wallet=done.wallet,
            nonce=done.nonce,
            tx_hash=done.tx_hash,
            block=done.block_number,
        )
    return ids_of(
        approval=approval,
        slot=slot_id,
        tx_hash=None if slot is None else slot.tx_hash,
        block=None if slot is None else slot.block_number,
    )
