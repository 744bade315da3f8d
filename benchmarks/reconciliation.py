"""How long `seawall reconcile` takes and what memory it needs, for histories of growing length.

    bin/seawall exec -- python -m benchmarks.reconciliation --sizes 20000 200000

Each history is of posted withdrawals, 100 to a slot, with their signatures and a statement of their
payments; each is reconciled in a process of its own. Beside each figure stands what the same
machine needs in the same run to read the same files row by row, as its limit.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from seawall.cache import repository_root
from seawall.formats.deployment import load_deployment
from seawall.policy_file import load_policy
from seawall.reconciliation.run import reconcile
from seawall.scorecard.outcome import Outcome

_PER_SLOT = 100
_CHAIN_ID = 73311
_KEY = "0x" + "a1" * 20
_FILES = ("withdrawals", "slots", "sign_log", "payouts")
Row = dict[str, str | int]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one history.

    ``read_s`` is the time that its files take to be read row by row, ``peak_mib`` the highest
    resident memory of the process that reconciled it.
    """

    withdrawals: int
    reconcile_s: float
    read_s: float
    peak_mib: float

    @property
    def ratio(self) -> float:
        """How many times longer than merely reading."""
        return self.reconcile_s / self.read_s


def measure(withdrawals: int) -> Figures:
    """Reconcile a history of so many posted withdrawals, in this process."""
    with tempfile.TemporaryDirectory(prefix="seawall-bench-") as name:
        folder = Path(name)
        deployment = load_deployment(written(folder, withdrawals))
        policy = load_policy(deployment.policy)
        began = time.perf_counter()
        for file in _FILES:
            with (folder / f"{file}.csv").open(encoding="utf-8", newline="") as lines:
                for _ in csv.reader(lines):
                    pass
        read_s = time.perf_counter() - began
        began = time.perf_counter()
        found = reconcile(deployment, policy, report=lambda _: None)
        reconcile_s = time.perf_counter() - began
    assert found.outcome is Outcome.PASS, [each.text for each in found.contradictions.each[:3]]
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Figures(
        withdrawals=withdrawals, reconcile_s=reconcile_s, read_s=read_s, peak_mib=peak_kib / 1024
    )


def written(folder: Path, withdrawals: int) -> Path:
    """Write a history and its deployment file; returns the path of that."""
    numbers = range(1, withdrawals + 1)
    _write(folder / "withdrawals.csv", map(_withdrawal, numbers))
    _write(folder / "payouts.csv", map(_payment, numbers))
    slots = range(1 + withdrawals // _PER_SLOT)
    _write(folder / "slots.csv", map(_slot, slots))
    _write(folder / "sign_log.csv", map(_signature, slots))
    _write(folder / "lane_log.csv", [{"network": "aster"}])
    _write(folder / "lanes.csv", [{"network": "aster"}])
    document = {
        "kind": "staging",
        "stack": "bench",
        "data_dir": str(folder),
        "policy": str(repository_root() / "policies" / "sandbox.yaml"),
        "urls": {"api": "http://127.0.0.1:1"},
        "networks": {"aster": {"chain_id": _CHAIN_ID, "node": "http://127.0.0.1:1"}},
        "evidence": {
            "withdrawals": {"file": "withdrawals.csv"},
            "payouts": {"file": "payouts.csv"},
            "signatures": {"file": "."},
        },
    }
    path = folder / "bench.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _withdrawal(number: int) -> Row:
    return {
        "id": f"{number:032x}",
        "seq": number,
        "network": "aster",
        "asset": "AST",
        "amount": 10**15 + number,
        "destination": f"0x{number:040x}",
        "state": "posted",
        "reason": "",
        "slot_id": number // _PER_SLOT,
        "resolved_at": 1_700_000_000,
    }


def _payment(number: int) -> Row:
    return {
        "network": "aster",
        "seq": number,
        "to": f"0x{number:040x}",
        "token": "",
        "asset": "AST",
        "amount": 10**15 + number,
        "tx_hash": f"0x{number // _PER_SLOT:064x}",
        "block_number": "",
        "block_timestamp": 1_700_000_000,
    }


def _slot(number: int) -> Row:
    return {
        "id": number,
        "network": "aster",
        "wallet": "customer-aster-hot",
        "address": _KEY,
        "nonce": number,
        "purpose": "payout",
        "state": "final",
        "tx_hash": f"0x{number:064x}",
        "block_number": number,
        "digest": f"{number:064x}",
    }


def _signature(number: int) -> Row:
    return {
        "chain_id": _CHAIN_ID,
        "address": _KEY,
        "nonce": number,
        "digest": f"{number:064x}",
        "tx_hash": f"0x{number:064x}",
    }


def _write(path: Path, rows: Iterable[Row]) -> None:
    each: Iterator[Row] = iter(rows)
    first = next(each)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(first))
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(each)


def main() -> None:
    """Measure each size in a process of its own, and print a line for each."""
    parser = argparse.ArgumentParser(description="How seawall reconcile grows with the history.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(asdict(measure(arguments.one))))
        return
    print(f"{'withdrawals':>12} {'seconds':>9} {'per s':>9} {'of reading':>11} {'peak MiB':>9}")
    for size in arguments.sizes:
        command = [sys.executable, "-P", "-m", "benchmarks.reconciliation", "--one", str(size)]
        done = subprocess.run(
            command, cwd=repository_root(), capture_output=True, text=True, check=True
        )
        found = Figures(**json.loads(done.stdout))
        print(
            f"{size:>12,} {found.reconcile_s:>9.2f} {size / found.reconcile_s:>9,.0f}"
            f" {found.ratio:>10.1f}x {found.peak_mib:>9.0f}"
        )


if __name__ == "__main__":
    main()
