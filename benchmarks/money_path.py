"""The figures of the money path, each beside its goal and a peer of the same run.

    bin/seawall exec -- python -m benchmarks.money_path [--json] [PART ...]

Run it alone on the machine: client, server and chain share its cores.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from benchmarks import failover, intake, payouts, reservations, soak
from benchmarks.figures import Figure, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts that are named, all without any; 0 if each goal is reached, 1 if not."""
    parser = argparse.ArgumentParser(description="Measure the money path.")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="reservations, intake, payouts, failover, soak"
    )
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--seconds", type=float, default=10, help="of each load (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn (default: 1)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rates", type=int, nargs="+", default=[250, 500, 1_000, 1_500, 2_000])
    parser.add_argument("--payouts", type=int, default=30_000)
    parser.add_argument("--in-flight", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20, help="of failover (default: 20)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of soak (default: 1,000,000)")
    found = parser.parse_args(arguments)
    measured: dict[str, Callable[[], list[Figure]]] = {
        "reservations": lambda: reservations.measure(
            seconds=found.seconds, workers=found.workers, seed=found.seed
        ),
        "intake": lambda: intake.measure(seconds=found.seconds, rates=found.rates, seed=found.seed),
        "payouts": lambda: payouts.measure(payouts=found.payouts, in_flight=found.in_flight),
        "failover": lambda: failover.measure(rounds=found.rounds),
        "soak": lambda: soak.measure(rows=found.rows, seed=found.seed),
    }
    if unknown := set(found.parts) - measured.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for part in found.parts or measured:
        print(f"{part} ...", file=sys.stderr)
        figures += measured[part]()
    if found.json:
        print(json.dumps([asdict(figure) | {"reached": figure.reached} for figure in figures]))
    else:
        print(table(figures))
    return 0 if all(figure.reached is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
