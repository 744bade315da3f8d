"""The experiment of one drill as a game day runs it.

    python -m chaos.run --policy FILE --drill NAME --journal FILE [--start-at UNIX]

It is rendered from the policy into a file beside the journal, so that no stale file is run.
Rollbacks always run, the log is written beside the journal and not into the working directory, and
Chaos Toolkit does not ask the network for newer versions. A signal to end is passed on as SIGUSR1,
on which Chaos Toolkit stops at once and still rolls back; on SIGTERM it would fail the current
action only and go on. If this process dies, the kernel sends Chaos Toolkit the same signal.

The exit status is Chaos Toolkit's own, or 2 if it left no journal. It says little: it is the
journal that must be judged.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import FrameType

from seawall.conventions import environment as environment_names
from seawall.errors import EvidenceError, ExitCode, SeawallError, UsageError
from seawall.experiments import experiment_of, text_of
from seawall.formats.atomic import write_whole
from seawall.policy import Policy
from seawall.policy_file import load_policy
from seawall.processes.parent import signal_when_parent_dies

ROOT = Path(__file__).resolve().parents[1]
STOP_AND_ROLL_BACK = signal.SIGUSR1


def run_experiment(policy: Policy, name: str, *, journal: Path, start_at: float | None) -> int:
    """Run the experiment of a drill to its end.

    Args:
        policy: Declares the drill.
        name: Of the drill.
        journal: Where Chaos Toolkit writes its journal, which is then a JSON object.
        start_at: The run's zero in Unix seconds; None applies the fault at once.

    Returns:
        Chaos Toolkit's exit status.

    Raises:
        UsageError: There is no such drill.
        EvidenceError: No journal was written.
    """
    if name not in policy.drills:
        raise UsageError(
            f"the policy {policy.policy} has no drill {name}",
            remedy=f"name one of {', '.join(policy.drills)}",
        )
    experiment = journal.with_suffix(".experiment.json")
    write_whole(experiment, text_of(experiment_of(policy, name)))
    journal.unlink(missing_ok=True)  # that of an earlier run must not be taken for this one's
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check"]
    command += ["--log-file", str(journal.with_suffix(".log"))]
    command += ["--settings", str(journal.with_suffix(".settings"))]
    command += ["run", "--rollback-strategy", "always"]
    command += ["--journal-path", str(journal), str(experiment)]
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), environment.get("PYTHONPATH")])
    )
    if start_at is not None:
        environment[environment_names.T_ZERO_VARIABLE] = repr(start_at)
    # In a session of its own, so that Ctrl-C in a terminal reaches it only once, through `stop`.
    child = subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        # Safe, because this process has no threads.
        preexec_fn=partial(signal_when_parent_dies, STOP_AND_ROLL_BACK),  # noqa: PLW1509
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        child.send_signal(STOP_AND_ROLL_BACK)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    status = child.wait()
    _require_journal(journal, status)
    return status


def _require_journal(journal: Path, status: int) -> None:
    try:
        written = json.loads(journal.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvidenceError(
            f"Chaos Toolkit ended with {status} and left no journal at {journal}: {error}",
            remedy=f"see {journal.with_suffix('.log')}",
        ) from error
    if not isinstance(written, dict):
        raise EvidenceError(f"Chaos Toolkit ended with {status} and {journal} holds no journal")


def main(arguments: list[str] | None = None) -> int:
    """Run one experiment, and print the path of its journal last."""
    parser = argparse.ArgumentParser(
        prog="python -m chaos.run", description="Run one experiment as a game day does."
    )
    parser.add_argument("--policy", type=Path, required=True, help="the policy in force")
    parser.add_argument("--drill", required=True, help="name of a drill of the policy")
    parser.add_argument(
        "--journal", type=Path, required=True, help="where the journal goes; its log goes beside it"
    )
    parser.add_argument(
        "--start-at",
        type=float,
        help="the run's zero in Unix seconds: the first fault comes its `calm` and `after` later",
    )
    options = parser.parse_args(arguments)
    try:
        status = run_experiment(
            load_policy(options.policy),
            options.drill,
            journal=options.journal.absolute(),
            start_at=options.start_at,
        )
    except SeawallError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return error.exit_code
    print(options.journal)
    return status if status >= 0 else ExitCode.UNKNOWN


if __name__ == "__main__":
    sys.exit(main())
