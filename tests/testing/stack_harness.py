"""The real `pulumi` command on a stack of a test's own.

A sandbox's AWS, the provider, and a program that declares what a test says.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from localaws.provider.values import Properties
from sandbox.identities import Identities, create_identities
from sandbox.stack_environment import environment
from seawall import setup
from seawall.policy_file import load_policy
from seawall.processes.environment import inherited
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, client, running_aws
from tests.testing.provider_engine import running_provider

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).parent / "stack_program"
POLICY_PATH = ROOT / "policies" / "sandbox.yaml"


def declared(kind: str, inputs: Properties, **more: Any) -> dict[str, Any]:
    """A resource as the program takes it, of the provider called ``aws`` unless ``more`` says
    otherwise.
    """
    return {"kind": kind, "provider": "aws", "inputs": inputs, **more}


@dataclass(kw_only=True)
class StackHarness:
    """One stack: ``declare`` what it is to have, then let ``pulumi`` do something about it."""

    endpoint: str
    identities: Identities
    provider_port: int
    data_dir: Path
    stack: str = "test"
    providers: dict[str, Any] = field(default_factory=lambda: {"aws": {"region": PRIMARY}})

    def declare(self, resources: Mapping[str, Any]) -> None:
        """Write what the program declares from now on."""
        self._spec.write_text(
            json.dumps({"providers": self.providers, "resources": resources}), encoding="utf-8"
        )

    def pulumi(self, *arguments: str, ok: bool = True) -> str:
        """All that the command says; its exit code is asserted."""
        done = subprocess.run(
            ["pulumi", "--non-interactive", "--color", "never", *arguments],
            cwd=self.program,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=180,
            check=False,
        )
        assert (done.returncode == 0) is ok, done.stdout
        return done.stdout

    def another(self, stack: str) -> StackHarness:
        """The same AWS and program under another, new stack."""
        made = replace(self, stack=stack)
        made.pulumi("stack", "init", stack)
        return made

    def up(self, *, ok: bool = True) -> str:
        """`pulumi up` without questions."""
        return self.pulumi("up", "--yes", "--skip-preview", ok=ok)

    def refresh(self, *arguments: str, ok: bool = True) -> str:
        """`pulumi refresh` without questions and without running the program."""
        return self.pulumi("refresh", "--yes", "--skip-preview", *arguments, ok=ok)

    def destroy(self) -> str:
        """`pulumi destroy` without questions."""
        return self.pulumi("destroy", "--yes", "--skip-preview")

    def state(self) -> dict[str, Any]:
        """The recorded resources by name, as they lie in the state file.

        Secrets are cipher text.
        """
        recorded = json.loads(self.state_text())["checkpoint"]["latest"].get("resources", [])
        return {each["urn"].rpartition("::")[2]: each for each in recorded}

    def shown(self) -> dict[str, Any]:
        """The recorded resources by name, with their secrets in clear text."""
        recorded = json.loads(self.pulumi("stack", "export", "--show-secrets"))["deployment"].get(
            "resources", []
        )
        return {each["urn"].rpartition("::")[2]: bare(each) for each in recorded}

    def state_text(self) -> str:
        """The state file itself."""
        return (
            self.data_dir / f"pulumi/.pulumi/stacks/seawall-examples/{self.stack}.json"
        ).read_text(encoding="utf-8")

    def root(self, service: str, *, region: str = PRIMARY) -> Any:
        """AWS as the account's owner sees it, behind Pulumi's back."""
        return client(service, self.endpoint, ROOT_KEY, region=region)

    def deny(self, *actions: str) -> None:
        """From now on the deployer may not do ``actions``, whatever else it may."""
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Action": list(actions), "Resource": "*"}],
        }
        iam, user = self.root("iam"), self.identities.deployer.user
        iam.put_user_policy(UserName=user, PolicyName="denied", PolicyDocument=json.dumps(document))

    def allow_again(self) -> None:
        """Take back what :meth:`deny` did."""
        iam, user = self.root("iam"), self.identities.deployer.user
        if "denied" in iam.list_user_policies(UserName=user)["PolicyNames"]:
            iam.delete_user_policy(UserName=user, PolicyName="denied")

    def environment(self) -> dict[str, str]:
        """What the command runs with."""
        sandbox = environment(
            root=ROOT, data_dir=self.data_dir, policy_path=POLICY_PATH, aws_endpoint=self.endpoint,
            provider_port=self.provider_port, region=PRIMARY,
            deployer=self.identities.deployer.environment(), path=setup.environment()["PATH"],
        )  # fmt: skip
        return {
            **inherited(),
            **sandbox,
            "PULUMI_STACK": self.stack,
            "SEAWALL_TEST_RESOURCES": str(self._spec),
        }

    @property
    def program(self) -> Path:
        """The folder of the stack's program.

        A copy, for the engine writes a file of the stack into it.
        """
        return self.data_dir / "program"

    @property
    def _spec(self) -> Path:
        return self.data_dir / "resources.json"


def bare(value: Any) -> Any:
    """``value`` without the wrappers of secrets."""
    if isinstance(value, dict):
        if "plaintext" in value:
            return json.loads(value["plaintext"])
        return {name: bare(item) for name, item in value.items()}
    return [bare(item) for item in value] if isinstance(value, list) else value


@contextmanager
def running_stack(data_dir: Path, *, log: Path | None = None) -> Iterator[StackHarness]:
    """A harness with an empty stack called ``test``; ``log``: where its AWS writes its requests."""
    with running_aws(*(("--log", str(log)) if log else ())) as endpoint:
        identities = create_identities(endpoint=endpoint, policy=load_policy(POLICY_PATH))
        with running_provider(endpoint, identities.deployer) as port:
            harness = StackHarness(
                endpoint=endpoint, identities=identities, provider_port=port, data_dir=data_dir
            )
            (data_dir / "pulumi").mkdir()
            shutil.copytree(PROGRAM, harness.program)
            harness.pulumi("stack", "init", "test")
            yield harness
