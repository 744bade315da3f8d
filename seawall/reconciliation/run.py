"""One reconciliation: gather, explain each withdrawal and each wallet, and say what is proven."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from seawall.conventions.evidence import Port
from seawall.formats.deployment import Deployment
from seawall.policy import Policy
from seawall.reconciliation import approvals, books, cold, escrow, payouts
from seawall.reconciliation.books import Lane, Moved, Movements, Posted, Wallet
from seawall.reconciliation.contradictions import (
    COMPARISONS,
    Comparison,
    Contradiction,
    ContradictionName,
    Doubt,
    Notice,
    NoticeName,
    ids_of,
)
from seawall.reconciliation.facts import (
    CARRIER,
    IN_TRANSIT,
    Approval,
    ColdTransfer,
    Execution,
    Holding,
    Payment,
    Place,
    Rebalance,
)
from seawall.reconciliation.payouts import OPEN, Case, Explained, Line, Stage
from seawall.reconciliation.result import ComparisonLine, Reconciliation, Total
from seawall.reconciliation.sources import Gathered, Gathering, new_spool
from seawall.reconciliation.spool import Spool
from seawall.scorecard.outcome import Outcome

NEEDS: dict[Comparison, tuple[Port, ...]] = {
    "payouts": ("withdrawals", "payouts"),
    "slots": ("withdrawals", "payouts", "numbered_payouts", "signatures"),
    "signatures": ("signatures",),
    "nonces": ("signatures", "numbered_payouts"),
    "top_ups": ("top_ups", "signatures", "balances"),
    "approvals": ("top_ups", "signatures", "balances"),
    "holdings": ("withdrawals", "payouts", "top_ups", "signatures", "balances", "ledger"),
    "reservations": ("withdrawals", "ledger"),
    "postings": ("withdrawals", "top_ups", "signatures", "balances", "surpluses", "ledger"),
    "ledger": ("ledger",),
}
"""By comparison: the kinds of evidence without which it is not claimed."""
_USES: dict[Comparison, tuple[Port, ...]] = {"holdings": ("surpluses",)}
"""By comparison: what it uses where it is offered."""
_OF_NETWORKS: frozenset[Comparison] = frozenset(
    {"payouts", "slots", "nonces", "top_ups", "approvals", "holdings"}
)
"""What is not proven as long as a network is dark."""
_ByStage = dict[Place, dict[str, Total]]
_NOTED: dict[Stage, NoticeName] = {
    Stage.HELD: "held",
    Stage.FAILED: "failed",
    Stage.NOT_POSTED: "not-posted",
}
_NOTHING = "there was nothing to compare"


def reconcile(
    deployment: Deployment, policy: Policy, *, report: Callable[[str], None]
) -> Reconciliation:
    """Explain the venue's money from a cold start.

    Args:
        deployment: Says where records and networks are read.
        policy: Names wallets, networks and assets.
        report: Gets lines for people while it works.

    Raises :class:`UsageError` for a deployment file that makes no sense, and
    :class:`EvidenceError` for records that contradict themselves.
    """
    with tempfile.TemporaryDirectory(prefix="seawall-reconcile-") as name:
        folder = Path(name)
        spool = new_spool(folder)
        try:
            gathered = Gathering(
                deployment, policy, spool=spool, folder=folder, report=report
            ).gather()
            report("explaining")
            return _Explaining(deployment, policy, gathered, spool).explained()
        finally:
            spool.close()


class _Explaining:
    """Goes through the facts once, and adds up."""

    def __init__(
        self, deployment: Deployment, policy: Policy, gathered: Gathered, spool: Spool
    ) -> None:
        self._policy, self._gathered, self._spool = policy, gathered, spool
        self._networks = deployment.networks
        self._balances_are_pinned = "balances" not in deployment.evidence
        self._found = Reconciliation(
            stack=deployment.stack,
            read_at=gathered.read_at,
            pins=gathered.pins,
            sights=gathered.sights,
        )
        self._checked: Counter[Comparison] = Counter()
        self._wrong: dict[Comparison, str] = {}
        self._doubtful: dict[Comparison, str] = {}
        self._movements = Movements()
        self._posted = Posted()
        self._executed: list[Approval] = []
        self._arrived: list[ColdTransfer] = []
        self._carried: list[Rebalance] = []
        self._between: Counter[str] = Counter()
        self._open: Counter[Place] = Counter()
        self._newer: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._payer_of = {
            wallet.network: name for name, wallet in reversed(policy.payout_wallets().items())
        }
        self._wallet_at = {
            (network, address): wallet
            for network, each in deployment.networks.items()
            if each.payouts is not None
            for wallet, address in each.payouts.wallets.items()
        }

    def explained(self) -> Reconciliation:
        """The whole of it."""
        self._spool.tell_sweeps()
        if self._gathered.has("withdrawals"):
            self._payouts()
        if self._claimed("signatures"):
            self._signatures()
        if self._claimed("nonces"):
            self._nonces()
        if self._claimed("top_ups"):
            self._top_ups()
            self._cold_transfers()
            self._rebalances()
        if self._claimed("approvals"):
            self._approvals()
        self._books()
        self._dark()
        self._unnamed()
        for network, count in sorted(self._newer.items()):
            many = "payment" if count == 1 else "payments"
            text = (
                f"{count} {many} on {network} {'is' if count == 1 else 'are'} too new to be judged"
            )
            self._note("newer", text, network)
        self._found.comparisons = [self._comparison(name) for name in COMPARISONS]
        return self._found

    # --- withdrawals and payments
    def _payouts(self) -> None:
        sights, slots = self._gathered.sights, self._claimed("slots")
        self._find(map(payouts.number_used_twice, self._spool.numbers_twice()))
        for case in self._spool.cases():
            self._count(case)
            explained = payouts.explain(case, sights, slots=slots)
            self._add(explained)
            self._checked["payouts"] += len(explained.lines) or len(case.seen)
            self._checked["slots"] += explained.by_slot

    def _count(self, case: Case) -> None:
        for each in case.seen:
            paid = each.payment
            sight = self._gathered.sights[paid.network]
            if paid.wallet is not None and sight.at_pin(paid):
                self._movements.seen[paid.wallet, paid.asset] += paid.amount

    def _add(self, explained: Explained) -> None:
        self._find(explained.contradictions)
        self._doubt(explained.doubts)
        self._newer.update(explained.newer)
        for line in explained.lines:
            self._line(line)

    def _line(self, line: Line) -> None:
        asked, slot = line.recorded.withdrawal, line.recorded.slot
        place = (asked.network, asked.asset)
        self._found.stages.setdefault(place, {}).setdefault(line.stage, Total()).add(asked.amount)
        self._posted.reserved[place] += asked.amount
        if asked.state in OPEN:
            self._open[place] += asked.amount
        elif asked.state == "voided":
            self._posted.voided[place] += asked.amount
        else:
            self._posted.paid[place] += asked.amount
            payer = self._payer(line)
            if payer is not None:
                self._movements.posted[payer, asked.asset] += asked.amount
        if asked.network not in self._gathered.sights:
            self._unread[asked.network] += 1
        notice = _NOTED.get(line.stage)
        if notice is not None:
            paid = line.payment
            tx_hash, block = (None, None) if slot is None else (slot.tx_hash, slot.block_number)
            text = f"{asked.amount} {asked.asset} to {asked.destination} on {asked.network}"
            self._note(
                notice,
                f"{text}: {asked.reason or payouts.STAGES[line.stage]}",
                asked.network,
                asset=asked.asset,
                amount=asked.amount,
                withdrawal=asked.id,
                seq=asked.seq,
                slot=asked.slot_id,
                tx_hash=tx_hash if paid is None else paid.tx_hash,
                block=block if paid is None else paid.block_number,
            )

    def _payer(self, line: Line) -> str | None:
        """The wallet that paid, or else the one that pays on that network."""
        paid, asked = line.payment, line.recorded.withdrawal
        if paid is not None and paid.network == asked.network and paid.wallet is not None:
            return paid.wallet
        return self._payer_of.get(asked.network)

    # --- signatures and nonces
    def _signatures(self) -> None:
        for network, signature, slot in self._spool.all_signatures():
            self._checked["signatures"] += 1
            wrong = books.judge_signature(signature, network, slot)
            self._find([] if wrong is None else [wrong])
        self._find(map(books.past_the_signer, self._spool.unlogged()))
        twice: tuple[tuple[ContradictionName, Iterator[tuple[str, str, int, int]], str], ...] = (
            ("nonce-used-twice", self._spool.slots_twice(), "is of {count} slots"),
            ("signed-twice", self._spool.signed_twice(), "is logged {count} times as signed"),
        )
        for name, found, what in twice:
            for network, address, nonce, count in found:
                text = f"nonce {nonce} of {address} on {network} {what.format(count=count)}"
                ids = ids_of(nonce=nonce)
                self._find([Contradiction(name=name, text=text, network=network, ids=ids)])

    def _nonces(self) -> None:
        for (network, wallet), sent in sorted(self._gathered.sent.items()):
            declared = self._networks[network].payouts
            if network not in self._gathered.sights or declared is None:
                continue
            address = declared.signers[wallet]
            first, recorded = self._spool.lane(network, address, sent)
            lane = Lane(
                network=network,
                wallet=wallet,
                address=address,
                sent=sent,
                first=first,
                recorded=recorded,
            )
            self._checked["nonces"] += 1
            wrong = books.judge_lane(lane)
            if isinstance(wrong, Contradiction):
                self._find([wrong])
            elif wrong is not None:
                self._doubt([wrong])

    # --- top-ups
    def _top_ups(self) -> None:
        for top_up, slot, movements in self._spool.all_top_ups():
            declared = self._networks.get(top_up.network)
            payout = None if declared is None else declared.payouts
            sight = self._gathered.sights.get(top_up.network)
            moved = books.judge_top_up(
                top_up,
                slot,
                movements,
                target=None if payout is None else payout.wallets.get(top_up.to_wallet),
                sight=sight,
            )
            place = (top_up.network, top_up.asset)
            self._judged("top_ups", moved, self._found.top_ups, place, top_up.amount)
            if top_up.state == "posted":
                swept = self._policy.wallets[top_up.to_wallet].wallet_class == "reserve"
                source = top_up.from_wallet or self._source(top_up.to_wallet, swept=swept)
                side = self._posted.swept if swept else self._posted.topped_up
                side[place] += top_up.amount
                books.move(
                    self._movements.posted,
                    source,
                    top_up.to_wallet,
                    top_up.asset,
                    amount=top_up.amount,
                )
            for movement in movements:
                self._moved(movement)
        for movement in self._spool.unasked():
            self._checked["top_ups"] += 1
            sight = self._gathered.sights[movement.network]
            if sight.at_pin(movement):
                self._find([books.moved_without_top_up(movement)])
                self._moved(movement)
            else:
                self._newer[movement.network] += 1

    def _cold_transfers(self) -> None:
        for transfer, movements in self._spool.all_cold_transfers():
            sight = self._gathered.sights.get(transfer.network)
            judged = cold.judge_cold(transfer, movements, sight=sight)
            place = (transfer.network, transfer.asset)
            self._judged("top_ups", judged, self._found.top_ups, place, transfer.amount)
            wallets, posted = (transfer.from_wallet, transfer.to_wallet), self._movements.posted
            if transfer.state == "arrived":
                self._arrived.append(transfer)
                books.move(posted, *wallets, transfer.asset, amount=transfer.amount)
            for movement in movements:
                self._moved(movement)
                if transfer.state == "resolved" and movement.asset is not None:
                    # Booked as from outside, and identified: the ledger has it on both sides.
                    books.move(posted, *wallets, movement.asset, amount=movement.amount)

    def _rebalances(self) -> None:
        for rebalance, movements in self._spool.all_rebalances():
            sight = self._gathered.sights.get(rebalance.network)
            judged = cold.judge_rebalance(rebalance, movements, sight=sight)
            place = (rebalance.network, rebalance.asset)
            self._judged("top_ups", judged, self._found.top_ups, place, rebalance.amount)
            sides, posted = (CARRIER, rebalance.to_wallet, rebalance.asset), self._movements.posted
            if rebalance.state == "arrived":
                self._carried.append(rebalance)
                books.move(posted, *sides, amount=rebalance.amount)
            elif rebalance.left:
                self._between[rebalance.asset] += rebalance.amount
                self._found.notices.add(cold.in_transit(rebalance))
            for movement in movements:
                self._moved(movement)
                if rebalance.state == "resolved":  # booked as from outside, and identified
                    books.move(posted, *sides, amount=movement.amount)

    def _source(self, to: str, *, swept: bool) -> str:
        """Where what came into the wallet ``to`` came from, if the records do not say."""
        return (self._policy.refilled_by(to) or to) if swept else self._policy.reserve_of(to)

    def _moved(self, movement: Payment | Execution) -> None:
        sight = self._gathered.sights[movement.network]
        if movement.wallet is None or movement.asset is None or not sight.at_pin(movement):
            return
        self._movements.seen[movement.wallet, movement.asset] += movement.amount
        target = self._wallet_at.get((movement.network, movement.to))
        if target is not None:
            self._movements.seen[target, movement.asset] -= movement.amount

    # --- what approvers have signed
    def _approvals(self) -> None:
        for approval, slot, executions in self._spool.all_approvals():
            sight = self._gathered.sights.get(approval.network)
            judged = approvals.judge_approval(approval, slot, executions, sight=sight)
            place = (approval.network, approval.asset or "")
            self._judged("approvals", judged, self._found.approvals, place, approval.amount)
            if approval.state == "executed":
                self._executed.append(approval)
                if approval.asset is not None:
                    to = CARRIER if approval.to_class == IN_TRANSIT else approval.to_wallet
                    sides = (approval.from_wallet, to, approval.asset)
                    books.move(self._movements.posted, *sides, amount=approval.amount)
            for done, _ in executions:
                self._moved(done)
        for done, slot in self._spool.unapproved():
            self._checked["approvals"] += 1
            if self._gathered.sights[done.network].at_pin(done):
                self._find([approvals.executed_without_approval(done, slot)])
                self._moved(done)
            else:
                self._newer[done.network] += 1

    def _judged(
        self, comparison: Comparison, judged: Moved, found: _ByStage, place: Place, amount: int
    ) -> None:
        """Count a row that was judged, and what was found of it by its stage."""
        self._checked[comparison] += 1
        self._find(judged.contradictions)
        self._doubt(judged.doubts)
        found.setdefault(place, {}).setdefault(judged.stage, Total()).add(amount)

    # --- books
    def _books(self) -> None:
        gathered = self._gathered
        if gathered.ledger is None:
            return
        if self._claimed("ledger"):
            faults = gathered.faults
            self._checked["ledger"] = len(gathered.ledger)
            self._find(
                books.judge_ledger(
                    gathered.ledger,
                    unbalanced=0 if faults is None else faults.unbalanced_postings,
                    mismatched=0 if faults is None else faults.balance_mismatches,
                    negative=0 if faults is None else faults.negative_balances,
                )
            )
        if self._claimed("reservations"):
            self._checked["reservations"] = sum(line.kind == "reserved" for line in gathered.ledger)
            self._find(books.judge_reservations(gathered.ledger, self._open))
            self._find(escrow.judge_escrow(gathered.ledger, gathered.bids))
            self._doubt(escrow.unexplained_escrow(gathered.ledger, gathered.bids))
        booked = self._surpluses()
        if self._claimed("postings"):
            assert gathered.postings is not None
            self._checked["postings"] = len(gathered.postings)
            self._find(books.judge_postings(gathered.postings, gathered.ledger, self._posted))
            wallets = self._policy.wallets
            self._find(approvals.judge_transfers(gathered.postings, self._executed, wallets))
            self._find(cold.judge_cold_postings(gathered.postings, self._arrived, wallets))
            self._find(escrow.judge_bid_postings(gathered.postings, gathered.bids))
            self._find(cold.judge_rebalance_postings(gathered.postings, self._carried, wallets))
            self._find(cold.judge_transit(gathered.postings, gathered.ledger, self._between))
        if self._claimed("holdings"):
            self._holdings(booked)

    def _surpluses(self) -> Counter[Place]:
        """What was booked up to the pinned blocks."""
        booked: Counter[Place] = Counter()
        for surplus in self._gathered.surpluses:
            network = self._policy.wallets[surplus.wallet].network
            self._posted.surpluses[network, surplus.asset] += surplus.amount
            pin = self._gathered.pins.get(network)
            if pin is not None and surplus.block_number > pin.number:
                holding: Holding = (surplus.wallet, surplus.asset)
                self._movements.booked_later[holding] += surplus.amount
            else:
                booked[network, surplus.asset] += surplus.amount
        return booked

    def _holdings(self, booked: Counter[Place]) -> None:
        found, gathered = self._found, self._gathered
        assert gathered.ledger is not None
        wallets = self._wallets()
        found.wallets = books.wallet_lines(
            gathered.ledger, wallets=wallets, on_chain=gathered.on_chain, movements=self._movements
        )
        unread = books.unread_holdings(gathered.ledger, wallets=wallets, on_chain=gathered.on_chain)
        self._doubt(
            Doubt(
                comparison="holdings",
                text=f"what {wallet.name} holds of {asset} on {wallet.network} was not read:"
                f" networks.{wallet.network}.payouts of the deployment file does not name the"
                " wallet, or the token",
            )
            for wallet, asset in unread
        )
        self._checked["holdings"] = len(found.wallets)
        for line in found.wallets:
            wrong = books.judge_wallet(line, gathered.pins[line.network].number)
            self._find([] if wrong is None else [wrong])
            if not line.listed and line.on_chain:
                self._note(
                    "unlisted-asset",
                    f"{line.wallet} holds {line.on_chain} {line.asset} on {line.network}",
                    line.network,
                    asset=line.asset,
                    amount=line.on_chain,
                    wallet=line.wallet,
                )
        found.assets = books.asset_lines(
            found.wallets,
            gathered.postings if self._claimed("postings") else None,
            movements=self._movements,
            surpluses=booked,
            unread={(wallet.network, asset) for wallet, asset in unread},
        )

    def _wallets(self) -> Sequence[Wallet]:
        """Wallets of the policy on networks that were read."""
        return [
            Wallet(
                name=name,
                bucket=wallet.bucket,
                network=wallet.network,
                kind=wallet.wallet_class,
                assets=frozenset(wallet.holdings),
            )
            for name, wallet in self._policy.wallets.items()
            if wallet.network in self._gathered.sights
        ]

    # --- what is proven
    def _dark(self) -> None:
        """Networks that were not read leave everything open that is read from them."""
        dark = dict(self._gathered.dark)
        if self._gathered.has("payouts"):
            for network in self._places() - self._gathered.sights.keys():
                dark.setdefault(network, "the deployment file does not say where it is paid")
        for network, reason in sorted(dark.items()):
            count = self._unread[network]
            text = f"{network} was not read, {count} withdrawals of it were not compared: {reason}"
            self._doubt(
                Doubt(comparison=comparison, text=text)
                for comparison in COMPARISONS
                if comparison in _OF_NETWORKS and self._unclaimed(comparison) is None
            )

    def _places(self) -> set[str]:
        """Networks on which the policy has wallets, the ledger money, or withdrawals are paid."""
        booked = {
            line.network
            for line in self._gathered.ledger or ()
            if line.kind in books.HELD_KINDS and line.balance
        }
        return booked | {each.network for each in self._policy.wallets.values()} | {*self._unread}

    def _unnamed(self) -> None:
        """Wallets that the deployment file leaves out may have paid, moved and sent anything."""
        pays, signs = self._policy.payout_wallets(), self._policy.signing_wallets()
        for name, wallet in self._policy.wallets.items():
            site = self._networks.get(wallet.network)
            if wallet.network not in self._gathered.sights or site is None or not site.payouts:
                continue
            named = site.payouts
            lacking: list[tuple[str, tuple[Comparison, ...], str]] = []
            if name in pays and name not in named.contracts:
                lacking.append(("contracts", ("payouts", "slots"), "pays"))
            if name in signs and name not in named.signers:
                lacking.append(("signers", ("nonces",), "has sent"))
            holds = name in named.wallets or name in named.contracts
            if wallet.wallet_class == "reserve" and not holds:
                lacking.append(("wallets", ("top_ups", "approvals"), "moves"))
            for where, comparisons, does in lacking:
                text = (
                    f"what {name} {does} was not read: networks.{wallet.network}.payouts.{where} of"
                    " the deployment file does not name it"
                )
                self._doubt(
                    Doubt(comparison=comparison, text=text)
                    for comparison in comparisons
                    if self._unclaimed(comparison) is None
                )

    def _claimed(self, comparison: Comparison) -> bool:
        """Whether everything that ``comparison`` needs was read."""
        return self._unclaimed(comparison) is None and not self._unread_of(comparison)

    def _unread_of(self, comparison: Comparison) -> list[str]:
        missing = self._gathered.missing
        return [
            f"{port} could not be read: {missing[port]}"
            for port in (*NEEDS[comparison], *_USES.get(comparison, ()))
            if port in missing
        ]

    def _unclaimed(self, comparison: Comparison) -> str | None:
        """What the venue does not offer and ``comparison`` needs; None where it offers all."""
        lacking: list[str] = [
            each for each in NEEDS[comparison] if each not in self._gathered.offers
        ]
        if "balances" in NEEDS[comparison] and not self._balances_are_pinned:
            lacking.append("balances at one block")
        if comparison == "postings" and not lacking and self._gathered.has("ledger"):
            lacking += [] if self._gathered.postings is not None else ["the ledger by posting"]
        return ", ".join(lacking) or None

    def _comparison(self, name: Comparison) -> ComparisonLine:
        lacking = self._unclaimed(name)
        checked = self._checked[name]
        unread = self._unread_of(name)
        outcome: Outcome | None = None
        if lacking is not None:
            reason = f"needs {lacking}"
        elif name in self._wrong:
            outcome, reason = Outcome.FAIL, self._wrong[name]
        elif unread or name in self._doubtful:
            outcome, reason = Outcome.UNKNOWN, unread[0] if unread else self._doubtful[name]
        elif not checked:
            reason = _NOTHING
        else:
            outcome, reason = Outcome.PASS, ""
        return ComparisonLine(
            name=name, claimed=lacking is None, outcome=outcome, checked=checked, reason=reason
        )

    def _find(self, contradictions: Iterable[Contradiction]) -> None:
        for each in contradictions:
            self._wrong.setdefault(each.comparison, each.text)
            self._found.contradictions.add(each)

    def _doubt(self, doubts: Iterable[Doubt]) -> None:
        for each in doubts:
            self._doubtful.setdefault(each.comparison, each.text)
            self._found.doubts.add(each)

    def _note(
        self,
        name: NoticeName,
        text: str,
        network: str | None,
        *,
        asset: str | None = None,
        amount: int | None = None,
        **ids: str | int | None,
    ) -> None:
        notice = Notice(
            name=name, text=text, network=network, asset=asset, amount=amount, ids=ids_of(**ids)
        )
        self._found.notices.add(notice)
