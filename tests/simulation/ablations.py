"""Safeguards that are removed one by one: each removal must be noticed, or it guards nothing.

A safeguard is a rule, and some rules have two layers (the code, and a constraint behind it); then
all its layers go, for with one left nothing would happen. ``H`` are the holes that other senders
have by the reference; what closes each here is removed like any other safeguard.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from seawall.ethereum.rpc import AsyncRpcClient, ChainView
from tests.simulation.faults import Faults
from tests.simulation.world import Outcome, Plan, run
from venue.settler import claims, follower, held
from venue.settler.claims import Claims
from venue.settler.driver import Driver
from venue.settler.follower import Follower
from venue.settler.lanes import Lane, SlotProgress
from venue.settler.lease import SettlerLease
from venue.signer import logs

Patch = Callable[[], contextlib.AbstractContextManager[Any]]


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One safeguard less.

    Attributes:
        guards: What it guards.
        without: Its layers in store and chain.
        patch: Its layers in the settler or the signer.
        faults: What brings the case about in which it matters.
        caught_by: The invariants that may notice.
        lies_alone: Whether it matters only where a lie is believed.
        rails: Whether it is of who pays over rails.
        hole: The hole of the reference that it closes.
        seeds_max: How many seeds may pass before it is noticed.
        nightly: Whether so many pass that it is for the nightly run alone.
    """

    guards: str
    without: frozenset[str] = frozenset()
    patch: Patch = contextlib.nullcontext
    faults: Faults
    caught_by: Sequence[str]
    lies_alone: bool = False
    rails: bool = False
    hole: str = ""
    seeds_max: int = 60
    nightly: bool = False

    @property
    def plan(self) -> Plan:
        """Of its runs."""
        return Plan(
            faults=self.faults,
            without=self.without,
            lies_alone=self.lies_alone,
            rails=self.rails,
            networks=not self.rails,
        )


@dataclass(frozen=True, kw_only=True)
class Caught:
    """The first seed in which an ablation was noticed, and by what; None: never."""

    seeds: int
    outcome: Outcome | None
    names: tuple[str, ...] = field(default=())


def hunt(ablation: Ablation, *, first: int = 1) -> Caught:
    """Run seeds without the safeguard until one of the invariants that may notice it does."""
    with ablation.patch():
        for number in range(ablation.seeds_max):
            outcome = run(first + number, ablation.plan)
            names = tuple(sorted({each.invariant for each in outcome.violations}))
            if set(names) & set(ablation.caught_by):
                return Caught(seeds=number + 1, outcome=outcome, names=names)
    return Caught(seeds=ablation.seeds_max, outcome=None)


def _replaced(target: object, name: str, new: object) -> Patch:
    return lambda: mock.patch.object(target, name, new)


async def _never_noticed(_: SettlerLease, stop: asyncio.Event) -> None:
    await stop.wait()


def _lease_unseen() -> contextlib.AbstractContextManager[Any]:
    """A settler does not see that another has its lease: the fence alone is left."""
    return mock.patch.object(SettlerLease, "renew", _never_noticed)


@contextlib.contextmanager
def _unfenced() -> Iterator[None]:
    begin = Claims.begin

    async def unfenced(self: Claims, connection: Any, lane: Lane) -> Any:
        row = await connection.fetchrow(claims._LANE, lane.chain_id, lane.address)
        anybody = replace(self, holder=row["holder"])
        return await begin(anybody, connection, replace(lane, epoch=row["epoch"]))

    with mock.patch.object(Claims, "begin", unfenced), _lease_unseen():
        yield


def _offered_counts_for_nothing() -> contextlib.AbstractContextManager[Any]:
    """The mode is looked at even for what is recorded already, so that it is admitted again."""
    record = logs.SignLog.record

    async def look_again(self: logs.SignLog, request: Any) -> Any:
        use = (request.epoch, request.intent.digest, request.gas_limit, *logs._fees(request))
        offered = await self.records.fetchrow(logs._OFFER, *logs._key(request), *use, True)
        assert offered is not None
        if offered["admitted_epoch"] != offered["mode_epoch"]:
            raise logs._unwanted(request, offered)
        return await record(self, request)

    return mock.patch.object(logs.SignLog, "record", look_again)


