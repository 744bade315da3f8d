"""Writes a small but complete run directory of a drill that went well.

Every file and observer is there, and all numbers are consistent. The model of a venue is simple:
batches commit ten times a second, each lane claims once a second, blocks come every second and are
final two seconds later. Seconds below count from the flood's zero.
"""

from __future__ import annotations

import csv
import json
import uuid
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

from seawall import indicators
from seawall.drill.earlier import COLUMNS
from seawall.evidence import statements
from seawall.evidence.chain import UNSEEN_COLUMNS
from seawall.policy import Policy
from seawall.policy_file import load_policy
from seawall.scorecard import digests
from seawall.scorecard.rail_rows import Instruction
from tests.testing.scorecard.aws_log import log_signatures
from tests.testing.scorecard.looking import look
from tests.testing.scorecard.observers import documents, observe
from tests.testing.scorecard.story import (
    APPLIED,
    CALM_S,
    DRILL,
    ENDS,
    FAILED_OVER,
    NATIVE,
    NORMAL,
    PAYOUT_LANES,
    ROOT,
    RUN_ENDS,
    RUN_S,
    STARTS,
    TOP_UPS_PER_POOL,
    UNSTRESSED,
    ZERO,
    Row,
    Story,
    add_probe,
    address_of,
    at,
    decisions,
    region_at,
    tier_at,
)

POLICY = ROOT / "policies" / "sandbox.yaml"
EMPTY = {
    "chain/failed": ["network", "seq", "tx_hash", "block_number"],
    "chain/unseen": list(UNSEEN_COLUMNS),
    "rails/statements": list(statements.COLUMNS),
    "records/instructions": [field.name for field in fields(Instruction)],
}
"""By table that may have no rows: its columns."""
EARLIER = ("first", "aster", "USDX", "0x" + "e1" * 20, 1_000_000, 1, 0)
"""The run is the second of its game day; the first asked for a payout that was never seen."""
SENT_BEFORE = 2
"""Of transactions that no payout lane has sent: they are older than the venue."""
COUNTED = ("offered_per_s", "payouts")
"""What the smallest size of a drill counts in requests."""


def write_run(directory: Path, *, thinned: int = 1) -> Path:
    """Write the run of a PASS into ``directory``.

    ``thinned``: how many requests one stands for. The same value is then requested by so many fewer
    requests, and the policy asks for as much fewer of them and of payouts: every check has the same
    to judge in a fraction of the rows.
    """
    story = Story(policy=_asking(load_policy(POLICY), thinned=thinned))
    _arrive(story, thinned)
    look(story)
    _flow_and_flips(story)
    _pay(story)
    _follow(story)
    _top_up(story)
    _balance(story)
    _receive(story)
    _order(story)
    _count(story)
    story.tables["records/journal"] = decisions(
        flips=[(row["epoch"], row["tier"]) for row in story.table("records/mode_log")],
        top_ups=[
            {
                "topup": row["id"],
                "amount": str(row["amount"]),
                "asset": row["asset"],
                "to": row["to_wallet"],
            }
            for row in story.table("records/topups")
        ],
        surpluses=[
            {
                "amount": str(row["amount"]),
                "asset": row["asset"],
                "wallet": row["wallet"],
                "block": row["block_number"],
            }
            for row in story.table("records/surpluses")
        ],
        orders=story.table("records/orders"),
    )
    story.tables["earlier"] = [dict(zip(COLUMNS, EARLIER, strict=True))]
    observe(story)
    log_signatures(story)
    _write(story, directory)
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    (directory / "manifest.json").write_text(
        json.dumps(manifest | {"files": digests(directory)}), encoding="utf-8"
    )
    return directory


