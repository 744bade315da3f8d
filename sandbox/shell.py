"""The environment for working on a kept sandbox by hand: ``eval "$(bin/seawall env)"``."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from sandbox.bring_up import CUSTOMERS, IDENTITIES
from sandbox.environment import ROOT, additions
from sandbox.identities import Identities
from sandbox.kept import kept_data_dir, load_record
from sandbox.stack_environment import environment as engine_environment
from seawall.errors import UsageError
from seawall.formats.deployment import DEPLOYMENT_FILE, load_deployment
from seawall.policy_file import load_policy
from seawall.processes.environment import removed_names


@dataclass(frozen=True, kw_only=True)
class ShellEnvironment:
    """Variables to remove first, because they would contradict the sandbox's, then those to set."""

    unset: list[str]
    variables: dict[str, str]

    def exports(self) -> list[str]:
        """Lines for a POSIX shell."""
        lines = [f"unset {' '.join(self.unset)}"] if self.unset else []
        exported = sorted(self.variables.items())
        return lines + [f"export {name}={shlex.quote(value)}" for name, value in exported]


def shell_environment() -> ShellEnvironment:
    """The environment in which pulumi, chaos, locust, promtool and aws work on the kept sandbox.

    Raises :class:`UsageError` if no sandbox is running, or if its stack was never brought up.
    """
    data_dir = kept_data_dir()
    if data_dir is None:
        raise UsageError(
            "no sandbox is running",
            remedy="start one with `bin/seawall up` or `bin/seawall gameday --keep`",
        )
    deployment = load_deployment(data_dir / DEPLOYMENT_FILE)
    if deployment.urls.provider is None or not (data_dir / IDENTITIES).is_file():
        raise UsageError(
            f"the sandbox in {data_dir} has no stack",
            remedy="remove it with `bin/seawall down` and start another with `bin/seawall up`",
        )
    policy_path = deployment.policy
    basic = additions(
        run_id=None,
        data_dir=data_dir,
        policy_path=policy_path,
        programs=load_record(data_dir).programs,
    )
    variables = {
        **basic,
        # What `locust -f loadtests/locustfile.py --headless` needs besides: the planned flood.
        "SEAWALL_ARRIVALS": str(data_dir / "arrivals.csv"),
        "SEAWALL_CUSTOMERS": str(data_dir / CUSTOMERS),
        "SEAWALL_FLOOD_OUT": str(data_dir / "flood"),
        **engine_environment(
            root=ROOT,
            data_dir=data_dir,
            policy_path=policy_path,
            aws_endpoint=deployment.urls.required("aws"),
            provider_port=int(deployment.urls.provider.rpartition(":")[2]),
            region=load_policy(policy_path).regions.primary,
            deployer=Identities.read(data_dir / IDENTITIES).deployer.environment(),
            path=basic["PATH"],
        ),
    }
    return ShellEnvironment(
        unset=[name for name in removed_names() if name not in variables], variables=variables
    )
