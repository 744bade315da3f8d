"""A runner to be killed: starts the sandbox of the command line, says so, and waits to be ended."""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path

from sandbox.supervisor import Sandbox
from seawall.policy_file import load_policy
from seawall.setup import locate

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("anvil", "prometheus", "alertmanager", "toxiproxy-server")


def start(data_dir: Path, run_id: str, *, keep: bool = False) -> Sandbox:
    """A sandbox of the default policy."""
    policy_path = ROOT / "policies" / "sandbox.yaml"
    return Sandbox.start(
        policy=load_policy(policy_path),
        policy_path=policy_path,
        run_id=run_id,
        data_dir=data_dir,
        programs={name: locate(name).path for name in PROGRAMS},
        keep=keep,
    )


def main() -> None:
    """End like a command of the kit does: SIGTERM and Ctrl-C unwind, SIGKILL does not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("run_id")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    sandbox = start(options.data_dir, options.run_id, keep=options.keep)
    try:
        print("started", flush=True)
        time.sleep(120)
    finally:
        if not options.keep:
            sandbox.close()


if __name__ == "__main__":
    main()
