"""``python -m benchmarks.stack [--wallets 10 25 50 100] [--json] [--out DIR]``.

How long the whole stack takes in the sandbox, and how that grows.

The sandbox's own stack is measured first, then one per size. The exit code is 1 if a limit was
missed or a phase failed; all is printed first.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import sizes
from benchmarks.phases import StackRun, run_stack
from benchmarks.report import SANDBOX, document, failures, limit_results, plot, table
from seawall.errors import ExitCode, SeawallError


def measure(wallets: Sequence[int], *, report: Callable[[str], None]) -> list[StackRun]:
    """The sandbox's own stack, then one of each number of ``wallets``.

    Raises :class:`UsageError`, :class:`ServiceError`.
    """
    with tempfile.TemporaryDirectory(prefix="seawall-bench-") as made:
        folder = Path(made)
        made_of = {
            str(count): sizes.generated(count, folder=folder / f"policy-{count}")
            for count in wallets
        }
        return [
            run_stack(name, size, folder=folder / f"stack-{name}", report=report)
            for name, size in {SANDBOX: sizes.committed(), **made_of}.items()
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code is that of the error met, if any."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stack", description=__doc__)
    parser.add_argument(
        "--wallets",
        type=int,
        nargs="*",
        default=[10, 25, 50, 100],
        metavar="N",
        help="signing wallets of further stacks",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="also write stack.json and stack.svg there"
    )
    given = parser.parse_args(arguments)
    try:
        runs = measure(given.wallets, report=lambda line: print(line, file=sys.stderr, flush=True))
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    found = json.dumps(document(runs), indent=1)
    print(found if given.json else table(runs))
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "stack.json").write_text(found + "\n", encoding="utf-8")
        (given.out / "stack.svg").write_text(plot(runs), encoding="utf-8")
    kept = not failures(runs) and all(each.holds for each in limit_results(runs))
    return ExitCode.PASS if kept else ExitCode.FAIL


if __name__ == "__main__":
    sys.exit(main())
