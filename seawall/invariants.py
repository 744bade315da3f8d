"""What must hold of a venue's books and its chain at any moment, whatever has failed.

One list for every kind of test: the simulation looks after each block and each commit of weight,
tests on real parts and game days look at what they have read. Nothing here reads anything: the
:class:`Books` are plain values, and what a test cannot know it leaves empty.

    I1  the entries of each posting sum to zero per asset
    I2  nothing available is negative
    I3  no withdrawal is paid on the chain more than once, nor more than its amount; nor does a
        top-up move more than once
    I4  what is posted is paid at finality; once all is settled, the other way round as well
    I5  nothing that was given back is paid on the chain
    I6  a nonce is used for one intent; its bytes are those on record, before they are sent
    I7  the nonces of a lane have no gap and no double
    I8  what is reserved is resolved once
    I9  nothing is claimed or signed under an old epoch of mode or lane
    I10 no claim of a calm tier takes a float below its floor; floats are what the chain holds
    I11 what was acknowledged is on record
    I12 once all is healed, everything reaches a final state within its bound
    I13 what approvers have signed is carried out once at most, as they signed it, not before its
        delay and within the cap of its lane; what is posted of it is carried out at finality; once
        all is settled, the other way round as well
    I14 what is in escrow is what open bids have bid; each bid was taken there once, and left it
        once if it is not open any more
    I15 what left a network for another one comes there once at most, and as much; what is in
        transit in the ledger is what left and is not posted as having come
    I16 what is kept of a provider's statement is what it says, from its first line without a gap;
        once all is settled, to its last line
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest

OPEN_STATES = ("reserved", "slotted", "instructed", "unknown")


@dataclass(frozen=True, kw_only=True)
class Violation:
    """An invariant by its name, and what was seen instead."""

    invariant: str
    seen: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.seen}"


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """A withdrawal by the venue's records; ``destinations`` are all that it was ever to be paid to.

    ``amount`` is in base units. No two withdrawals of the books share a destination, so that the
    chain's payments can be told apart without the venue's own numbers.
    """

    state: str
    asset: str
    amount: int
    destinations: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Posting:
    """An event of the ledger: what it resolves or reserves, and its entries.

    ``amounts`` are (network, asset, amount in base units), one for each entry.
    """

    kind: str
    of: Hashable
    amounts: tuple[tuple[str, str, int], ...]

    @cached_property
    def sums(self) -> Mapping[tuple[str, str], int]:
        """By network and asset, all entries together: zero in a posting that is right."""
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for network, asset, amount in self.amounts:
            sums[network, asset] += amount
        return sums


@dataclass(frozen=True, kw_only=True)
class UsedNonce:
    """A nonce that the venue's records have given out; ``lane`` names it."""

    lane: str
    nonce: int
    state: str
    digest: bytes
    tx_hash: str | None


