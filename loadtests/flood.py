"""Run a planned flood: a Locust master and its workers, and a JSON line a second on stdout.

    python -m loadtests.flood --arrivals arrivals.csv --customers customers.csv
        --url http://... --out DIR --workers 2 [--speaks mapping.yaml --policy FILE] [--when-told]

With ``--when-told``, the line with ``"event": "ready"`` says that all is loaded, and the flood
begins once standard input has a line; it does not begin if that is closed before. The line with
``"event": "zero"`` names the planned zero as soon as it is fixed. SIGTERM ends all processes; what
was sent until then is written and marked as incomplete. Exit code 0 means that the whole schedule
was run; whether the venue did well is judged later.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from loadtests.arrivals import read_arrivals
from loadtests.population import read_credentials
from loadtests.reads import reads_beside
from seawall.conventions.environment import POLICY_VARIABLE
from seawall.errors import ExitCode, SeawallError, ServiceError, UsageError
from seawall.formats.drill_contract import CONTRACT, load_adapter, require_pools
from seawall.processes import niceness
from seawall.processes.parent import end_with_runner

ROOT = Path(__file__).parents[1]
LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"
LOOPBACK = "127.0.0.1"
POLL_S = 0.25
PRIORITY = -10
"""Niceness of the workers, where the user may lower it.

A load generator that waits for a core would measure itself, not the venue.
"""
END_S_MAX = 1.5
QUIT_S_MAX = 8.0
"""How long Locust's master may wait for its workers when it quits."""


def commands(arguments: argparse.Namespace, *, port: int, progress: str) -> list[list[str]]:
    """Command lines of the master and of each worker."""
    shared = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless"]
    shared += ["--only-summary", "--loglevel", "WARNING"]
    master = [*shared, "--arrivals", str(arguments.arrivals)]
    master += ["--customers", str(arguments.customers), "--host", arguments.url]
    master += ["--out", str(arguments.out), "--progress", progress, "--speaks", arguments.speaks]
    master += [] if arguments.policy is None else ["--policy", str(arguments.policy)]
    master += ["--master", "--master-bind-host", LOOPBACK, "--master-bind-port", str(port)]
    master += ["--when-told"] if arguments.when_told else []
    master += ["--expect-workers", str(arguments.workers), "--expect-workers-max-wait", "60"]
    worker = [*shared, "--worker", "--master-host", LOOPBACK, "--master-port", str(port)]
    return [master, *([worker] * arguments.workers)]


def free_port() -> int:
    """A port on loopback that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class Flood:
    """The processes of one flood; the first is the master."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        reading, writing = os.pipe()
        self._lines = reading
        self._zero_seen = False
        self._refused = ""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
        }
        self._children: list[subprocess.Popen[bytes]] = []
        try:
            for command in commands(arguments, port=free_port(), progress=f"/dev/fd/{writing}"):
                master = not self._children
                # stdout is for the JSON lines; what Locust prints for people goes to stderr.
                self._children.append(
                    subprocess.Popen(
                        command,
                        stdin=None if master and arguments.when_told else subprocess.DEVNULL,
                        stdout=sys.stderr,
                        env=environment,
                        pass_fds=(writing,) if master else (),
                    )
                )
            for worker in self._children[1:]:
                niceness.set_process(worker.pid, PRIORITY)  # flood.json holds what each got
        except OSError as error:
            self.end()
            raise ServiceError(f"Locust cannot be started: {error}") from error
        except BaseException:  # a signal to end, between two starts
            self.end()
            raise
        finally:
            os.close(writing)

    def run(self) -> int:
        """Pass the master's lines on until it ends; returns its exit code.

        Raises:
            ServiceError: A process ended before the zero, or the master does not end.
        """
        stopped = False
        for line in self._progress():
            event = json.loads(line)
            self._zero_seen = self._zero_seen or event.get("event") == "zero"
            if event.get("event") == "refused":
                self._refused = str(event["reason"])
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
            stopped = stopped or event.get("event") == "stopped"
            if event.get("event") == "ended" and event["complete"] and not stopped:
                # All is written, and Locust needs seconds to take its leave of the workers.
                self.kill()
                return int(ExitCode.PASS)
        try:
            code = self._children[0].wait(timeout=QUIT_S_MAX)
        except subprocess.TimeoutExpired:
            raise ServiceError("Locust's master does not end") from None
        if not self._zero_seen and self._refused:
            raise ServiceError(f"the flood did not begin: {self._refused}")
        if not self._zero_seen:
            raise ServiceError(
                f"Locust's master ended with {code} before the flood began",
                remedy="its output is above",
            )
        return code

    def _progress(self) -> Iterator[str]:
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._lines, selectors.EVENT_READ)
            while True:
                ended = [child for child in self._children if child.poll() is not None]
                if not selector.select(0 if ended else POLL_S):
                    # All that the master said is read; what it refused is the better reason.
                    if ended and not self._zero_seen and not self._refused:
                        raise ServiceError(
                            f"a process of Locust ended with {ended[0].returncode} "
                            "before the flood began",
                            remedy="its output is above",
                        )
                    if ended:
                        time.sleep(POLL_S)
                    continue
                chunk = os.read(self._lines, 65_536)
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode() for line in lines)

    def kill(self) -> None:
        """End every process at once."""
        for child in self._children:
            child.kill()
            child.wait()

    def end(self) -> None:
        """End every process, by SIGTERM and then by SIGKILL."""
        for child in self._children:
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + END_S_MAX
        for child in self._children:
            try:
                child.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--arrivals",
        type=Path,
        required=True,
        help="the schedule; planned_reads.csv beside it is sent too, plan.json goes to flood.json",
    )
    parser.add_argument("--customers", type=Path, required=True)
    parser.add_argument("--url", required=True, help="the venue's api, as customers reach it")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the logs, flood.json and t_zero"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--when-told", action="store_true", help="begin when standard input has a line"
    )
    parser.add_argument("--speaks", default=CONTRACT, help="what the venue speaks (docs/speaking)")
    parser.add_argument(
        "--policy",
        type=Path,
        default=os.environ.get(POLICY_VARIABLE),
        help=f"a mapping file with decimal amounts needs it; {POLICY_VARIABLE} if left out",
    )
    return parser.parse_args()


def _on_sigterm(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(int(ExitCode.UNKNOWN))


def main() -> int:
    """Run one flood."""
    arguments = _parse()
    signal.signal(signal.SIGTERM, _on_sigterm)
    end_with_runner()
    try:
        arrivals = read_arrivals(arguments.arrivals)
        # Checked here, so that a mistake is one line and not one from each worker.
        reads_beside(arguments.arrivals, arrivals)
        read_credentials(arguments.customers, wanted={each.customer_id for each in arrivals})
        policy = None if arguments.policy is None else Path(arguments.policy)
        adapter = load_adapter(arguments.speaks, policy=policy)
        require_pools(adapter, {(each.network, each.asset) for each in arrivals})
        if any(each.source_network for each in arrivals) and not adapter.transfers:
            raise UsageError(
                "the flood goes over rails, and the venue pays from the network that it pays on",
                remedy="leave `rails` out of the drill's flood, or say how the venue is asked for"
                " a withdrawal with a source_network",
            )
        arguments.out.mkdir(parents=True, exist_ok=True)
        flood = Flood(arguments)
        try:
            return flood.run()
        finally:
            flood.end()
    except SeawallError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.UNKNOWN)


if __name__ == "__main__":
    sys.exit(main())
