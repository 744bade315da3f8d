"""The users that a sandbox starts with: who deploys, and who may take on each role of the stack.

``python -m sandbox.identities --endpoint URL --policy FILE --out FILE``. On a real account its
owner makes these; here creating ``deployer`` is also what starts enforcement.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field

from sandbox.aws_root import root_client
from seawall.conventions import aws
from seawall.errors import SeawallError, ServiceError
from seawall.formats.atomic import write_private
from seawall.keys import access
from seawall.policy import Policy
from seawall.policy_file import load_policy

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_CALLS_AT_ONCE = 8


class Identity(BaseModel):
    """A user and its access key; the secret is kept out of its repr."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    arn: str
    access_key_id: str
    secret_access_key: str = Field(repr=False)

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to be this user."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }


class Identities(BaseModel):
    """Everyone whom a sandbox starts with.

    ``signers`` by region and bucket, ``admins`` and ``break_glass`` by bucket, ``approvers`` by
    role.

    ``rails`` by region: who pays over the rails there; what it may do stands in the policies of
    secrets and queues, and it may read the rails' settings. ``treasury`` by region: who runs the
    treasury there, and reads its secrets likewise. ``backups``: who backs up the database.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployer: Identity
    signers: dict[str, dict[str, Identity]]
    admins: dict[str, Identity]
    break_glass: dict[str, Identity]
    kit: Identity
    approvers: dict[str, Identity]
    gamedays: Identity
    faults: Identity
    audit: Identity
    rails: dict[str, Identity]
    treasury: dict[str, Identity]
    backups: Identity

    def principals(self) -> dict[str, Any]:
        """ARNs of the users who may assume the stack's roles, as in ``seawall:principals``."""
        return {
            "signers": {region: _arns(by_bucket) for region, by_bucket in self.signers.items()},
            "admins": _arns(self.admins),
            "breakGlass": {**_arns(self.break_glass), aws.KIT: self.kit.arn},
            "approvers": _arns(self.approvers),
            "gamedays": self.gamedays.arn,
            "faults": self.faults.arn,
            "audit": self.audit.arn,
            "rails": _arns(self.rails),
            "treasury": _arns(self.treasury),
            "deployer": self.deployer.arn,
        }

    def write(self, path: Path) -> None:
        """Write all credentials to ``path``, readable by its owner only.

        Raises :class:`WorldError`.
        """
        write_private(path, self.model_dump_json(indent=2))

    def write_profiles(self, path: Path, *, policy: Policy, account: str, endpoint: str) -> None:
        """Write an AWS configuration with a profile for each principal, called like its role.

        A profile assumes the role as the user who may, at ``endpoint``. Mode 0600.
        Format: AWS SDKs reference guide, "Shared config and credentials files". Raises
        :class:`WorldError`.
        """
        region, users, profiles = policy.regions.primary, dict[str, Identity](), list[str]()
        for principal in access.principals(policy):
            user = self._user_of(principal)
            users[user.user] = user
            profiles.append(
                f"[profile {principal.name}]\nrole_arn = {principal.arn(account)}\n"
                f"source_profile = user-{user.user}\nrole_session_name = seawall\n"
                f"region = {region}\nendpoint_url = {endpoint}\n"
            )
        named = {f"user-{name}": user for name, user in users.items()}
        for profile, user in {**named, access.DEPLOYER.name: self.deployer}.items():
            profiles.append(
                f"[profile {profile}]\naws_access_key_id = {user.access_key_id}\n"
                f"aws_secret_access_key = {user.secret_access_key}\n"
                f"region = {region}\nendpoint_url = {endpoint}\n"
            )
        write_private(path, "\n".join(profiles))

    def _user_of(self, principal: access.Principal) -> Identity:
        """The user who may take on the role of ``principal``. Raises KeyError if none may."""
        bucket = str(principal.bucket)
        match principal.kind:
            case "signer":
                return self.signers[str(principal.region)][bucket]
            case "admin":
                return self.admins[bucket]
            case "break-glass":
                return self.break_glass[bucket]
            case "approver":
                return self.approvers[str(principal.approver)]
            case "kit":
                return self.kit
            case "gameday":
                return self.gamedays
            case "fault":
                return self.faults
            case "audit":
                return self.audit
            case _:
                return self.deployer

    @classmethod
    def read(cls, path: Path) -> Identities:
        """What :meth:`write` wrote."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


def create_identities(*, endpoint: str, policy: Policy) -> Identities:
    """Make the users of ``policy`` in the account behind ``endpoint``, with a key each.

    Raises :class:`ServiceError`.
    """
    try:
        iam = root_client(
            "iam", endpoint=endpoint, region=policy.regions.primary, calls_at_once=_CALLS_AT_ONCE
        )
        with ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="iam") as pool:
            made = {
                user: pool.submit(_create, iam, user, may) for user, may in _users(policy).items()
            }
            people = {user: each.result() for user, each in made.items()}
        # Last, because its existence starts enforcement.
        deployer = _create(iam, aws.DEPLOYER, _may_deploy())
    except (ClientError, BotoCoreError) as error:
        message = f"the sandbox's AWS refused to make its users: {error}"
        raise ServiceError(message) from error
    buckets = access.key_buckets(policy)
    return Identities(
        deployer=deployer,
        signers={
            region: {bucket: people[aws.signer_user(bucket, region)] for bucket in buckets}
            for region in access.regions(policy)
        },
        admins={bucket: people[aws.admin_user(bucket)] for bucket in buckets},
        break_glass={bucket: people[aws.break_glass_user(bucket)] for bucket in buckets},
        kit=people[aws.KIT_USER],
        approvers={role: people[aws.approver_user(role)] for role in policy.approver_roles()},
        gamedays=people[aws.GAMEDAY_USER],
        faults=people[aws.FAULT_USER],
        audit=people[aws.AUDIT_USER],
        rails={region: people[aws.rails_user(region)] for region in access.regions(policy)},
        treasury={region: people[aws.treasury_user(region)] for region in access.regions(policy)},
        backups=people[aws.BACKUP_USER],
    )


def _users(policy: Policy) -> dict[str, list[dict[str, Any]]]:
    """Every user but the deployer, and what it may do by itself.

    Take on its own roles, and nothing else.

    Who pays over the rails has none: secrets and queues name it, and of parameters, which have no
    policies of their own, it may read the rails'. Nor has who runs the treasury: its secrets name
    it. Who backs up the database has none either: it adds to the bucket of backups and reads it,
    and can remove nothing.
    """
    roles: dict[str, list[str]] = {}
    for principal in access.principals(policy):
        roles.setdefault(_user_of(principal), []).append(f"arn:aws:iam::*:role/{principal.name}")
    settings = aws.rail_parameter(policy.venue.name, "*")
    backups = f"arn:aws:s3:::{aws.backup_bucket(policy.venue.name, policy.regions.primary, '*')}"
    return {
        **{
            user: [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arns}]
            for user, arns in roles.items()
        },
        **{
            aws.rails_user(region): [
                {
                    "Effect": "Allow",
                    "Action": "ssm:GetParameter",
                    "Resource": f"arn:aws:ssm:{region}:*:parameter{settings}",
                }
            ]
            for region in access.regions(policy)
        },
        **{aws.treasury_user(region): [] for region in access.regions(policy)},
        aws.BACKUP_USER: [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"],
                "Resource": [backups, f"{backups}/*"],
            }
        ],
    }


def _user_of(principal: access.Principal) -> str:
    bucket, approver = str(principal.bucket), str(principal.approver)
    return {
        "signer": aws.signer_user(bucket, str(principal.region)),
        "admin": aws.admin_user(bucket),
        "break-glass": aws.break_glass_user(bucket),
        "approver": aws.approver_user(approver),
        "kit": aws.KIT_USER,
        "gameday": aws.GAMEDAY_USER,
        "fault": aws.FAULT_USER,
        "audit": aws.AUDIT_USER,
        "deployer": aws.DEPLOYER,
    }[principal.kind]


def _arns(people: Mapping[str, Identity]) -> dict[str, str]:
    return {name: identity.arn for name, identity in people.items()}


def _create(iam: IAMClient, name: str, statements: list[dict[str, Any]]) -> Identity:
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    document = {"Version": "2012-10-17", "Statement": statements}
    if statements:
        iam.put_user_policy(
            UserName=name, PolicyName=aws.PREFIX, PolicyDocument=json.dumps(document)
        )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Identity(
        user=name,
        arn=arn,
        access_key_id=key["AccessKeyId"],
        secret_access_key=key["SecretAccessKey"],
    )


def _may_deploy() -> list[dict[str, Any]]:
    """Statements for the deployer, who creates and deletes all resources of the stack.

    It signs with no key, assumes no role and changes no user. Permissions are scoped by resource
    name where the request has one; requests that create or list are scoped by action.
    """
    ours = aws.PREFIX
    by_name = {
        "iam": [f"arn:aws:iam::*:{kind}/{ours}-*" for kind in ("role", "policy")],
        "s3": [f"arn:aws:s3:::{ours}-*"],
    }
    by_action = (
        "kms",
        "sns",
        "cloudwatch",
        "cloudtrail",
        "events",
        "sqs",
        "secretsmanager",
        "ssm",
        "route53",
        "aps",
        "backup",
        "backup-storage",
        "scheduler",
        "ecs",
        "logs",
    )
    return [
        {"Effect": "Deny", "Action": ["kms:Sign", "sts:AssumeRole"], "Resource": "*"},
        *(
            {"Effect": "Allow", "Action": f"{service}:*", "Resource": arns}
            for service, arns in by_name.items()
        ),
        {"Effect": "Allow", "Action": [f"{service}:*" for service in by_action], "Resource": "*"},
        {"Effect": "Allow", "Action": ["s3:ListAllMyBuckets", "iam:ListPolicies"], "Resource": "*"},
    ]


def main() -> int:
    """Command line; the exit code is that of the error met, if any."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.identities", description=__doc__)
    parser.add_argument("--endpoint", required=True, help="where the sandbox's AWS listens")
    parser.add_argument(
        "--policy", type=Path, required=True, help="the policy whose regions and wallets count"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="file for the credentials, written with mode 0600"
    )
    arguments = parser.parse_args()
    try:
        create_identities(endpoint=arguments.endpoint, policy=load_policy(arguments.policy)).write(
            arguments.out
        )
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
