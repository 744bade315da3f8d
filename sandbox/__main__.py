"""``python -m sandbox up | down | where | env``: a running stack on this machine.

``up`` starts every part, provisions the stack, founds and starts the venue, writes the deployment
file and prints its path. The sandbox stays until ``down``.

``up --attached`` is for a program that drills on it: progress and the result are JSON lines on
standard output (`seawall.formats.sandbox_messages`), and the sandbox ends when standard input does
(with ``--keep`` only the supervision ends).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import secrets
import shutil
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

from sandbox import kept
from sandbox.bring_up import AUDITOR, bring_up
from sandbox.process_control import process_control
from sandbox.restoration import restoration_of
from sandbox.shell import shell_environment
from sandbox.supervisor import Sandbox
from seawall.cache import repository_root
from seawall.conventions.components import POSTGRES_PROXY
from seawall.conventions.sabotage import SABOTAGES
from seawall.errors import ExitCode, MissingProgramError, SeawallError, UsageError
from seawall.formats.deployment import DEPLOYMENT_FILE, Database
from seawall.formats.sandbox_messages import SandboxMessage, error_message
from seawall.policy import Policy
from seawall.policy_file import load_policy
from seawall.processes.environment import clean_own_process
from seawall.processes.procedure import Procedure

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_EVERY_S = 0.25
_REPORT_EVERY = 4
"""Of the looks at what died, after how many the state of all processes is reported."""
_ended_by: list[int] = []
"""Signals that arrived once the sandbox was up."""
RESTORED_S_MAX = 300.0
"""How long a kept sandbox waits for its database, if whoever lost it is gone."""
PROGRAMS = ("alertmanager", "anvil", "prometheus", "promtool", "pulumi", "toxiproxy-server")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is that of the error met, if any."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except SeawallError as error:
        if getattr(options, "attached", False):
            _say(error_message(error))
        else:
            print(f"seawall: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.UNKNOWN


def _up(options: argparse.Namespace) -> int:
    clean_own_process()
    policy_path = options.policy.resolve()
    policy = load_policy(policy_path)
    programs = find_programs(options.program)
    run_id = options.run_id or f"up-{options.seed}-{uuid.uuid4().hex[:8]}"
    for number in _ENDING:
        signal.signal(number, _interrupt)
    if options.attached:
        closed = threading.Event()
        threading.Thread(target=_interrupt_at_end_of_input, args=(closed,), daemon=True).start()
        return _attached(options, policy, policy_path, programs, run_id=run_id, closed=closed)
    sandbox = _start(
        options, policy, policy_path, programs, run_id=run_id, keep=True, report=_progress
    )
    print(sandbox.deployment.path)
    return ExitCode.PASS


def _attached(
    options: argparse.Namespace,
    policy: Policy,
    policy_path: Path,
    programs: dict[str, Path],
    *,
    run_id: str,
    closed: threading.Event,
) -> int:
    sandbox = _start(
        options,
        policy,
        policy_path,
        programs,
        run_id=run_id,
        keep=options.keep,
        report=lambda line: _say(SandboxMessage(kind="line", text=line)),
        event=lambda name: _say(SandboxMessage(kind="event", text=name)),
    )
    restoration = restoration_of(sandbox)
    database = Procedure(lose=restoration.lose, restore=restoration.restore)
    with process_control(sandbox, database.routes("/database")) as url:
        address = sandbox.deployment.proxies[POSTGRES_PROXY].listen
        sandbox.describe(
            process_control=url,
            database=Database(
                address=address, control=f"{url}/database", client=sandbox.data_dir / AUDITOR
            ),
        )
        # The last report was made when the last process started; a slow machine takes long since.
        sandbox.report_components()
        _say(SandboxMessage(kind="ready", text=str(sandbox.deployment.path)))
        for look in itertools.count(1):
            if _ended_by or closed.wait(timeout=_LOOK_EVERY_S):
                break
            sandbox.restart_due()
            if look % _REPORT_EVERY == 0:
                sandbox.report_components()
        if options.keep and not database.finish(within_s=RESTORED_S_MAX):
            print(f"the database was not restored: {database.failure}", file=sys.stderr)
    if options.keep:
        sandbox.restart_due(at_once=True)  # from here on nothing starts them again
        sandbox.describe(process_control=None, database=None)
    else:
        sandbox.close()
    return ExitCode.PASS


def _start(
    options: argparse.Namespace,
    policy: Policy,
    policy_path: Path,
    programs: dict[str, Path],
    *,
    run_id: str,
    keep: bool,
    report: Callable[[str], None],
    event: Callable[[str], None] = lambda _name: None,
) -> Sandbox:
    """A sandbox that is ready to be drilled; whatever interrupts this leaves nothing behind."""
    data_dir = options.data_dir or kept.new_data_dir(run_id)
    if options.attached:
        _say(SandboxMessage(kind="data_dir", text=str(data_dir)))
    sandbox = Sandbox.start(
        policy=policy,
        policy_path=policy_path,
        run_id=run_id,
        data_dir=data_dir,
        programs=programs,
        report=report,
        sabotage=options.sabotage,
        keep=keep,
    )
    try:
        event("sandbox.started")
        bring_up(
            sandbox,
            root=repository_root(),
            policy=policy,
            policy_path=policy_path,
            seed=options.seed,
            by_hand=keep,
            report=report,
            event=event,
        )
        # It is up. An interrupt from here on would end this program with a code that says that
        # nothing is left behind, while a kept sandbox runs on and loses its folder.
        for number in _ENDING:
            signal.signal(number, _note)
    except BaseException:
        sandbox.close()
        raise
    return sandbox


def find_programs(given: Iterable[str] = ()) -> dict[str, Path]:
    """Path of every external program that a sandbox needs: ``given`` as NAME=PATH, or on PATH.

    Raises :class:`MissingProgramError`.
    """
    named = dict(each.split("=", 1) for each in given)
    found = {name: named.get(name) or shutil.which(name) for name in PROGRAMS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise MissingProgramError(
            f"not on PATH: {', '.join(missing)}", remedy="run bin/seawall doctor"
        )
    return {name: Path(path) for name, path in found.items() if path is not None}


def _down(options: argparse.Namespace) -> int:
    removed = kept.down(options.data_dir)
    print(f"removed {removed}" if removed else "no sandbox is running")
    return ExitCode.PASS


def _where(_options: argparse.Namespace) -> int:
    data_dir = kept.kept_data_dir()
    if data_dir is None:
        raise UsageError("no sandbox is running", remedy="start one with `bin/seawall up`")
    print(data_dir / DEPLOYMENT_FILE)
    return ExitCode.PASS


def _env(options: argparse.Namespace) -> int:
    found = shell_environment()
    if options.json:
        print(json.dumps({"unset": found.unset, "variables": found.variables}))
    else:
        print("\n".join(found.exports()))
    return ExitCode.PASS


def _say(message: SandboxMessage) -> None:
    try:
        print(message.model_dump_json(exclude_defaults=True), flush=True)
    except BrokenPipeError:  # the program that started us is gone; the end of its input follows
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in _ENDING:  # the first one ends the sandbox; a second must not end the ending
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _note(number: int, _frame: FrameType | None) -> None:
    _ended_by.append(number)


def _interrupt_at_end_of_input(closed: threading.Event) -> None:
    """Interrupt the main thread once the program that started this one has closed our input.

    A sandbox that comes up is interrupted; one that is up looks at ``closed``.
    """
    while os.read(sys.stdin.fileno(), 4096):
        pass
    closed.set()
    os.kill(os.getpid(), signal.SIGINT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start a sandbox and leave it running")
    up.set_defaults(command=_up)
    up.add_argument("--policy", type=Path, default=repository_root() / "policies" / "sandbox.yaml")
    up.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="of the customers")
    up.add_argument("--run-id", help="carried by every process; made up by default")
    up.add_argument("--data-dir", type=Path, help="an empty folder; in the cache by default")
    up.add_argument("--sabotage", choices=SABOTAGES, help="switch this control off")
    up.add_argument(
        "--program", action="append", default=[], metavar="NAME=PATH", help="instead of PATH's"
    )
    up.add_argument("--attached", action="store_true", help="report in JSON, end with our input")
    up.add_argument("--keep", action="store_true", help="with --attached: leave it running")
    down = commands.add_parser("down", help="end the kept sandbox and remove its data")
    down.set_defaults(command=_down)
    down.add_argument("--data-dir", type=Path, help="of another sandbox than the kept one")
    where = commands.add_parser("where", help="print the kept sandbox's deployment file")
    where.set_defaults(command=_where)
    env = commands.add_parser("env", help="print the environment for working on it by hand")
    env.set_defaults(command=_env)
    env.add_argument("--json", action="store_true", help="as JSON: unset, variables")
    return parser


if __name__ == "__main__":
    sys.exit(main())
