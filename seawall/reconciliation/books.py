"""The venue's books against the networks: wallets, reservations, postings, signatures; pure.

What the ledger says a wallet holds is brought to the pinned block first: what it has posted is
added again, and what was seen leaving until that block is taken off. What is left over is a
difference that no payment explains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from seawall.reconciliation.contradictions import Contradiction, ContradictionName, Doubt, ids_of
from seawall.reconciliation.facts import (
    Holding,
    LedgerLine,
    Payment,
    Place,
    PostingLine,
    Sight,
    Signature,
    Slot,
    TopUp,
)

HELD_KINDS = ("hot", "reserve", "cold")
"""Kinds of accounts whose money lies in wallets."""
PROVIDER_KINDS = ("at_primary", "at_standby")
"""Kinds whose money lies at the providers of a rail, which pay in place of a hot wallet."""


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """A wallet of the policy; ``assets`` are those that it is to hold."""

    name: str
    bucket: str
    network: str
    kind: str
    assets: frozenset[str]


@dataclass(kw_only=True)
class Movements:
    """What left each wallet and came to it, in base units by holding; coming is negative.

    Attributes:
        posted: By the ledger, at the instant at which the records were read.
        seen: By the networks, up to the pinned blocks.
        booked_later: Money from outside that the ledger has and the pinned block had not.
    """

    posted: Counter[Holding] = field(default_factory=Counter)
    seen: Counter[Holding] = field(default_factory=Counter)
    booked_later: Counter[Holding] = field(default_factory=Counter)


def move(side: Counter[Holding], source: str, target: str, asset: str, *, amount: int) -> None:
    """Note on one side of :class:`Movements` that ``amount`` went from a wallet to another."""
    side[source, asset] += amount
    side[target, asset] -= amount


@dataclass(frozen=True, kw_only=True)
class WalletLine:
    """A wallet's asset: what the ledger has, what that means at the pinned block, what is there.

    ``listed`` is whether the policy gives the wallet this asset, so that the ledger can have it.
    ``early`` is what the venue booked in a later block, and was there already.
    """

    network: str
    bucket: str
    wallet: str
    asset: str
    booked: int
    expected: int
    on_chain: int
    listed: bool = True
    early: int = 0

    @property
    def difference(self) -> int:
        """Base units on the chain that nothing explains; negative where some are lacking."""
        return self.on_chain - self.expected


def wallet_lines(
    ledger: Iterable[LedgerLine],
    *,
    wallets: Sequence[Wallet],
    on_chain: Mapping[Holding, int],
    movements: Movements,
) -> list[WalletLine]:
    """Every holding that was read, in the order of ``wallets``.

    Args:
        ledger: The ledger's sums.
        wallets: Those of the policy whose networks were read.
        on_chain: Base units on the chain at the pinned block.
        movements: What explains why the ledger and the pinned block differ.

    An account without a wallet is a line of a wallet that holds nothing.
    """
    place_of = {(each.bucket, each.network, each.kind): each for each in wallets}
    read = {each.network for each in wallets}
    booked: Counter[Holding] = Counter()
    homeless: list[WalletLine] = []
    for line in ledger:
        if line.kind not in HELD_KINDS or line.network not in read:
            continue
        wallet = place_of.get((line.bucket, line.network, line.kind))
        if wallet is not None:
            booked[wallet.name, line.asset] += line.balance
        elif line.balance:
            homeless.append(
                WalletLine(
                    network=line.network,
                    bucket=line.bucket,
                    wallet=f"{line.kind} of {line.bucket}, which has no such wallet",
                    asset=line.asset,
                    booked=line.balance,
                    expected=line.balance,
                    on_chain=0,
                )
            )
    found = []
    for wallet in wallets:
        for asset in sorted(asset for name, asset in on_chain if name == wallet.name):
            holding = (wallet.name, asset)
            later = movements.booked_later[holding]
            expected = booked[holding] + movements.posted[holding] - movements.seen[holding] - later
            early = min(max(0, on_chain[holding] - expected), later)
            found.append(
                WalletLine(
                    network=wallet.network,
                    bucket=wallet.bucket,
                    wallet=wallet.name,
                    asset=asset,
                    booked=booked[holding],
                    expected=expected + early,
                    on_chain=on_chain[holding],
                    listed=asset in wallet.assets or bool(booked[holding]),
                    early=early,
                )
            )
    return found + homeless


def unread_holdings(
    ledger: Iterable[LedgerLine], *, wallets: Sequence[Wallet], on_chain: Mapping[Holding, int]
) -> list[tuple[Wallet, str]]:
    """Wallets with an asset that they are to hold, or that the ledger has, and nobody has read.

    Arguments as of :func:`wallet_lines`.
    """
    booked = {(each.bucket, each.network, each.kind, each.asset) for each in ledger if each.balance}
    return [
        (wallet, asset)
        for wallet in wallets
        for asset in sorted(
            wallet.assets
            | {
                asset
                for bucket, network, kind, asset in booked
                if (bucket, network, kind) == (wallet.bucket, wallet.network, wallet.kind)
            }
        )
        if (wallet.name, asset) not in on_chain
    ]


def judge_wallet(line: WalletLine, block: int) -> Contradiction | None:
    """What is wrong with a holding at ``block``; None where nothing is."""
    if line.difference == 0 or (not line.listed and line.difference > 0):
        return None
    lacks = line.difference < 0
    return Contradiction(
        name="deficit" if lacks else "surplus",
        text=f"{line.wallet} holds {line.on_chain} {line.asset} at block {block} of {line.network},"
        f" {abs(line.difference)} {'less' if lacks else 'more'} than is explained",
        network=line.network,
        asset=line.asset,
        amount=abs(line.difference),
        ids=ids_of(wallet=line.wallet, block=block),
    )


def judge_reservations(
    ledger: Iterable[LedgerLine], open_amounts: Mapping[Place, int]
) -> Iterator[Contradiction]:
    """Where the ledger reserves more or less than open withdrawals ask for."""
    reserved: Counter[Place] = Counter()
    for line in ledger:
        if line.kind == "reserved":
            reserved[line.network, line.asset] -= line.balance
    for network, asset in sorted(reserved.keys() | open_amounts.keys()):
        booked, asked = reserved[network, asset], open_amounts.get((network, asset), 0)
        if booked != asked:
            yield Contradiction(
                name="reservations-differ",
                text=f"the ledger reserves {booked} {asset} on {network}, and open withdrawals ask"
                f" for {asked}",
                network=network,
                asset=asset,
                amount=abs(booked - asked),
            )


def judge_ledger(
    ledger: Iterable[LedgerLine], *, unbalanced: int, mismatched: int, negative: int
) -> Iterator[Contradiction]:
    """Whether the ledger sums to zero by network and asset, and by the venue's own count."""
    sums: Counter[Place] = Counter()
    for line in ledger:
        sums[line.network, line.asset] += line.balance
    for (network, asset), total in sorted(sums.items()):
        if total:
            yield Contradiction(
                name="ledger-does-not-balance",
                text=f"all {asset} of {network} sum to {total}",
                network=network,
                asset=asset,
                amount=abs(total),
            )
    for count, what in (
        (unbalanced, "postings do not sum to zero"),
        (mismatched, "balances differ from their entries"),
        (negative, "balances are negative"),
    ):
        if count:
            yield Contradiction(name="ledger-does-not-balance", text=f"{count} {what}")


