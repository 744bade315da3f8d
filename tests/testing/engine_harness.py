"""The stack of the program in the sandbox's AWS, kept by the real engine.

For tests of the stack itself and of commands that read it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from localaws.provider.server import start_provider
from monitors.render import RENDERER
from sandbox import stack
from sandbox.hosted_zones import prepare_hosted_zones
from sandbox.identities import Identities, create_identities
from seawall import setup
from seawall.policy_file import load_policy
from tests.testing.aws_harness import PRIMARY, running_aws

ROOT = Path(__file__).resolve().parents[2]
POLICY_PATH = ROOT / "policies" / "sandbox.yaml"
POLICY = load_policy(POLICY_PATH)
STACK_FILE = ROOT / "infra" / "stacks" / "Pulumi.sandbox.yaml"


@dataclass(frozen=True, kw_only=True)
class EngineHarness:
    """A running AWS with the attached provider, and how a shell works on the stack in it."""

    endpoint: str
    identities: Identities
    settings: stack.Settings
    folder: Path

    @property
    def variables(self) -> Mapping[str, str]:
        """As ``eval "$(bin/seawall env)"`` would set them."""
        return self.settings.environment()

    @property
    def state(self) -> bytes:
        """The engine's state file of the stack."""
        return (
            self.settings.data_dir / "pulumi" / ".pulumi" / "stacks" / "seawall" / "sandbox.json"
        ).read_bytes()

    def urn(self, kind: str, name: str) -> str:
        """The URN of a resource, with the components that it lies in."""
        listed = json.loads(self.state)["checkpoint"]["latest"]["resources"]
        [found] = [
            each["urn"]
            for each in listed
            if each["type"] == kind and each["urn"].endswith(f"::{name}")
        ]
        return str(found)

    def pulumi(self, *arguments: str, ok: bool = True, **variables: str) -> str:
        """Run `pulumi` as such a shell does and return its standard output.

        ``ok``: whether it must succeed, which is asserted.
        """
        done = subprocess.run(
            ["pulumi", "--non-interactive", "--color", "never", *arguments],
            cwd=self.settings.root,
            env={**os.environ, **self.variables, **variables},
            text=True,
            capture_output=True,
            timeout=180,
            check=False,
        )
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout

    def rendered(self, folder: Path, policy: Path) -> EngineHarness:
        """Return the same stack in a copy of the repository that is rendered from ``policy``.

        That is what the author of a changed policy commits. The copy is in ``folder``.
        """
        root = copied(folder, "generated")
        out = root / "generated" / POLICY.policy
        RENDERER.write(load_policy(policy), folder=out)
        subprocess.run(
            [sys.executable, "-m", "infra.render", "--policy", policy, "--out", out],
            cwd=ROOT,
            check=True,
        )
        return replace(self, settings=replace(self.settings, root=root))


def copied(folder: Path, *own: str) -> Path:
    """Make ``folder`` a repository with its own `infra` and its own copies of what ``own`` names.

    Everything else is a link to the original.
    """
    folder.mkdir()
    for each in ROOT.iterdir():
        if each.name in ("infra", *own):
            shutil.copytree(each, folder / each.name)
        elif each.name not in (".git", "runs"):
            (folder / each.name).symlink_to(each)
    return folder


@contextmanager
def running_engine(folder: Path) -> Iterator[EngineHarness]:
    """An AWS without a stack, with the provider attached to this process; data goes to ``folder``.

    The provider reads the deployer's key from this process's environment.
    """
    with running_aws() as endpoint, pytest.MonkeyPatch.context() as patch:
        prepare_hosted_zones(endpoint=endpoint, policy=POLICY)
        identities = create_identities(endpoint=endpoint, policy=POLICY)
        for name, value in identities.deployer.environment().items():
            patch.setenv(name, value)
        server, port = start_provider(aws_endpoint=endpoint)
        try:
            (folder / "pulumi").mkdir()
            settings = stack.Settings(
                root=ROOT,
                data_dir=folder,
                policy_path=POLICY_PATH,
                aws_endpoint=endpoint,
                provider_port=port,
                deployer=identities.deployer,
                principals=identities.principals(),
                region=PRIMARY,
                path=setup.environment()["PATH"],
            )
            yield EngineHarness(
                endpoint=endpoint, identities=identities, settings=settings, folder=folder
            )
        finally:
            server.stop(grace=0).wait()
