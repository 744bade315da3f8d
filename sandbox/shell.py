"""What a shell needs to work on a kept sandbox by hand: ``eval "$(bin/seawall env)"``."""

from __future__ import annotations

import shlex
from pathlib import Path

from sandbox.bring_up import IDENTITIES
from sandbox.environment import shell_environment
from sandbox.identities import Identities
from sandbox.kept import kept_data_dir, load_record
from sandbox.stack_environment import environment as engine_environment
from sandbox.supervisor import Sandbox
from seawall.errors import UsageError
from seawall.policy_file import load_policy

THE_USERS_OWN = ("AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN")
"""Variables that would say otherwise than those of the sandbox."""


def exports(root: Path) -> list[str]:
    """Lines for a shell that works on the kept sandbox with pulumi, chaos, locust, promtool and
    aws; raises as :func:`variables`.

    The user's own profile and session go: they would win over, or be mixed with, the deployer's
    key.
    """
    lines = [
        f"export {name}={shlex.quote(value)}" for name, value in sorted(variables(root).items())
    ]
    return [f"unset {' '.join(THE_USERS_OWN)}", *lines]


def variables(root: Path) -> dict[str, str]:
    """What such a shell needs, by name.

    Raises :class:`UsageError` if no sandbox is running, or if its stack was never brought up.
    """
    data_dir = kept_data_dir()
    if data_dir is None:
        message = "no sandbox is running"
        raise UsageError(
            message, remedy="start one with `bin/seawall up` or `bin/seawall gameday --keep`"
        )
    targets = Sandbox.attach(data_dir).targets
    if targets.urls.provider is None or not (data_dir / IDENTITIES).is_file():
        message = f"the sandbox in {data_dir} has no stack"
        raise UsageError(
            message,
            remedy="remove it with `bin/seawall down` and start another with `bin/seawall up`",
        )
    policy_path = load_record(data_dir).policy_path
    shell = shell_environment(targets)
    return {
        **shell,
        # What `locust -f loadtests/locustfile.py --headless` needs besides: the plan that the venue
        # was founded for.
        "SEAWALL_ARRIVALS": str(data_dir / "arrivals.csv"),
        "SEAWALL_CUSTOMERS": str(data_dir / "customers.csv"),
        "SEAWALL_FLOOD_OUT": str(data_dir / "flood"),
        **engine_environment(
            root=root,
            data_dir=data_dir,
            policy_path=policy_path,
            aws_endpoint=targets.urls.aws,
            provider_port=int(targets.urls.provider.rpartition(":")[2]),
            region=load_policy(policy_path).regions.primary,
            deployer=Identities.read(data_dir / IDENTITIES).deployer.environment(),
            path=shell["PATH"],
        ),
    }