@dataclass(kw_only=True)
class Posted:
    """What the venue's own rows say its postings moved, in base units by network and asset.

    Attributes:
        reserved: Of all withdrawals. ``paid`` and ``voided`` are those that were resolved so.
        topped_up: Of top-ups that are posted; ``swept`` of sweeps.
        surpluses: Of money from outside.
    """

    reserved: Counter[Place] = field(default_factory=Counter)
    paid: Counter[Place] = field(default_factory=Counter)
    voided: Counter[Place] = field(default_factory=Counter)
    topped_up: Counter[Place] = field(default_factory=Counter)
    swept: Counter[Place] = field(default_factory=Counter)
    surpluses: Counter[Place] = field(default_factory=Counter)


def judge_postings(
    postings: Sequence[PostingLine], ledger: Iterable[LedgerLine], rows: Posted
) -> Iterator[Contradiction]:
    """Where postings of a kind moved something else than the rows that they follow from."""
    sums: Counter[tuple[str, str, str, str]] = Counter()
    kinds: Counter[tuple[str, str, str, str]] = Counter()
    for line in postings:
        paying = "hot" if line.kind in PROVIDER_KINDS else line.kind
        sums[line.posting, paying, line.network, line.asset] += line.amount
        kinds[line.bucket, line.network, line.asset, line.kind] += line.amount
    for posting, kind, sign, expected in (
        ("reserve", "reserved", -1, rows.reserved),
        ("post", "reserved", 1, rows.paid),
        ("void", "reserved", 1, rows.voided),
        ("post", "hot", -1, rows.paid),
        ("topup", "reserve", -1, rows.topped_up),
        ("topup", "hot", 1, rows.topped_up),
        ("sweep", "hot", -1, rows.swept),
        ("sweep", "reserve", 1, rows.swept),
    ):
        places = expected.keys() | {
            (network, asset) for each, of, network, asset in sums if (each, of) == (posting, kind)
        }
        for network, asset in sorted(places):
            moved = sums[posting, kind, network, asset]
            if moved != sign * expected[network, asset]:
                yield _differs(
                    posting, kind, (network, asset), moved, sign * expected[network, asset]
                )
    booked: Counter[Place] = Counter()
    for line in postings:
        if line.posting == "surplus" and line.kind in HELD_KINDS:
            booked[line.network, line.asset] += line.amount
    for network, asset in sorted(booked.keys() | rows.surpluses.keys()):
        if booked[network, asset] != rows.surpluses[network, asset]:
            yield _differs(
                *("surplus", "holdings", (network, asset)),
                booked[network, asset],
                rows.surpluses[network, asset],
            )
    of_ledger = Counter({_account(line): line.balance for line in ledger})
    for bucket, network, asset, kind in sorted(kinds.keys() | of_ledger.keys()):
        account = (bucket, network, asset, kind)
        if kinds[account] != of_ledger[account]:
            yield _differs(
                *("all", f"{bucket} {kind}", (network, asset)), kinds[account], of_ledger[account]
            )


