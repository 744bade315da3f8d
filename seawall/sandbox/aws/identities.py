"""The users that a sandbox starts with: who deploys, and who signs in each region.

``python -m seawall.sandbox.aws.identities --endpoint URL --policy FILE --out FILE``. On a real account these are made by whoever owns it;
here creating ``deployer`` is also what starts enforcement.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session as BotocoreSession
from pydantic import BaseModel, ConfigDict, Field

from seawall import conventions
from seawall.errors import SeawallError, ServiceError
from seawall.policy import Policy, load_policy
from seawall.sandbox.aws.root import ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY
from seawall.sandbox.files import write_private

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_CONFIG = Config(
    retries={"total_max_attempts": 3},
    proxies={},  # the endpoint is on loopback, whatever proxy the user's environment names
    use_fips_endpoint=False,
    use_dualstack_endpoint=False,
)


_WATCHING = ("events", "cloudtrail", "scheduler", "ecs", "backup", "backup-storage", "aps", "logs")
"""Services that watch, back up and run; their resources are not told apart by the sandbox, so they cannot be narrowed by name."""


class Identity(BaseModel):
    """A user and its access key; the secret is kept out of its repr."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    arn: str
    access_key_id: str
    secret_access_key: str = Field(repr=False)

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to be this user."""
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}


class Identities(BaseModel):
    """Everyone whom a sandbox starts with; ``signers`` by region."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployer: Identity
    signers: dict[str, Identity]

    def write(self, path: Path) -> None:
        """Write all credentials to ``path``, readable by its owner only. Raises :class:`WorldError`."""
        write_private(path, self.model_dump_json(indent=2))

    @classmethod
    def read(cls, path: Path) -> Identities:
        """What :meth:`write` wrote."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


def create_identities(*, endpoint: str, policy: Policy) -> Identities:
    """Make the users of ``policy`` in the account behind ``endpoint``, with a key each. Raises :class:`ServiceError`."""
    try:
        iam = _session().client(
            "iam", endpoint_url=endpoint, region_name=policy.regions.primary, aws_access_key_id=ROOT_ACCESS_KEY_ID,
            aws_secret_access_key=ROOT_SECRET_ACCESS_KEY, config=_CONFIG,
        )  # fmt: skip
        signers = {
            region: _create(iam, conventions.signer_user(region), _may_assume(policy, region))
            for region in (policy.regions.primary, policy.regions.standby)
        }
        return Identities(deployer=_create(iam, conventions.DEPLOYER, _may_deploy()), signers=signers)
    except (ClientError, BotoCoreError) as error:
        message = f"the sandbox's AWS refused to make its users: {error}"
        raise ServiceError(message) from error


def _session() -> boto3.Session:
    """A session that knows nothing of the user's own AWS, neither profile nor files; it runs in the user's environment."""
    return boto3.Session(
        botocore_session=BotocoreSession(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
    )


def _create(iam: IAMClient, name: str, statements: list[dict[str, Any]]) -> Identity:
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    document = {"Version": "2012-10-17", "Statement": statements}
    iam.put_user_policy(UserName=name, PolicyName=conventions.PREFIX, PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Identity(user=name, arn=arn, access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])


def _may_assume(policy: Policy, region: str) -> list[dict[str, Any]]:
    """A signer is nobody but the roles of its region."""
    roles = [
        f"arn:aws:iam::*:role/{conventions.signer_role(policy.venue.name, wallet, region)}"
        for wallet in policy.signing_wallets()
    ]
    return [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": roles}]


_RAILS = ("sqs", "ssm", "secretsmanager", "route53")
"""Services of the rails; which resource a request to them names is not known here."""
_MANAGED_POLICIES = [
    f"iam:{operation}"
    for operation in (
        "CreatePolicy", "GetPolicy", "DeletePolicy", "TagPolicy", "UntagPolicy",
        "CreatePolicyVersion", "GetPolicyVersion", "ListPolicyVersions", "DeletePolicyVersion",
    )
]  # fmt: skip
"""What is done to managed policies by name or ARN."""


def _may_deploy() -> list[dict[str, Any]]:
    """The deployer makes and removes everything of ours, and signs with nothing."""
    return [
        {"Effect": "Deny", "Action": ["kms:Sign", "sts:AssumeRole"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["kms:*", "sns:*", "cloudwatch:*"], "Resource": "*"},
        {"Effect": "Allow", "Action": [f"{service}:*" for service in _WATCHING], "Resource": "*"},
        {"Effect": "Allow", "Action": [f"{service}:*" for service in _RAILS], "Resource": "*"},
        {"Effect": "Allow", "Action": "iam:*", "Resource": f"arn:aws:iam::*:role/{conventions.PREFIX}-*"},
        {"Effect": "Allow", "Action": _MANAGED_POLICIES, "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{conventions.PREFIX}-*"},
    ]


def main() -> int:
    """Command line; the exit code is that of the error met, if any."""
    parser = argparse.ArgumentParser(prog="python -m seawall.sandbox.aws.identities", description=__doc__)
    parser.add_argument("--endpoint", required=True, help="where the sandbox's AWS listens")
    parser.add_argument("--policy", type=Path, required=True, help="the policy whose regions and wallets count")
    parser.add_argument("--out", type=Path, required=True, help="file for the credentials, written with mode 0600")
    arguments = parser.parse_args()
    try:
        create_identities(endpoint=arguments.endpoint, policy=load_policy(arguments.policy)).write(arguments.out)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
