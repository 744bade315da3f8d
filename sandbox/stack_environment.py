"""What a shell needs to run `pulumi` on a sandbox by hand."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from seawall.conventions import environment as environment_names

STACK = "sandbox"
PASSPHRASE = "seawall-sandbox"  # noqa: S105 - see below
"""The sandbox's state holds no secret.

This one only satisfies the engine, and fits the salt in the committed stack file.
"""


def environment(
    *,
    root: Path,
    data_dir: Path,
    policy_path: Path,
    aws_endpoint: str,
    provider_port: int,
    region: str,
    deployer: Mapping[str, str],
    path: str | None = None,
) -> dict[str, str]:
    """Variables for `pulumi up`, `preview`, `destroy` in ``root``.

    State under ``data_dir``, the attached provider, this interpreter.

    ``aws_endpoint``: what calls AWS beside the engine, such as `aws` or a script with boto3,
    reaches the sandbox's and no other account. ``deployer``: the credentials as variables.
    ``path``: PATH with the engine and its Python language host, if it is not inherited.
    """
    home = data_dir / "pulumi-home"
    return {
        **deployer,
        **({"PATH": path} if path is not None else {}),
        environment_names.POLICY_VARIABLE: str(policy_path),
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_REGION": region,
        "PULUMI_BACKEND_URL": (data_dir / "pulumi").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_DEBUG_PROVIDERS": f"aws:{provider_port}",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_HOME": str(home),
        "PULUMI_PYTHON_CMD": sys.executable,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_STACK": STACK,
        "PYTHONPATH": str(root),
    }
