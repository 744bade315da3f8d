"""Ways to spoil one thing in a good run: each returns the files that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import Flip, JournalEntry, Order, ProbeSample, Slot, Surplus, Withdrawal
from seawall.scorecard.run import Run
from tests.testing.scorecard.aws_log import logged_as
from tests.testing.scorecard.story import decisions

ZERO_US = 1_700_000_000 * SECOND
Files = dict[str, Any]
Spoil = Callable[[Run], Files]


def us(seconds: float) -> Instant:
    """Seconds after the flood's zero as a moment."""
    return Instant(ZERO_US + round(seconds * SECOND))


def first(rows: Any, wanted: Callable[[Any], bool], **changes: Any) -> tuple[Any, ...]:
    """``rows`` with the first wanted one changed; its own values may be used through callables."""
    found = list(rows)
    index = next(index for index, row in enumerate(found) if wanted(row))
    found[index] = replace(
        found[index],
        **{
            key: value(found[index]) if callable(value) else value for key, value in changes.items()
        },
    )
    return tuple(found)


def each(rows: Any, wanted: Callable[[Any], bool], **changes: Any) -> tuple[Any, ...]:
    """``rows`` with every wanted one changed."""
    return tuple(
        replace(
            row, **{key: value(row) if callable(value) else value for key, value in changes.items()}
        )
        if wanted(row)
        else row
        for row in rows
    )


def without(rows: Any, unwanted: Callable[[Any], bool]) -> tuple[Any, ...]:
    """``rows`` without the unwanted ones."""
    return tuple(row for row in rows if not unwanted(row))


def probes(run: Run, name: str, change: Callable[[Any], Any]) -> Files:
    """The prober's samples with ``change`` applied to those of one probe; None drops one."""
    changed = (change(sample) for sample in run.probes[name])
    return {
        "probes": run.probes | {name: tuple(sample for sample in changed if sample is not None)}
    }


def events(run: Run, **moments: float) -> Files:
    """The timeline with chaos events moved."""
    return {
        "timeline": tuple(
            replace(event, at=us(moments[event.event.replace("fault.", "")]))
            if event.event.replace("fault.", "") in moments
            else event
            for event in run.timeline
        )
    }


def journal(evidence: Run, /, **changes: Any) -> Files:
    """The experiment's journal changed."""
    return {"journal": evidence.journal | changes}


def ledger_faults(run: Run, **changes: Any) -> Files:
    """The database's own counts changed."""
    return {"ledger_faults": run.ledger_faults.model_copy(update=changes)}


def decided(run: Run, *, flips: int) -> Files:
    """An unbroken journal with the first ``flips`` entries of the mode controller."""
    return decided_as(run, run.flips[:flips])


def decided_as(
    run: Run,
    flips: Iterable[Flip],
    surpluses: Iterable[Surplus] | None = None,
    orders: Iterable[Order] | None = None,
) -> Files:
    """An unbroken journal of these ``flips``, ``surpluses`` and ``orders``.

    Those of the run where None.
    """
    rows = decisions(
        flips=[(flip.epoch, flip.tier) for flip in flips],
        top_ups=[
            {"topup": row.id, "amount": str(row.amount), "asset": row.asset, "to": row.to_wallet}
            for row in run.top_ups
        ],
        surpluses=[
            {
                "amount": str(row.amount),
                "asset": row.asset,
                "wallet": row.wallet,
                "block": row.block_number,
            }
            for row in (run.surpluses if surpluses is None else surpluses)
        ],
        orders=[asdict(row) for row in (run.orders if orders is None else orders)],
    )
    return {"decisions": tuple(JournalEntry(**row) for row in rows)}


def ordered(run: Run, **changes: Any) -> Files:
    """Kim ordered protected mode in the calm, for the whole drill, and the journal has it."""
    made = replace(
        run.orders[0],
        id="3",
        kind="at_least",
        tier="protected",
        made_at=us(1),
        ends_at=us(3_600),
        ended_at=None,
        ended_by=None,
    )
    orders = (*run.orders, replace(made, **changes))
    return {"orders": orders, **decided_as(run, run.flips, orders=orders)}


def surplus_late(run: Run, *, wallet: str, asset: str) -> Files:
    """What the hot wallet held at first came from outside instead, and was booked at the end."""
    holding = run.policy.wallets[wallet].holdings[asset]
    amount = run.policy.base_units(asset, holding.target)
    late = replace(run.surpluses[0], wallet=wallet, asset=asset, amount=amount, booked_at=us(83))
    surpluses = (*run.surpluses, late)
    return {"surpluses": surpluses, **decided_as(run, run.flips, surpluses)}


def nonces_hidden(run: Run, hidden: Callable[[Any], bool]) -> Files:
    """The nonce probes, of which those ``hidden`` show that nothing was sent yet."""
    return probes(
        run,
        "pending_nonce",
        lambda sample: (
            replace(sample, detail={**sample.detail, "nonce": 0}) if hidden(sample) else sample
        ),
    )


