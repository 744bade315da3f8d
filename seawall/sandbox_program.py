"""Starts, finds and ends a sandbox as the program that it is: ``python -m sandbox``.

The kit learns of a running sandbox only from its deployment file.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from seawall import setup
from seawall.cache import repository_root
from seawall.errors import ComponentDiedError, ExitCode, ServiceError, UsageError
from seawall.formats.component_status import COMPONENTS_FILE, ComponentStatus, read_components
from seawall.formats.deployment import Deployment, load_deployment
from seawall.formats.sandbox_messages import SandboxMessage, error_of
from seawall.processes.failures import os_failure, tail

_END_S_MAX = 20.0
"""How long a sandbox may take to end all its processes; beyond it, its reaper ends it."""
_COMMAND_S_MAX = 60.0
_REPORT_S_MAX = 20.0
"""The supervisor reports once a second; a machine that is this busy cannot be measured on."""


@dataclass(kw_only=True)
class RunningSandbox:
    """A sandbox that is up and supervised by its own process."""

    deployment: Deployment
    _process: subprocess.Popen[str]

    def components(self) -> list[ComponentStatus]:
        """The state of every process of the sandbox, in the order of their start.

        Raises :class:`ServiceError` if the supervisor does not report it, or not any more: then it
        is not known whether a process died.
        """
        path = self.deployment.data_dir / COMPONENTS_FILE
        found = read_components(self.deployment.data_dir)
        if not found:
            raise ServiceError("the sandbox's supervisor reports no process")
        silence_s = time.time() - path.stat().st_mtime
        if silence_s > _REPORT_S_MAX:
            raise ServiceError(
                f"the sandbox's supervisor has not reported its processes for {silence_s:.0f} s"
            )
        return found

    def check(self) -> None:
        """Raise :class:`ComponentDiedError` or :class:`ServiceError` if a part of it ended."""
        for status in self.components():
            if status.died_at is not None:
                raise ComponentDiedError(status.name, log_tail=status.log_tail or "(no output)")
        if self._process.poll() is not None:
            raise ServiceError(
                f"the sandbox's supervisor ended with exit code {self._process.returncode}"
            )


@contextmanager
def running_sandbox(
    *,
    programs: Mapping[str, Path],
    policy_path: Path,
    seed: int,
    run_id: str,
    report: Callable[[str], None],
    event: Callable[[str], None] = lambda _name: None,
    sabotage: str | None = None,
    keep: bool = False,
    logs_to: Path | None = None,
) -> Iterator[RunningSandbox]:
    """A sandbox, brought up whole, for as long as the block lasts; with ``keep`` it stays.

    Args:
        programs: the external executables to use, by name.
        policy_path: the policy to bring up.
        seed: of the customers.
        run_id: what every process of it carries.
        report: gets lines of progress for people.
        event: gets the names of events for the timeline.
        sabotage: a control to switch off.
        keep: whether it stays up afterwards.
        logs_to: a folder that the logs are copied into at the end, also after a failure.

    Raises what bringing it up met, as the class of `seawall.errors` that it was.
    """
    words = [
        *("--policy", str(policy_path), "--seed", str(seed)),
        *("--run-id", run_id, *(["--sabotage", sabotage] if sabotage else [])),
        *(["--keep"] if keep else []),
        *(f"--program={name}={path}" for name, path in programs.items()),
    ]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as complaints:
        try:
            process = subprocess.Popen(
                _command("up", "--attached", *words),
                env=_environment(),
                cwd=repository_root(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # a terminal's Ctrl-C reaches us, and it ends with us
            )
        except OSError as error:
            raise os_failure("the sandbox cannot be started", error) from error
        data_dir: list[Path] = []
        try:
            deployment = _follow(process, complaints, report=report, event=event, data_dir=data_dir)
            yield RunningSandbox(deployment=deployment, _process=process)
        finally:
            for folder in data_dir:
                copy_logs(folder, logs_to, report)
            _end(process, report)
            # A kept sandbox says with exit code 0 that it is up; anything else left nothing behind.
            stays = keep and process.returncode == ExitCode.PASS
            for folder in data_dir if not stays else []:
                shutil.rmtree(folder, ignore_errors=True)


def kept_deployment() -> Deployment | None:
    """The deployment of the sandbox that was left running; None if there is none."""
    done = _run("where")
    if done.returncode == ExitCode.USAGE:
        return None
    try:
        return load_deployment(Path(_output(done).strip()))
    except UsageError:  # of a sandbox that an older checkout started; `up` says how to remove it
        return None


@dataclass(frozen=True, kw_only=True)
class ShellEnvironment:
    """What a process needs to work on the kept sandbox: variables to remove, then those to set."""

    unset: Sequence[str]
    variables: Mapping[str, str]

    def applied_to(self, environment: Mapping[str, str]) -> dict[str, str]:
        """``environment`` as it is for such a process."""
        left = {name: value for name, value in environment.items() if name not in self.unset}
        return {**left, **self.variables}


def kept_environment() -> ShellEnvironment:
    """The environment for pulumi, chaos, locust and aws on the kept sandbox.

    Raises :class:`UsageError` if none is running, or if its stack was never brought up.
    """
    found = json.loads(_output(_run("env", "--json")))
    return ShellEnvironment(unset=found["unset"], variables=found["variables"])


def kept_exports() -> str:
    """The same as lines for a POSIX shell; raises as :func:`kept_environment`."""
    return _output(_run("env"))


def end_kept() -> str:
    """End the sandbox that was left running and remove its data; one line that says so."""
    return _output(_run("down")).strip()


def _command(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "sandbox", *words]


def _environment() -> dict[str, str]:
    """The user's variables, so that `env` can list what to remove of them; programs are on PATH."""
    return {**os.environ, **setup.environment()}


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            _command(*words),
            env=_environment(),
            cwd=repository_root(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=_COMMAND_S_MAX,
        )
    except OSError as error:
        raise os_failure(f"`sandbox {words[0]}` cannot be started", error) from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"`sandbox {words[0]}` did not end in {_COMMAND_S_MAX:g} s") from error