@contextlib.contextmanager
def _sent_before_it_is_on_record() -> Iterator[None]:
    stored, sent = SlotProgress.signed, SlotProgress.broadcast

    async def signed(self: SlotProgress, slot: Any, signed: Any) -> None:
        slot.state, slot.raw, slot.tx_hash = "signed", signed.raw, signed.tx_hash
        slot.signer_region, slot.signed_as = signed.region, signed

    async def broadcast(self: SlotProgress, slot: Any) -> None:
        if hasattr(slot, "signed_as"):
            slot.state = "open"
            await stored(self, slot, slot.signed_as)
        await sent(self, slot)

    with (
        mock.patch.object(SlotProgress, "signed", signed),
        mock.patch.object(SlotProgress, "broadcast", broadcast),
    ):
        yield


def _not_waiting_for_finality() -> contextlib.AbstractContextManager[Any]:
    view = AsyncRpcClient.view

    async def newest(self: AsyncRpcClient) -> ChainView:
        found = await view(self)
        latest = await self.ask(lambda block: block, "eth_getBlockByNumber", "latest", False)
        found.finalized = replace(
            found.finalized, number=int(latest["number"], 16), hash=latest["hash"]
        )
        found._canonical = {found.finalized.number: found.finalized.hash}
        return found

    return mock.patch.object(AsyncRpcClient, "view", newest)


def _void_without_a_look(
    items: Sequence[Any], *, bits: Any, cancelled: Any, earlier: Any
) -> held.Cancellation:
    """Instead of asking which transaction has used a number up."""
    seqs = tuple(item.seq for item in items)
    return held.Cancellation(cancelled=seqs, paid=(), untried=(), disputed=())


def _always_on_the_word_of_one() -> contextlib.AbstractContextManager[Any]:
    confirm = Follower._confirm

    async def alone(self: Follower, *given: Any, alone: bool = True) -> None:
        await confirm(self, *given, alone=True)

    return mock.patch.object(Follower, "_confirm", alone)


async def _nothing_held(*_: Any, **__: Any) -> None:
    """Instead of claims of cancellations."""


def _nothing_resumed(self: Driver, slots: Any) -> None:
    """Instead of going on with what an earlier settler left."""