def primary_only(run: Run) -> Files:
    """The standby never signs; the primary does, after the dark."""
    standby, primary = run.policy.regions.standby, run.policy.regions.primary
    late = us(57.6)
    signatures = tuple(
        replace(row, signed_by=primary, signed_at=max(row.signed_at or late, late))
        if row.signed_by == standby
        else row
        for row in run.signatures
    )
    return {
        "lane_changes": (),
        "signatures": signatures,
        "sign_calls": logged_as(run, signatures),
        "slots": tuple(
            replace(slot, signer_region=primary, broadcast_at=max(slot.broadcast_at or late, late))
            if slot.signer_region == standby
            else slot
            for slot in run.slots
        ),
        **nonces_hidden(run, lambda sample: us(27) < sample.at < late),
    }


def signed_otherwise(run: Run, wanted: Callable[[Any], bool], **changes: Any) -> Files:
    """The wanted signatures were made otherwise, and AWS's own log says so, too."""
    signatures = each(run.signatures, wanted, **changes)
    return {"signatures": signatures, "sign_calls": logged_as(run, signatures)}


def standby_late(run: Run, *, network: str | None = None) -> Files:
    """The standby signs 11 s later than it did, on one network or on all."""

    def concerned(where: str | None) -> bool:
        return network in (None, where)

    return {
        "slots": tuple(
            later(slot, 11, "broadcast_at")
            if payout(slot)
            and concerned(slot.network)
            and us(27) < (slot.broadcast_at or 0) < us(45)
            else slot
            for slot in run.slots
        ),
        **nonces_hidden(
            run, lambda sample: concerned(sample.detail["network"]) and us(27) < sample.at < us(39)
        ),
    }


def never_protected(run: Run) -> Files:
    """The mode controller never acts."""
    return {
        **decided(run, flips=0),
        "flips": (),
        "slots": each(run.slots, lambda slot: True, mode_epoch=1),
        **probes(
            run, "status", lambda sample: replace(sample, detail={"tier": "normal", "epoch": 1})
        ),
    } | {
        "probes": run.probes
        | {
            "status": tuple(
                replace(sample, detail={"tier": "normal", "epoch": 1})
                for sample in run.probes["status"]
            ),
            "swap": tuple(replace(sample, ok=True, detail={}) for sample in run.probes["swap"]),
            "large_transfer": tuple(
                replace(sample, ok=True, detail={}) for sample in run.probes["large_transfer"]
            ),
        }
    }


def relapsed(run: Run, *, after_s: float, seen: bool = True) -> Files:
    """The tier becomes stressed again, ``after_s`` after its return to normal."""
    last = run.flips[-1]
    again = later(
        last,
        after_s,
        "committed_at",
        "sampled_at",
        epoch=last.epoch + 1,
        previous="normal",
        tier="stressed",
    )
    flips = (*run.flips, again)
    status = probes(
        run,
        "status",
        lambda sample: (
            replace(sample, detail={"tier": "stressed", "epoch": again.epoch})
            if sample.at > again.committed_at
            else sample
        ),
    )
    return {
        "flips": flips,
        "slots": each(
            run.slots, lambda slot: slot.opened_at > again.committed_at, mode_epoch=again.epoch
        ),
        **decided_as(run, flips),
        **(status if seen else {}),
    }


def slow_intake(run: Run, *, by_s: float, left_late: bool = False) -> Files:
    """Customers asked ``by_s`` earlier, and everything else happened when it did.

    So the venue took in each request that much later; or the generator sent it late.
    """
    earlier = round(by_s * SECOND)
    return {
        "flood": run.flood.model_copy(update={"t_zero": run.flood.t_zero - by_s}),
        "requests": each(
            run.requests,
            lambda row: True,
            planned_at=lambda row: row.planned_at - earlier,
            sent_at=lambda row: row.sent_at - (0 if left_late else earlier),
        ),
        "reads": tuple(later(row, -by_s, "planned_at", "sent_at", "done_at") for row in run.reads),
    }


def large_unacknowledged(run: Run) -> Files:
    """No large withdrawal of the flood was acknowledged; the small ones reach no trigger."""
    large = {row.index for row in run.arrivals if row.size == "large"}
    return {
        "requests": each(
            run.requests, lambda row: row.index in large, status=503, outcome="refused"
        )
    }


def rows_later(run: Run, *, by_s: float) -> Files:
    """Protected mode came ``by_s`` later, and so did, as the venue says, every row of its flow."""
    flip = next(flip for flip in run.flips if flip.tier == "protected")
    late = later(flip, by_s, "sampled_at", "committed_at")
    return {
        "flow": tuple(later(row, by_s, "committed_at") for row in run.flow),
        "flips": tuple(late if each_flip is flip else each_flip for each_flip in run.flips),
        "slots": each(
            run.slots,
            lambda slot: flip.committed_at <= slot.opened_at < late.committed_at,
            mode_epoch=flip.epoch - 1,
        ),
        **probes(
            run,
            "status",
            lambda sample: (
                replace(sample, detail={"tier": "stressed", "epoch": flip.epoch - 1})
                if flip.committed_at <= sample.at < late.committed_at
                else sample
            ),
        ),
    }