def _account(line: LedgerLine) -> tuple[str, str, str, str]:
    return line.bucket, line.network, line.asset, line.kind


def _differs(posting: str, kind: str, place: Place, moved: int, expected: int) -> Contradiction:
    network, asset = place
    return Contradiction(
        name="postings-differ",
        text=f"postings `{posting}` moved {moved} {asset} of {kind} on {network}, and the rows that"
        f" they follow from say {expected}",
        network=network,
        asset=asset,
        amount=abs(moved - expected),
    )


_KNOWN = ("fund", "surplus", "post", "topup", "sweep", "transfer", "rebalance")
"""Postings that have a term of their own in :class:`AssetLine`.

What went to another network, or came from one, is in ``left``, as what was seen of it.
"""


@dataclass(frozen=True, kw_only=True)
class AssetLine:
    """What came to all wallets of a network, what left them, and what is there.

    ``opening`` is None where the venue does not say by what its ledger came about; then
    ``expected`` follows from the ledger alone. ``other`` is what people posted, such as whose a
    surplus was. ``left`` is what was seen leaving up to the pinned block.
    """

    network: str
    asset: str
    opening: int | None
    surpluses: int
    other: int
    left: int
    expected: int
    on_chain: int

    @property
    def difference(self) -> int:
        """Base units that nothing explains; negative where some are lacking."""
        return self.on_chain - self.expected


