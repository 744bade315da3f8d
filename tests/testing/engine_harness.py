"""A stack that the real engine keeps in the sandbox's AWS, for tests of commands that look at it
without changing it.
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

from localaws.provider.server import start_provider
from monitors.render import write
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
class EngineSite:
    """A running AWS with the attached provider, and the variables of a shell that works on the
    stack in it.
    """

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
        """What the engine has written down of the stack."""
        return (
            self.settings.data_dir / "pulumi" / ".pulumi" / "stacks" / "seawall" / "sandbox.json"
        ).read_bytes()

    def urn(self, kind: str, name: str) -> str:
        """The whole name of a resource in the stack, whatever components it lies in."""
        listed = json.loads(self.state)["checkpoint"]["latest"]["resources"]
        [found] = [
            each["urn"]
            for each in listed
            if each["type"] == kind and each["urn"].endswith(f"::{name}")
        ]
        return str(found)

    def pulumi(self, *arguments: str, ok: bool = True, **variables: str) -> str:
        """What a shell with these variables gets from the engine."""
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

    def rendered(self, folder: Path, policy: Path) -> EngineSite:
        """The same stack from a repository in ``folder`` whose generated files were rendered from
        ``policy``, as after a change of the policy.
        """
        root = copied(folder, "generated")
        out = root / "generated" / POLICY.policy
        write(load_policy(policy), folder=out)
        subprocess.run(
            [sys.executable, "-m", "infra.render", "--policy", policy, "--out", out],
            cwd=ROOT,
            check=True,
        )
        return replace(self, settings=replace(self.settings, root=root))


def copied(folder: Path, *own: str) -> Path:
    """The repository with a program of its own, and folders of its own that ``own`` names.

    Everything else is the original.
    """
    folder.mkdir()
    for each in ROOT.iterdir():
        if each.name in ("infra", *own):
            shutil.copytree(each, folder / each.name)
        elif each.name not in (".git", "runs"):
            (folder / each.name).symlink_to(each)
    return folder


@contextmanager
def engine_site(folder: Path) -> Iterator[EngineSite]:
    """An empty site; its data is in ``folder``."""
    with running_aws() as endpoint:
        prepare_hosted_zones(endpoint=endpoint, policy=POLICY)
        identities = create_identities(endpoint=endpoint, policy=POLICY)
        for name, value in identities.deployer.environment().items():
            os.environ[name] = value  # the provider is attached to this process
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
            yield EngineSite(
                endpoint=endpoint, identities=identities, settings=settings, folder=folder
            )
        finally:
            server.stop(grace=0).wait()
