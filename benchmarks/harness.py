"""What a benchmark brings a stack up in: the emulated AWS, its provider, the engine's state."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sizes import ROOT, Size
from sandbox import stack
from sandbox.hosted_zones import prepare_hosted_zones
from sandbox.identities import create_identities
from sandbox.stack_environment import STACK
from seawall import setup
from seawall.conventions import environment
from seawall.errors import ServiceError
from seawall.policy_file import load_policy
from seawall.processes.environment import inherited

AWS, PROVIDER, ENGINE = "AWS", "provider", "engine"
_STOP_S_MAX = 10
_COMPLAINT_CHARACTERS = 3_000


@dataclass(frozen=True, kw_only=True)
class Harness:
    """Running processes that a stack can be brought up in.

    Args:
        variables: environment of the engine's process.
        folder: with the engine's state and the logs.
        pids: of the other parts, by part.
    """

    variables: Mapping[str, str]
    folder: Path
    pids: Mapping[str, int]

    @property
    def complaints(self) -> str:
        """The end of what AWS and the provider wrote to standard error."""
        return "\n".join(
            f"{path.name}: {text[-_COMPLAINT_CHARACTERS:]}"
            for path in sorted(self.folder.glob("*.log"))
            if (text := path.read_text(encoding="utf-8").strip())
        )

    @property
    def state_path(self) -> Path:
        """The file of the engine's state."""
        return self.folder / "pulumi" / ".pulumi" / "stacks" / "seawall" / f"{STACK}.json"


@contextmanager
def running_harness(size: Size, *, folder: Path) -> Iterator[Harness]:
    """A harness for the policy of ``size``, with an empty stack; ended with all it started.

    Raises :class:`ServiceError`.
    """
    policy = load_policy(size.policy_path)
    variables = {**inherited(), "AWS_EC2_METADATA_DISABLED": "true", "PYTHONPATH": str(ROOT)}
    (folder / "pulumi").mkdir(parents=True)
    with _running(["localaws.emulator", "--port", "0"], variables, folder / "aws.log") as (
        aws,
        port,
    ):
        endpoint = f"http://127.0.0.1:{port}"
        prepare_hosted_zones(endpoint=endpoint, policy=policy)
        identities = create_identities(endpoint=endpoint, policy=policy)
        variables = {**variables, **identities.deployer.environment()}
        command = ["localaws.provider", "--aws-endpoint", endpoint]
        with _running(command, variables, folder / "provider.log") as (provider, provider_port):
            settings = stack.Settings(
                root=ROOT,
                data_dir=folder,
                policy_path=size.policy_path,
                aws_endpoint=endpoint,
                provider_port=provider_port,
                deployer=identities.deployer,
                principals=identities.principals(),
                region=policy.regions.primary,
                path=setup.environment()["PATH"],
                extra={environment.GENERATED_VARIABLE: str(size.generated)},
            )
            yield Harness(
                variables={**variables, **settings.environment()},
                folder=folder,
                pids={AWS: aws, PROVIDER: provider},
            )


@contextmanager
def _running(
    command: list[str], variables: Mapping[str, str], log: Path
) -> Iterator[tuple[int, int]]:
    """Pid of a module's process and the port that it prints first; ``log`` gets standard error."""
    with log.open("w", encoding="utf-8") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", *command],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
    try:
        line = process.stdout.readline().strip() if process.stdout else ""
        if not line.isdigit():
            raise ServiceError(
                f"python -m {command[0]} did not start",
                remedy=f"start it by hand and read what it says: python -m {' '.join(command)}",
            )
        yield process.pid, int(line)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