def paid_in_block(run: Run, *, seq: int, block: int) -> Files:
    """The chain made the payment of ``seq`` in ``block``, and blocks came until that was final."""
    last = run.blocks[-1]
    more = [
        later(
            last, number - last.number, "timestamp", "observed_at", number=number, network=network
        )
        for number in range(last.number + 1, block + 3)
        for network in run.policy.networks
    ]
    return {
        "payouts": first(run.payouts, lambda row: row.seq == seq, block_number=block),
        "blocks": (*run.blocks, *more),
    }


def nonce_left_out(run: Run) -> Files:
    """A reserve's lane skipped a nonce, and the chain counts as the venue does."""
    lane = next(row for row in reversed(run.lane_nonces) if row.nonce > (row.nonce_before or 0))
    return {
        "slots": each(
            run.slots,
            lambda row: row.address == lane.address and row.nonce > (lane.nonce_before or 0) + 1,
            nonce=lambda row: row.nonce + 1,
        ),
        "signatures": each(
            run.signatures,
            lambda row: row.address == lane.address and row.nonce > (lane.nonce_before or 0) + 1,
            nonce=lambda row: row.nonce + 1,
        ),
        "lane_nonces": each(run.lane_nonces, lambda row: row is lane, nonce=lane.nonce + 1),
    }


def requests_left_late(run: Run) -> Files:
    """One request in fifty left 21 ms after its instant."""
    return {
        "requests": each(
            run.requests,
            lambda row: row.index % 50 == 7,
            sent_at=lambda row: row.planned_at + 21_000,
        )
    }


def deferred(row: Withdrawal) -> bool:
    """Large ones on aster, asked for well inside protected mode."""
    return (row.size, row.network) == ("large", "aster") and us(25) < row.reserved_at < us(60)


def claim_in_protected(slot: Slot) -> bool:
    """Payouts on aster claimed in protected mode."""
    return payout(slot) and (slot.network, slot.mode_epoch) == ("aster", 3)


def paid_in_dark(slot: Slot) -> bool:
    """Payouts broadcast well within the dark."""
    return payout(slot) and us(40) < (slot.broadcast_at or 0) < us(42)


def payout(slot: Slot) -> bool:
    """Slots of payouts."""
    return slot.purpose == "payout"


def protected(sample: ProbeSample) -> bool:
    """Well inside protected mode."""
    return us(25) < sample.at < us(60)


def later(row: Any, seconds: float, *moments: str, **changes: Any) -> Any:
    """``row`` with the named moments ``seconds`` later."""
    return replace(
        row, **{name: getattr(row, name) + round(seconds * SECOND) for name in moments}, **changes
    )


def gathered_at(run: Run, seconds: float, timeline: Any = None) -> Files:
    """The evidence was gathered so late; AWS's own log goes on to then."""
    last = {call.region: call for call in run.sign_calls}  # in order of time
    return {
        "timeline": each(
            run.timeline if timeline is None else timeline,
            lambda event: event.event == "collected",
            at=us(seconds),
        ),
        "sign_calls": run.sign_calls
        + tuple(
            replace(call, event_id=f"{call.event_id}-later", at=us(seconds + 1))
            for call in last.values()
        ),
    }


def never_normal(run: Run) -> Files:
    """Stressed for good: no flip to normal, and eleven more seconds of a status that says so."""
    stressed = {"tier": "stressed"}
    known = [
        replace(sample, detail=stressed) if sample.at > us(73.2) else sample
        for sample in run.probes["status"]
    ]
    more = [
        later(sample, 22, "at", "done_at", detail=stressed)
        for sample in known
        if sample.at > us(72)
    ]
    ended = without(run.timeline, lambda event: event.event == "drained")
    known_flow = [row for row in run.flow if row.committed_at > us(78)]
    return {
        **decided(run, flips=len(run.flips) - 1),
        "flow": run.flow
        + tuple(
            later(row, shift, "committed_at", id=row.id + 1000 * shift)
            for shift in (8, 16)
            for row in known_flow
        ),
        "flips": without(run.flips, lambda flip: flip.tier == "normal"),
        "slots": each(run.slots, lambda slot: slot.opened_at > us(78), mode_epoch=4),
        **gathered_at(run, 103, ended),
        "blocks": run.blocks
        + tuple(later(block, 22, "timestamp") for block in run.blocks if block.timestamp > us(72)),
        "probes": run.probes | {"status": (*known, *more)},
    }