def asset_lines(
    lines: Iterable[WalletLine],
    postings: Sequence[PostingLine] | None,
    *,
    movements: Movements,
    surpluses: Mapping[Place, int],
    unread: Collection[Place] = (),
) -> list[AssetLine]:
    """The holdings of ``lines`` by network and asset.

    Args:
        lines: Holdings; those that the policy does not list are left out.
        postings: The ledger's sums by kind of posting, if they are known.
        movements: As of :func:`wallet_lines`.
        surpluses: Money from outside that was booked up to the pinned block.
        unread: Where not every wallet was read, so that a total says nothing; these are left out.
    """
    expected: Counter[Place] = Counter()
    on_chain: Counter[Place] = Counter()
    left: Counter[Place] = Counter()
    came = Counter(surpluses)
    for line in lines:
        if line.listed:
            place = (line.network, line.asset)
            expected[place] += line.expected
            on_chain[place] += line.on_chain
            left[place] += movements.seen[line.wallet, line.asset]
            came[place] += line.early
    opening: Counter[Place] = Counter()
    other: Counter[Place] = Counter()
    for posting in postings or ():
        if posting.kind in HELD_KINDS:
            place = (posting.network, posting.asset)
            opening[place] += posting.amount if posting.posting == "fund" else 0
            other[place] += 0 if posting.posting in _KNOWN else posting.amount
    return [
        AssetLine(
            network=place[0],
            asset=place[1],
            opening=None if postings is None else opening[place],
            surpluses=came[place],
            other=other[place],
            left=left[place],
            expected=expected[place]
            if postings is None
            else opening[place] + came[place] + other[place] - left[place],
            on_chain=on_chain[place],
        )
        for place in sorted(on_chain.keys() - set(unread))
    ]


# --- signatures and nonces


def judge_signature(signature: Signature, network: str, slot: Slot | None) -> Contradiction | None:
    """Whether ``signature`` is for what its slot says."""
    of = f"nonce {signature.nonce} of {signature.address} on {network}"
    ids = ids_of(
        nonce=signature.nonce,
        wallet=None if slot is None else slot.wallet,
        slot=None if slot is None else slot.id,
        tx_hash=signature.tx_hash,
    )
    if slot is None:
        return Contradiction(
            name="signature-without-slot",
            text=f"{of} was signed and is on no record",
            network=network,
            ids=ids,
        )
    if signature.digest != slot.digest:
        return Contradiction(
            name="signed-something-else",
            text=f"{of} was signed for {signature.digest[:12]}, its slot is for {slot.digest[:12]}",
            network=network,
            ids=ids,
        )
    return None