ABLATIONS = (
    Ablation(
        guards="the next nonce stands on record, and a unique index behind it",
        without=frozenset({"next nonce on record", "nonce given out once"}),
        faults=Faults(kill=0.3),
        caught_by=("I6", "I7", "own error"),
        hole="H5",
    ),
    Ablation(
        guards="a claim by an old epoch of the lane is refused, even if the lease is not seen",
        patch=_unfenced,
        faults=Faults(freeze=0.6, kill=0.1),
        caught_by=("I9",),
    ),
    Ablation(
        guards="a signature under an old epoch of the lane is refused",
        without=frozenset({"lane's epoch at the signer"}),
        patch=_lease_unseen,
        faults=Faults(freeze=0.6, provider_dark=0.25, provider_slow=0.2, signer_kill=0.3),
        caught_by=("I9",),
        seeds_max=200,
    ),
    Ablation(
        guards="what was offered to a signer keeps its use",
        without=frozenset({"offered keeps its use", "use of a nonce", "offered in any mode"}),
        patch=_offered_counts_for_nothing,
        faults=Faults(flips=1.5, large=0.6, provider_dark=0.3, signer_kill=0.4),
        caught_by=("I6", "own error"),
        seeds_max=200,
    ),
    Ablation(
        guards="bytes are on record before they are sent",
        patch=_sent_before_it_is_on_record,
        faults=Faults(crash=0.05),
        caught_by=("I6",),
        hole="H1",
    ),
    Ablation(
        guards="the signature that was made first is kept",
        without=frozenset({"signature kept", "bytes signed once"}),
        faults=Faults(signer_lost=0.15, provider_slow=0.2, crash=0.06, answer_lost=0.08),
        caught_by=("I6",),
        hole="H6",
        seeds_max=200,
    ),
    Ablation(
        guards="a payout is posted at finality",
        patch=_not_waiting_for_finality,
        faults=Faults(reorganisation=0.5, pool_forgets=0.3),
        caught_by=("I4",),
        hole="H2",
    ),
    Ablation(
        guards="the contract pays no number twice",
        without=frozenset({"bitmap"}),
        faults=Faults(lies=1.0),
        caught_by=("I3",),
        lies_alone=True,
    ),
    Ablation(
        guards="what was tried once is not given back before its number is used up",
        without=frozenset({"refund rule"}),
        faults=Faults(lies=1.0, cancellations=1.0),
        caught_by=("I5",),
        lies_alone=True,
        seeds_max=200,
    ),
    Ablation(
        guards="a number that is used up says by its receipts whether it was paid or cancelled",
        patch=_replaced(held, "cancellation_of", _void_without_a_look),
        faults=Faults(lies=1.0, cancellations=0.6),
        caught_by=("I5", "I3"),
        lies_alone=True,
        hole="H3",
        seeds_max=200,
    ),
    Ablation(
        guards="a claim holds the mode lock",
        without=frozenset({"mode lock"}),
        faults=Faults(flips=2.5, slow_database=0.3),
        caught_by=("I9",),
        seeds_max=200,
    ),
    Ablation(
        guards="the mode is read in a statement after the lock's",
        without=frozenset({"mode lock in a statement of its own"}),
        faults=Faults(flips=2.5, slow_database=0.3),
        caught_by=("I9",),
        seeds_max=300,
    ),
    Ablation(
        guards="a slot of an older mode is not signed before it is admitted again",
        without=frozenset({"mode at the signer"}),
        faults=Faults(flips=1.5, large=0.6, provider_dark=0.3, signer_kill=0.4),
        caught_by=("I9",),
        seeds_max=200,
    ),
    Ablation(
        guards="a calm tier leaves the floor",
        patch=_replaced(Claims, "_floors", lambda *_: {}),
        faults=Faults(large=1.0),
        caught_by=("I10",),
    ),
    Ablation(
        guards="a slot is finished once, and a withdrawal is posted once",
        without=frozenset({"posted once"}),
        patch=_lease_unseen,
        faults=Faults(freeze=0.6, kill=0.1),
        caught_by=("I8",),
        seeds_max=200,
    ),
    Ablation(
        guards="a claim locks what it claims, and claims only what waits",
        without=frozenset({"candidates locked", "only what waits is claimed", "transitions"}),
        faults=Faults(cancellations=2.0, slow_database=0.3),
        caught_by=("I5", "I8"),
        seeds_max=300,
    ),
    Ablation(
        guards="a claim lowers the float",
        without=frozenset({"float lowered"}),
        faults=Faults(),
        caught_by=("I10",),
    ),
    Ablation(
        guards="a top-up is not moved again on the word of one node",
        patch=_always_on_the_word_of_one,
        faults=Faults(lies=1.0, large=0.6),
        caught_by=("I3",),
        lies_alone=True,
        seeds_max=200,
    ),
    Ablation(
        guards="a transaction that no block contains is sent again",
        patch=_replaced(follower, "_MISSING_BLOCKS", 10**9),
        faults=Faults(pool_forgets=0.3),
        caught_by=("I12",),
    ),
    Ablation(
        guards="a slot follows its transaction into another block",
        without=frozenset({"another block"}),
        faults=Faults(reorganisation=0.5),
        caught_by=("I12", "own error"),
        seeds_max=200,
    ),
    Ablation(
        guards="a settler goes on with what an earlier one left",
        patch=_replaced(Driver, "resume", _nothing_resumed),
        faults=Faults(kill=0.3),
        caught_by=("I12",),
    ),
    Ablation(
        guards="what is held has a way out",
        patch=_replaced(Claims, "claim_held", _nothing_held),
        faults=Faults(refused_destination=0.35),
        caught_by=("I12",),
    ),
    Ablation(
        guards="an approval is carried out once, by one call at a time",
        without=frozenset({"one call of an approval", "approval once"}),
        faults=Faults(approvals=0.6),
        caught_by=("I13", "own error"),
    ),
    Ablation(
        guards="an approval waits for the delay of its lane",
        without=frozenset({"delay of an approval"}),
        faults=Faults(approvals=0.6),
        caught_by=("I13",),
    ),
    Ablation(
        guards="approvals move no more than their lane's cap in a window",
        without=frozenset({"cap of a lane"}),
        faults=Faults(approvals=0.6),
        caught_by=("I13",),
    ),
)