@dataclass(frozen=True, kw_only=True)
class Payment:
    """What a contract of the venue paid on the canonical chain; ``final`` at finality.

    Or what a provider of a rail has taken and not returned; ``final`` once it is settled.
    """

    destination: str
    asset: str
    amount: int
    final: bool


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A slot at the moment at which its claim committed, or a digest that a signer recorded.

    ``epochs`` it was made under, and ``in_force`` at that moment, each of the mode and of the lane.
    """

    what: str
    epochs: tuple[int, int]
    in_force: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """A transfer that a reserve made because approvers had signed it; times in seconds.

    ``window`` is that of its lane in which it was made, and ``cap`` the most of ``asset`` that may
    move by the lane in one. ``may_from_s`` is when its delay had passed.
    """

    approval: Hashable
    to: str
    asset: str
    amount: int
    at_s: int
    may_from_s: int
    window: Hashable
    cap: int
    final: bool


@dataclass(frozen=True, kw_only=True)
class Bid:
    """A bid by the venue's records: ``amount`` in base units of an asset on a network."""

    network: str
    asset: str
    amount: int
    state: str


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """What was to go from one network to another: ``left`` and ``came`` in base units, by chains.

    ``came`` are the payments on the second one, each for itself. ``posted_left`` and
    ``posted_came``: what the ledger has of both.
    """

    asset: str
    left: int
    came: tuple[int, ...]
    posted_left: int
    posted_came: int


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A provider's statement: the lines that were kept of it, and those that it has.

    A line is its number, the id that it is about, and the state that this has reached.
    """

    kept: tuple[tuple[int, str, str], ...]
    said: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Books:
    """One moment of a venue and its chain.

    Attributes:
        withdrawals: By id.
        postings: All of them.
        available: What may still be spent, by whatever has it.
        nonces: All that were given out.
        next_nonces: By lane.
        signed: The signer's own record: by lane and nonce, the digest and the hash of its bytes.
        sent: What nodes were offered: lane, nonce, digest of its intent, hash, and whether those
            very bytes were on record at that moment.
        payments: To addresses that are not the venue's own, by contracts and by providers of rails.
        moved: By asset: how many top-ups moved on the canonical chain, and how many were asked for.
        executions: What reserves did because approvers had signed it, on the canonical chain.
        approved: By approval: address, asset and amount that were asked for.
        transferred: Approvals of which a transfer is posted.
        crossings: What was to go from one network to another, by id.
        in_transit: By asset, what the ledger has in transit over all networks.
        claims: Since the beginning.
        below_floor: Claims of a calm tier that left a float below its floor, as sentences.
        floats: By wallet and asset: what the records say that it may still pay, and what is true.
            Only where nothing is under way.
        escrow: By network and asset: what the ledger owes in escrow, in base units.
        bids: By id.
        statements: By provider of a rail.
        acknowledged: Ids that were answered as accepted.
        late: What is not final although all is healed and its bound has passed.
        settled: Whether nothing is under way: no slot, no open withdrawal.
    """

    withdrawals: Mapping[Hashable, Withdrawal]
    postings: Sequence[Posting] = ()
    available: Mapping[Hashable, int] = field(default_factory=dict)
    nonces: Sequence[UsedNonce] = ()
    next_nonces: Mapping[str, int] = field(default_factory=dict)
    signed: Mapping[tuple[str, int], tuple[bytes, str | None]] = field(default_factory=dict)
    sent: Collection[tuple[str, int, bytes, str, bool]] = ()
    payments: Sequence[Payment] = ()
    moved: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    executions: Sequence[Execution] = ()
    approved: Mapping[Hashable, tuple[str, str, int]] = field(default_factory=dict)
    transferred: Collection[Hashable] = ()
    crossings: Mapping[Hashable, Crossing] = field(default_factory=dict)
    in_transit: Mapping[str, int] = field(default_factory=dict)
    claims: Sequence[Claim] = ()
    below_floor: Sequence[str] = ()
    floats: Mapping[Hashable, tuple[int, int]] = field(default_factory=dict)
    escrow: Mapping[tuple[str, str], int] = field(default_factory=dict)
    bids: Mapping[Hashable, Bid] = field(default_factory=dict)
    statements: Mapping[str, Statement] = field(default_factory=dict)
    acknowledged: Collection[Hashable] = ()
    late: Sequence[str] = ()
    settled: bool = False


def violations(books: Books) -> list[Violation]:
    """Everything that does not hold, in the order of the list above."""
    paid = _payments_by_withdrawal(books)
    checks = (
        ("I1", _sums(books)),
        ("I2", (f"{what} is {n}" for what, n in books.available.items() if n < 0)),
        ("I3", _paid_twice(books, paid)),
        ("I3", _moved_twice(books)),
        ("I4", _posted_and_paid(books, paid)),
        ("I5", _given_back_and_paid(books, paid)),
        ("I6", _one_use(books)),
        ("I7", _contiguous(books)),
        ("I8", _resolved_once(books)),
        ("I9", _old_epochs(books)),
        ("I10", books.below_floor),
        ("I10", _floats(books)),
        (
            "I11",
            (f"{each} vanished" for each in books.acknowledged if each not in books.withdrawals),
        ),
        ("I12", books.late),
        ("I13", _approved_alone(books)),
        ("I13", _transfers_posted(books)),
        ("I14", _escrow(books)),
        ("I15", _crossed_once(books)),
        ("I15", _in_transit(books)),
        ("I16", _as_stated(books)),
    )
    return [Violation(invariant=name, seen=seen) for name, found in checks for seen in found]


def _sums(books: Books) -> Iterator[str]:
    for posting in books.postings:
        if any(posting.sums.values()):
            yield f"{posting.kind} of {posting.of} sums to {dict(posting.sums)}"


_Paid = Mapping[Hashable, Sequence[Payment]]


def _payments_by_withdrawal(books: Books) -> _Paid:
    owners = {
        destination: each
        for each, withdrawal in books.withdrawals.items()
        for destination in withdrawal.destinations
    }
    found: dict[Hashable, list[Payment]] = defaultdict(list)
    for payment in books.payments:
        found[owners.get(payment.destination)].append(payment)
    return found


def _paid_twice(books: Books, paid: _Paid) -> Iterator[str]:
    for each, payments in paid.items():
        if each is None:
            yield f"{payments[0]} belongs to no withdrawal"
            continue
        withdrawal = books.withdrawals[each]
        if len(payments) > 1:
            yield f"{each} was paid {len(payments)} times"
        elif (payments[0].asset, payments[0].amount) != (withdrawal.asset, withdrawal.amount):
            yield f"{each} of {withdrawal.amount} {withdrawal.asset} was paid {payments[0]}"


def _moved_twice(books: Books) -> Iterator[str]:
    for asset, (moved, asked) in books.moved.items():
        if moved > asked:
            yield f"{moved} top-ups of {asset} moved, and {asked} were asked for"


def _posted_and_paid(books: Books, found: _Paid) -> Iterator[str]:
    paid = {each for each, payments in found.items() if each is not None and payments[0].final}
    posted = {each for each, of in books.withdrawals.items() if of.state == "posted"}
    yield from (f"{each} is posted, and not paid at finality" for each in posted - paid)
    if books.settled:
        yield from (f"{each} is paid, and not posted" for each in paid - posted)


def _given_back_and_paid(books: Books, paid: _Paid) -> Iterator[str]:
    for each, withdrawal in books.withdrawals.items():
        if withdrawal.state == "voided" and each in paid:
            yield f"{each} was given back, and is paid on the chain"


def _one_use(books: Books) -> Iterator[str]:
    uses: dict[tuple[str, int], set[bytes]] = defaultdict(set)
    for lane, nonce, digest, tx_hash, on_record in books.sent:
        uses[lane, nonce].add(digest)
        if not on_record:
            yield f"{tx_hash} of nonce {nonce} of {lane} was sent before its bytes were on record"
    for used in books.nonces:
        key = (used.lane, used.nonce)
        uses[key].add(used.digest)
        if used.tx_hash is None:
            continue
        log = books.signed.get(key)
        if log is None or log[1] != used.tx_hash:
            yield f"nonce {used.nonce} of {used.lane} has other bytes than the signer has kept"
    for key, (digest, _) in books.signed.items():
        uses[key].add(digest)
    yield from (
        f"nonce {nonce} of {lane} has {len(digests)} uses"
        for (lane, nonce), digests in uses.items()
        if len(digests) > 1
    )


def _contiguous(books: Books) -> Iterator[str]:
    by_lane: dict[str, list[int]] = defaultdict(list)
    for used in books.nonces:
        by_lane[used.lane].append(used.nonce)
    for lane, upcoming in books.next_nonces.items():
        if sorted(by_lane[lane]) != list(range(upcoming)):
            yield f"{lane} is at nonce {upcoming} and has used {sorted(by_lane[lane])}"


def _resolved_once(books: Books) -> Iterator[str]:
    kinds = {"post": "resolved", "void": "resolved", "settle": "ended", "refund": "ended"}
    counts = Counter((kinds.get(each.kind, each.kind), each.of) for each in books.postings)
    for (kind, of), count in counts.items():
        if count > 1 and kind != "fund":
            yield f"{of} was {kind} {count} times"
    for each, withdrawal in books.withdrawals.items():
        resolved = counts.get(("resolved", each), 0)
        if counts and resolved != (withdrawal.state in ("posted", "voided")):
            yield f"{each} is {withdrawal.state}, and has {resolved} postings that resolve it"


def _old_epochs(books: Books) -> Iterator[str]:
    for claim in books.claims:
        if claim.epochs != claim.in_force:
            yield (
                f"{claim.what} under epochs {claim.epochs} of mode and lane,"
                f" when {claim.in_force} were in force"
            )


def _floats(books: Books) -> Iterable[str]:
    for what, (said, true) in books.floats.items():
        if said != true:
            yield f"{what} may pay {said} by the records, and {true} in truth"


def _approved_alone(books: Books) -> Iterator[str]:
    counts = Counter(each.approval for each in books.executions)
    yield from (f"approval {each} was carried out {n} times" for each, n in counts.items() if n > 1)
    moved: Counter[tuple[Hashable, str, int]] = Counter()
    for each in books.executions:
        moved[each.window, each.asset, each.cap] += each.amount
        if books.approved.get(each.approval) != (each.to, each.asset, each.amount):
            yield f"approval {each.approval} was carried out as something else: {each}"
        if each.at_s < each.may_from_s:
            yield f"approval {each.approval} was carried out at {each.at_s}, before its delay"
    for (window, asset, cap), amount in moved.items():
        if amount > cap:
            yield f"{amount} {asset} moved by approvals in window {window}, and {cap} may"


def _transfers_posted(books: Books) -> Iterator[str]:
    done = {each.approval for each in books.executions if each.final}
    posted = set(books.transferred)
    yield from (
        f"the transfer of approval {each} is posted, and not made" for each in posted - done
    )
    if books.settled:
        yield from (f"approval {each} is carried out, and not posted" for each in done - posted)


def _escrow(books: Books) -> Iterator[str]:
    open_bids: Counter[tuple[str, str]] = Counter()
    for bid in books.bids.values():
        if bid.state == "open":
            open_bids[bid.network, bid.asset] += bid.amount
    for place in sorted(open_bids.keys() | books.escrow.keys()):
        owed, (network, asset) = books.escrow.get(place, 0), place
        if owed != open_bids[place]:
            bid_for = open_bids[place]
            yield f"{owed} {asset} of {network} are in escrow, and open bids have {bid_for}"
    posted = {(each.kind, each.of) for each in books.postings} if books.bids else set()
    ends: dict[str, set[str]] = {"open": set(), "settled": {"settle"}, "refunded": {"refund"}}
    for each, bid in books.bids.items():
        found = {kind for kind in ("bid", "settle", "refund") if (kind, each) in posted}
        if books.postings and found != {"bid"} | ends[bid.state]:
            yield f"bid {each} is {bid.state}, and its postings are {sorted(found)}"


def _crossed_once(books: Books) -> Iterator[str]:
    for each, crossing in books.crossings.items():
        if len(crossing.came) > 1 or sum(crossing.came) not in (0, crossing.left):
            yield f"{crossing.left} {crossing.asset} of {each} left, and {crossing.came} came"
        if crossing.posted_left > crossing.left or crossing.posted_came > sum(crossing.came):
            yield f"more of {each} is posted than has moved: {crossing}"
        if books.settled and crossing.posted_came != crossing.posted_left:
            yield f"{each} is settled, and in transit: {crossing}"


def _in_transit(books: Books) -> Iterator[str]:
    between: Counter[str] = Counter()
    for crossing in books.crossings.values():
        between[crossing.asset] += crossing.posted_left - crossing.posted_came
    for asset in sorted(between.keys() | books.in_transit.keys()):
        if between[asset] != books.in_transit.get(asset, 0):
            yield (
                f"{books.in_transit.get(asset, 0)} {asset} are in transit in the ledger, and"
                f" {between[asset]} by what left and came"
            )


def _as_stated(books: Books) -> Iterator[str]:
    for provider, statement in books.statements.items():
        kept, said = statement.kept, statement.said
        if kept != said[: len(kept)]:
            wrong = next(each for each in zip_longest(kept, said) if each[0] != each[1])
            yield f"of {provider}, line {wrong[0]} is kept, and it says {wrong[1]}"
        elif books.settled and kept != said:
            yield f"{len(kept)} lines of {provider} are kept, and it has {len(said)}"