def _asking(policy: Policy, *, thinned: int) -> Policy:
    """``policy`` with what the drill counts divided by ``thinned``: its rate and its payouts."""
    drill = policy.drills[DRILL]
    counted = {name: getattr(drill.smallest, name) // thinned for name in COUNTED}
    smallest = drill.smallest.model_copy(update=counted)
    drills = {**policy.drills, DRILL: drill.model_copy(update={"smallest": smallest})}
    return policy.model_copy(update={"drills": drills})


def _arrive(story: Story, thinned: int) -> None:
    pools = [
        (name, asset) for name, network in story.policy.networks.items() for asset in network.assets
    ]
    small_max = story.policy.small_value_micro_max()
    in_calm, in_run = 300 // thinned, 10_750 // thinned
    planned = [(CALM_S * n / in_calm, "calm") for n in range(in_calm)] + [
        (CALM_S + RUN_S * n / in_run, "run") for n in range(in_run)
    ]
    retries: list[tuple[float, Row]] = []
    for offset, phase in planned:
        network, asset = pools[len(story.table("arrivals")) % len(pools)]
        large = phase == "run" and (offset < CALM_S + 2 or story.random.random() < 0.05)
        value = thinned * (8_000_000_000 if large and story.random.random() < 0.5 else 150_000_000)
        declared = story.policy.assets[asset]
        amount = int(
            Fraction(value, 1_000_000) / Fraction(declared.reference_price) * 10**declared.decimals
        )
        row: Row = {
            "offset_s": f"{offset:.6f}",
            "phase": phase,
            "attempt": 1,
            "id": str(uuid.UUID(int=story.random.getrandbits(128))),
            "customer_id": 10 + len(story.table("arrivals")) % 4000,
            "network": network,
            "asset": asset,
            "amount": amount,
            "value_micro": value,
            "size": "small" if value <= small_max else "large",
            "destination": f"0x{story.random.getrandbits(160):040x}",
        }
        story.table("arrivals").append(row)
        if phase == "run" and offset < RUN_ENDS - 3 and story.random.random() < 0.02:
            retries.append((offset + 2, row))
    for offset, row in retries:
        story.table("arrivals").append({**row, "offset_s": f"{offset:.6f}", "attempt": 2})
    for index, row in enumerate(story.table("arrivals")):
        row["index"] = index
        offset = float(row["offset_s"])
        done = _commit(offset) + 0.004
        story.table("requests").append(
            {
                "index": index,
                "planned_at": at(offset),
                "sent_at": at(offset + 0.001),
                "done_at": at(done),
                "latency_ms": f"{(done - offset) * 1000:.3f}",
                "status": 202,
                "outcome": "accepted" if row["attempt"] == 1 else "replayed",
                "error": "",
                "worker": index % 2,
            }
        )
        if row["attempt"] == 1:
            _reserve(story, row, offset)
    for second in range(int(STARTS), int(ENDS) - 6):
        declared = story.policy.assets["USDX"]
        probe = {
            "id": str(uuid.UUID(int=story.random.getrandbits(128))),
            "customer_id": 1,
            "network": "aster",
            "asset": "USDX",
            "amount": 10**declared.decimals,
            "value_micro": 1_000_000,
            "size": "small",
            "destination": "0x" + "ab" * 20,
        }
        _reserve(story, probe, second + 0.5)
        asked = {key: probe[key] for key in ("id", "network", "asset", "amount", "destination")}
        add_probe(story, second + 0.5, "small_withdrawal", **asked)


def _commit(offset: float) -> float:
    return (int(offset * 10) + 1) / 10 + 0.005


def _reserve(story: Story, row: Row, offset: float) -> None:
    keys = ("id", "customer_id", "network", "asset", "amount", "value_micro", "size", "destination")
    story.table("records/withdrawals").append(
        {key: row[key] for key in keys}
        | {
            "source_network": row["network"],
            "reserved": _commit(offset),
            "requested_at": at(offset),
            "reason": "",
            "slot_id": "",
        }
    )


def _flow_and_flips(story: Story) -> None:
    withdrawals = story.table("records/withdrawals")
    withdrawals.sort(key=lambda row: row["reserved"])
    batches: dict[float, list[Row]] = {}
    for seq, row in enumerate(withdrawals, start=1):
        row["seq"] = seq
        row["reserved_at"] = at(row["reserved"])
        batches.setdefault(row["reserved"], []).append(row)
    flow = [
        indicators.FlowRow(
            id=number,
            kind="reserved",
            count=len(rows),
            value_micro=sum(row["value_micro"] for row in rows),
            committed_at_us=round((ZERO + moment) * 1_000_000),
        )
        for number, (moment, rows) in enumerate(sorted(batches.items()), start=1)
    ]
    for counted in flow:
        story.table("records/flow").append(
            {
                "id": counted.id,
                "kind": counted.kind,
                "network": "aster",
                "asset": "USDX",
                "size": "small",
                "count": counted.count,
                "value_micro": counted.value_micro,
                "committed_at": f"{counted.committed_at_us / 1e6:.6f}",
            }
        )
    flips = []
    for tier, name in (("stressed", "run-building"), ("protected", "run-on-the-bank")):
        crossing = indicators.first_crossing(flow, story.policy.trigger(name), story.policy)
        assert crossing is not None
        flips.append((crossing.at_us / 1e6 - ZERO + 0.030, tier, name, crossing.flow_id))
    flips += [(UNSTRESSED, "stressed", "", flow[-1].id), (NORMAL, "normal", "", flow[-1].id)]
    previous = "normal"
    for epoch, (moment, tier, name, flow_id) in enumerate(flips, start=2):
        story.table("records/mode_log").append(
            {
                "epoch": epoch,
                "previous": previous,
                "tier": tier,
                "reason": f"because of {name or 'calm'}",
                "trigger_name": name,
                "indicators": "{}",
                "sample_flow_id": flow_id,
                "sampled_at": at(moment - 0.01),
                "committed_at": at(moment),
            }
        )
        story.flips.append((moment, tier))
        previous = tier


def _slot(  # noqa: PLR0917 - one row of a table
    story: Story, wallet: str, network: str, purpose: str, opened: float, broadcast: float
) -> Row:
    lane = [slot for slot in story.table("records/slots") if slot["wallet"] == wallet]
    nonce = _sent_before(wallet) + len(lane)
    number = len(story.table("records/slots")) + 1
    block = int(broadcast - STARTS) + 5
    mined = STARTS + block - 4
    digest, tx_hash = f"{number:064x}", f"0x{number:064x}"
    chain_id = story.policy.networks[network].chain_id
    address = address_of(story.policy, wallet)
    row = {
        "id": number,
        "chain_id": chain_id,
        "network": network,
        "wallet": wallet,
        "address": address,
        "nonce": nonce,
        "epoch": 1,
        "mode_epoch": tier_at(story, opened)[0],
        "purpose": purpose,
        "state": "final",
        "signer_region": region_at(story, broadcast),
        "tx_hash": tx_hash,
        "block_number": block,
        "digest": digest,
        "opened_at": at(opened),
        "signed_at": at(broadcast - 0.01),
        "broadcast_at": at(broadcast),
        "included_at": at(mined + 0.1),
        "final_at": at(mined + 2.1),
        "payload_digest": digest,
    }
    story.table("records/slots").append(row)
    story.table("records/sign_log").append(
        {
            "chain_id": chain_id,
            "address": address,
            "nonce": nonce,
            "digest": digest,
            "region": row["signer_region"],
            "signed_by": row["signer_region"],
            "tx_hash": tx_hash,
            "requested_at": at(opened),
            "signed_at": at(broadcast - 0.01),
        }
    )
    return row | {"mined": mined}


def _pay(story: Story) -> None:
    waiting = list(story.table("records/withdrawals"))
    natives = {name: network.native for name, network in story.policy.networks.items()}
    tick = STARTS + 1.25
    while tick < ENDS - 4:
        protected = tier_at(story, tick)[1] == "protected"
        due = [
            row
            for row in waiting
            if row["reserved"] < tick and not (protected and row["size"] == "large")
        ]
        waiting = [
            row
            for row in waiting
            if row["reserved"] >= tick or (protected and row["size"] == "large")
        ]
        for network, wallet in PAYOUT_LANES.items():
            mine = [row for row in due if row["network"] == network]
            if not mine:
                continue
            slot = _slot(
                story,
                wallet,
                network,
                "payout",
                tick,
                FAILED_OVER if APPLIED <= tick < FAILED_OVER else tick + 0.05,
            )
            for row in mine:
                row |= {
                    "state": "posted",
                    "slot_id": slot["id"],
                    "resolved_at": slot["final_at"],
                    "tx_hash": slot["tx_hash"],
                }
                story.table("chain/payouts").append(
                    {
                        "network": network,
                        "seq": row["seq"],
                        "withdrawal_id": row["id"],
                        "to": row["destination"],
                        "asset": row["asset"],
                        "amount": row["amount"],
                        "token": NATIVE if row["asset"] == natives[network] else "0x" + "cc" * 20,
                        "tx_hash": slot["tx_hash"],
                        "block_number": slot["block_number"],
                        "block_timestamp": int(ZERO + slot["mined"]),
                        "from_address": slot["address"],
                    }
                )
        tick += 1
    assert not waiting
    for network, wallet in PAYOUT_LANES.items():
        story.table("records/lane_log").append(
            {
                "network": network,
                "wallet": wallet,
                "address": NATIVE,
                "epoch": 2,
                "holder": "settler",
                "signer_region": story.policy.regions.standby,
                "reason": "two signatures failed",
                "detected_at": at(27.80),
                "committed_at": at(27.82),
            }
        )
    story.tables |= {name: [] for name in EMPTY}


def _follow(story: Story) -> None:
    """What the venue says at the end about each request."""
    keys = ("id", "customer_id", "network", "asset", "amount", "destination", "state", "seq")
    story.tables["followed"] = [
        {key: row[key] for key in (*keys, "tx_hash")}
        | {"venue_id": "", "reason": "", "asked_at": at(ENDS - 2), "polls": 1}
        for row in story.table("records/withdrawals")
    ]


def _top_up(story: Story) -> None:
    for turn in range(TOP_UPS_PER_POOL):
        for network, hot in PAYOUT_LANES.items():
            reserve = story.policy.reserve_of(hot)
            for asset, holding in story.policy.wallets[hot].holdings.items():
                opened = 20.0 + 12 * turn
                slot = _slot(story, reserve, network, "topup", opened, opened + 0.05)
                story.table("records/topups").append(
                    {
                        "id": str(uuid.UUID(int=story.random.getrandbits(128))),
                        "network": network,
                        "asset": asset,
                        "from_wallet": reserve,
                        "to_wallet": hot,
                        "amount": story.policy.base_units(asset, holding.target),
                        "state": "posted",
                        "justification": "below 60 % of its target",
                        "slot_id": slot["id"],
                        "requested_at": at(opened - 0.1),
                        "posted_at": slot["final_at"],
                    }
                )


def _balance(story: Story) -> None:
    paid: dict[tuple[str, str], int] = {}
    for payout in story.table("chain/payouts"):
        key = (payout["network"], payout["asset"])
        paid[key] = paid.get(key, 0) + payout["amount"]
    for network, hot in PAYOUT_LANES.items():
        reserve = story.policy.reserve_of(hot)
        for asset, holding in story.policy.wallets[hot].holdings.items():
            target = story.policy.base_units(asset, holding.target)
            held = story.policy.base_units(
                asset, story.policy.wallets[reserve].holdings[asset].target
            )
            hot_left = target * (1 + TOP_UPS_PER_POOL) - paid[network, asset]
            reserve_left = held - target * TOP_UPS_PER_POOL
            assert hot_left >= 0
            _hold(story, hot, asset, hot_left, against="customer")
            _hold(story, reserve, asset, reserve_left, against="customer")
    paying = {
        wallet for hot in PAYOUT_LANES.values() for wallet in (hot, story.policy.reserve_of(hot))
    }
    for name, wallet in story.policy.wallets.items():
        bucket = story.policy.buckets[wallet.bucket]
        against = "customer" if bucket.pays else "inventory" if bucket.trades else "own"
        for asset, holding in wallet.holdings.items() if name not in paying else ():
            _hold(
                story, name, asset, story.policy.base_units(asset, holding.target), against=against
            )


def _hold(story: Story, name: str, asset: str, amount: int, *, against: str) -> None:
    """Book ``amount`` to the wallet and its account, and the same as owed to ``against``."""
    wallet = story.policy.wallets[name]
    for kind, balance in ((wallet.wallet_class, amount), (against, -amount)):
        where = {"bucket": wallet.bucket, "network": wallet.network, "asset": asset, "kind": kind}
        row = next(
            (row for row in story.table("records/ledger") if where.items() <= row.items()), None
        )
        if row is None:
            story.table("records/ledger").append(row := where | {"balance": 0})
        row["balance"] += balance
    story.table("chain/balances").append(
        {
            "network": wallet.network,
            "wallet": name,
            "address": "0x" + "dd" * 20,
            "asset": asset,
            "balance": amount,
            "nonce": 1,
        }
    )


def _receive(story: Story) -> None:
    """Somebody sends one base unit to a hot wallet while it pays, and it is booked."""
    network, name = next(iter(PAYOUT_LANES.items()))
    wallet, asset = story.policy.wallets[name], story.policy.networks[network].native
    where = {"bucket": wallet.bucket, "network": network, "asset": asset}
    held = {**where, "kind": wallet.wallet_class}
    [ledger] = [row for row in story.table("records/ledger") if held.items() <= row.items()]
    [chain] = [
        row
        for row in story.table("chain/balances")
        if (row["wallet"], row["asset"]) == (name, asset)
    ]
    ledger["balance"] += 1
    chain["balance"] += 1
    story.table("records/ledger").append({**where, "kind": "unidentified", "balance": -1})
    story.table("records/surpluses").append(
        {**where, "wallet": name, "amount": 1, "block_number": 30, "booked_at": at(33.0)}
    )


def _order(story: Story) -> None:
    """People ordered something before the drill; one order was ended, the other ended by itself."""
    nothing = {"network": "", "tier": "", "ended_at": "", "ended_by": ""}
    ordered = {**nothing, "operator": "kim", "justification": "a rumour"}
    story.tables["records/orders"] = [
        {
            **ordered,
            "id": 1,
            "kind": "at_least",
            "tier": "stressed",
            "made_at": at(STARTS - 900),
            "ends_at": at(STARTS + 2700),
            "ended_at": at(STARTS - 600),
            "ended_by": "lee",
        },
        {
            **ordered,
            "id": 2,
            "kind": "halt",
            "network": "birch",
            "made_at": at(STARTS - 500),
            "ends_at": at(STARTS - 440),
        },
    ]


def _count(story: Story) -> None:
    """Write how many transactions each key has sent: one per slot, and those of before."""
    for name, wallet in story.policy.signing_wallets().items():
        slots = [slot for slot in story.table("records/slots") if slot["wallet"] == name]
        story.table("chain/lanes").append(
            {
                "network": wallet.network,
                "wallet": name,
                "address": address_of(story.policy, name),
                "nonce": _sent_before(name) + len(slots),
                "nonce_before": _sent_before(name),
            }
        )


def _sent_before(wallet: str) -> int:
    """How many transactions the key of ``wallet`` had sent before the venue was founded."""
    return 0 if wallet in PAYOUT_LANES.values() else SENT_BEFORE


def _write(story: Story, directory: Path) -> None:
    for folder in ("records", "chain", "aws", "rails"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    for name, document in documents(story).items():
        (directory / name).write_text(json.dumps(document), encoding="utf-8")
    for name, rows in story.tables.items():
        if name in ("probes", "pages", "timeline"):
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (directory / f"{name}.jsonl").write_text(lines, encoding="utf-8")
            continue
        header = list(rows[0]) if rows else EMPTY[name]
        with (directory / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