def past_the_signer(slot: Slot) -> Contradiction:
    """A slot that is signed, by what is not in the signer's log as signed."""
    what = slot.state if slot.tx_hash is None else f"{slot.state} as {slot.tx_hash}"
    return Contradiction(
        name="signed-past-the-signer",
        text=f"nonce {slot.nonce} of {slot.wallet} is {what}, and the signer's log has no such"
        " signature",
        network=slot.network,
        ids=ids_of(wallet=slot.wallet, slot=slot.id, nonce=slot.nonce, tx_hash=slot.tx_hash),
    )


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A key's transactions: how many the chain has, and which of their nonces are on record.

    ``sent`` are final at the pinned block; ``first`` is the lowest nonce on record, None without
    any, and ``recorded`` counts those from there to below ``sent``.
    """

    network: str
    wallet: str
    address: str
    sent: int
    first: int | None
    recorded: int


def judge_lane(lane: Lane) -> Contradiction | Doubt | None:
    """Whether every transaction of a key is on record, from its first one on record on."""
    who = f"the key of {lane.wallet} ({lane.address})"
    if lane.first is None:
        if lane.sent == 0:
            return None
        text = f"{who} has sent {lane.sent} transactions, none is on record: they may be of before"
        return Doubt(comparison="nonces", text=text)
    missing = lane.sent - lane.first - lane.recorded
    if missing <= 0:
        return None
    return Contradiction(
        name="nonce-without-slot",
        text=f"{who} has sent {missing} transactions that are on no record",
        network=lane.network,
        ids=ids_of(wallet=lane.wallet, nonce=lane.sent - 1),
    )


# --- movements between wallets

TOP_UP_STATES = ("requested", "slotted", "posted", "taken_back")


@dataclass(kw_only=True)
class Moved:
    """How far a top-up has come, and what is wrong with it."""

    stage: str
    contradictions: list[Contradiction] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)


def judge_top_up(
    top_up: TopUp,
    slot: Slot | None,
    movements: Sequence[Payment],
    *,
    target: str | None,
    sight: Sight | None,
) -> Moved:
    """What became of ``top_up``.

    Args:
        top_up: As on record.
        slot: Its slot.
        movements: What the transaction with the slot's nonce moved.
        target: Address of the wallet that it goes to.
        sight: How far the network was seen; None if it was not read, and then it is in no doubt by
            itself.
    """
    found = Moved(stage=top_up.state if slot is None else slot.state)
    what = f"the top-up or sweep of {top_up.amount} {top_up.asset} to {top_up.to_wallet}"

    def contradict(name: ContradictionName, text: str, moved: Payment | None = None) -> None:
        tx_hash = None if slot is None else slot.tx_hash
        block = None if slot is None else slot.block_number
        ids = ids_of(
            top_up=top_up.id,
            slot=top_up.slot_id,
            tx_hash=tx_hash if moved is None else moved.tx_hash,
            block=block if moved is None else moved.block_number,
        )
        place = {"network": top_up.network, "asset": top_up.asset}
        found.stage = "contradicted"
        found.contradictions.append(
            Contradiction(name=name, text=f"{what} {text}", amount=top_up.amount, ids=ids, **place)
        )

    if slot is None and top_up.slot_id is not None:
        contradict("slot-missing", f"is made by slot {top_up.slot_id}, which is not on record")
        return found
    if slot is None and top_up.state == "slotted":
        contradict("slot-missing", "is slotted, and has no slot on record")
        return found
    if slot is not None and slot.state == "final" and top_up.state != "posted":
        contradict("top-up-final-yet-open", f"is {top_up.state}, and its slot {slot.id} is final")
    if not movements:
        if top_up.state == "posted":
            found.stage = "not_seen"
            block = None if slot is None else slot.block_number
            if sight is None:
                return found
            if not sight.complete or (block or 0) > (sight.until or 0):
                text = f"{what} ({top_up.id}) is posted, its movement could not be seen"
                found.doubts.append(Doubt(comparison="top_ups", text=text))
            else:
                contradict("top-up-without-movement", "is posted, and no transaction moved it")
        return found
    first, *more = movements
    if (
        top_up.state != "posted"
        and not found.contradictions
        and (sight is None or sight.at_pin(first))
    ):
        found.stage = "not_posted"
    named = first.withdrawal or top_up.id
    wanted = (top_up.id, top_up.network, top_up.asset, top_up.amount, target)
    if more or (named, first.network, first.asset, first.amount, first.to) != wanted:
        moved = ", ".join(f"{each.amount} {each.asset} to {each.to}" for each in movements)
        contradict("top-up-differs", f"moved {moved}", first)
    return found


def moved_without_top_up(movement: Payment) -> Contradiction:
    """Money that left a wallet which pays nobody, for nothing that is on record."""
    return Contradiction(
        name="moved-without-top-up",
        text=f"{movement.amount} {movement.asset or 'of an unknown token'} left {movement.wallet}"
        f" to {movement.to}, and no top-up asks for it",
        network=movement.network,
        asset=movement.asset,
        amount=movement.amount,
        ids=ids_of(
            wallet=movement.wallet,
            nonce=movement.nonce,
            tx_hash=movement.tx_hash,
            block=movement.block_number,
        ),
    )