def _output(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == ExitCode.PASS:
        return done.stdout
    kind = UsageError if done.returncode == ExitCode.USAGE else ServiceError
    raise kind(
        tail(done.stderr, lines=3).removeprefix("seawall: ") or "the sandbox did not say why"
    )


def _follow(
    process: subprocess.Popen[str],
    complaints: IO[str],
    *,
    report: Callable[[str], None],
    event: Callable[[str], None],
    data_dir: list[Path],
) -> Deployment:
    """Pass on progress until the sandbox is up; ``data_dir`` gets its folder."""
    for line in process.stdout or ():
        try:
            message = SandboxMessage.model_validate_json(line)
        except ValidationError:
            continue  # something that a library printed
        match message.kind:
            case "data_dir":
                data_dir.append(Path(message.text))
            case "line":
                report(message.text)
            case "event":
                event(message.text)
            case "ready":
                return load_deployment(Path(message.text))
            case "error":
                raise error_of(message)
    process.wait()
    complaints.seek(0)
    raise ServiceError(
        f"the sandbox ended with exit code {process.returncode} before it was up:\n"
        f"{tail(complaints.read())}"
    )


def _end(process: subprocess.Popen[str], report: Callable[[str], None]) -> None:
    """Close its input, which ends it, and wait; progress that it still prints is passed over."""
    for pipe in (process.stdin,):
        with suppress(OSError, ValueError):
            if pipe is not None:
                pipe.close()
    drained = threading.Thread(target=_drain, args=(process.stdout,), daemon=True)
    drained.start()
    try:
        process.wait(timeout=_END_S_MAX)
    except subprocess.TimeoutExpired:
        report(f"the sandbox did not end in {_END_S_MAX:g} s and is killed; its reaper cleans up")
        process.kill()
        process.wait()
    drained.join(timeout=1.0)


def _drain(pipe: Any) -> None:
    for _ in pipe or ():
        pass


def copy_logs(data_dir: Path, into: Path | None, report: Callable[[str], None]) -> None:
    """Copy the logs of a stack into a folder; what prevents it is reported, and no failure."""
    if into is None or not (data_dir / "logs").is_dir():
        return
    try:
        shutil.copytree(data_dir / "logs", into, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        report(f"the logs could not be copied: {error}")
