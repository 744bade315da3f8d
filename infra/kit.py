"""The offline kit: the documents that people need when nothing else answers.

It holds runbooks, signing procedures, recovery steps, the contact tree and the policy. There is one
copy in each region, under a key with which one role alone may decrypt.

Why a key and not only the bucket's policy: S3 asks for s3:GetObject also to read an object's head,
which is needed to manage the objects (API reference, HeadObject). So the deployer may read heads
and write, and cannot read contents: that needs kms:Decrypt, which only the role has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.bucket import BucketArgs, LockedBucket, deny_removal
from infra.documents import Statement, document, trust
from infra.roles import BoundedRole
from infra.settings import Deletion
from seawall.conventions import aws as aws_names
from seawall.errors import UsageError
from seawall.policy import Policy

RUNBOOKS = Path("docs") / "runbooks"
NEEDED = ("signing-procedures.md", "recovery-steps.md")
"""Documents without which the kit is useless."""
_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
_ADMINISTER = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKeyRotation",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
    "kms:EnableKey",
    "kms:DisableKey",
]


@dataclass(frozen=True, kw_only=True)
class KitArgs:
    """The inputs of a :class:`Kit`.

    Args:
        files: text by path, the digest list among them.
        trusted: ARN of the principal that may take on the role that reads.
        deployer: ARN of the principal that writes.
        retention_days: how long a new version is locked.
        lock_mode: GOVERNANCE or COMPLIANCE.
        remover: ARN of the principal that may remove versions of a disposable stack; None in a
            protected stack, where none may.
    """

    venue: str
    regions: Sequence[str]
    account: str
    files: Mapping[str, str]
    trusted: str
    deployer: str
    retention_days: int
    lock_mode: str
    remover: str | None
    deletion: Deletion
    tags: Mapping[str, str]


class Kit(pulumi.ComponentResource):
    """The copies of the kit, their keys, and the role that reads them.

    Attributes:
        outputs: the bucket by region, the role's ARN, and the digest by path.
    """

    outputs: dict[str, Any]

    def __init__(self, name: str, args: KitArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Kit", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        buckets = {
            region: aws_names.kit_bucket(args.venue, region, args.account)
            for region in args.regions
        }
        reach = reading(
            buckets.values(),
            [f"arn:aws:kms:{region}:{args.account}:key/*" for region in args.regions],
        )
        self._role = self._reader(reach)
        keys = {region: self._key(region) for region in args.regions}
        for region, bucket in buckets.items():
            self._copy(region, bucket, keys[region].arn)
        allowed = pulumi.Output.all(*(key.arn for key in keys.values())).apply(
            lambda arns: document(*reading(buckets.values(), arns))
        )
        aws.iam.RolePolicy(
            "kit", role=self._role.name, name="read", policy=allowed, opts=self._child
        )
        self.outputs = {
            "buckets": buckets,
            "role": self._role.arn,
            "digests": digests_of(args.files),
        }
        self.register_outputs(self.outputs)

    def _reader(self, reach: Sequence[Statement]) -> aws.iam.Role:
        args = self._args
        role = BoundedRole(
            venue=args.venue,
            account=args.account,
            name=aws_names.kit_role(args.venue),
            trust=trust(args.trusted),
            reach=reach,
            tags=args.tags,
        )
        return role.declare("kit", parent=self)

    def _key(self, region: str) -> aws.kms.Key:
        args = self._args
        key = aws.kms.Key(
            f"kit-{region}",
            region=region,
            description=f"Encrypts the offline kit of {args.venue} in {region}",
            policy=self._role.arn.apply(
                lambda reader: key_policy(account=args.account, reader=reader, writer=args.deployer)
            ),
            enable_key_rotation=True,
            deletion_window_in_days=args.deletion.key_window_days,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.deletion.protect),
        )
        alias = aws_names.kit_alias(args.venue)
        aws.kms.Alias(
            f"kit-{region}", region=region, name=alias, target_key_id=key.key_id, opts=self._child
        )
        return key

    def _copy(self, region: str, name: str, key: pulumi.Output[str]) -> None:
        args = self._args
        arn = f"arn:aws:s3:::{name}"
        reader = f"arn:aws:iam::{args.account}:role/{aws_names.kit_role(args.venue)}"
        bucket = LockedBucket(
            f"kit-{region}",
            BucketArgs(
                bucket=name,
                region=region,
                retention_days=args.retention_days,
                lock_mode=args.lock_mode,
                protect=args.remover is None,
                # the current version of a runbook may be old and is needed all the same
                expires=False,
                key=key,
                statements=[
                    *deny_removal(arn, unless=args.remover),
                    *reading_and_writing(arn, reader=reader, writer=args.deployer),
                ],
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[self._role]),
        )
        # A version under lock cannot be removed, so the object of a deleted runbook stays; the
        # digest list says which objects count.
        opts = pulumi.ResourceOptions(
            parent=self, depends_on=bucket.ready, retain_on_delete=args.remover is None
        )
        digests = digests_of(args.files)
        for path, text in args.files.items():
            aws.s3.BucketObjectv2(
                f"{path}-{region}",
                region=region,
                bucket=bucket.bucket,
                key=path,
                content=text,
                content_type="application/json"
                if path.endswith(".json")
                else "text/plain; charset=utf-8",
                # A refresh does not read the content of an object, but it reads the metadata: with
                # the digest there, a changed text is drift that an `up` corrects.
                metadata={aws_names.KIT_DIGEST: digests[path]},
                force_destroy=args.remover is not None,
                opts=opts,
            )


def key_policy(*, account: str, reader: str, writer: str) -> str:
    """The account administers and cannot decrypt, the writer encrypts, the reader decrypts."""
    return document(
        {
            "Sid": "Administer",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": _ADMINISTER,
            "Resource": "*",
        },
        {
            "Sid": "Write",
            "Effect": "Allow",
            "Principal": {"AWS": writer},
            "Action": ["kms:GenerateDataKey"],
            "Resource": "*",
        },
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Principal": {"AWS": reader},
            "Action": ["kms:Decrypt"],
            "Resource": "*",
        },
        {
            "Sid": "NobodyElseReads",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["kms:Decrypt", "kms:ReEncryptFrom", "kms:CreateGrant"],
            "Resource": "*",
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": reader}},
        },
    )


def reading_and_writing(arn: str, *, reader: str, writer: str) -> list[Statement]:
    """Statements by which only ``reader`` and ``writer`` reach the objects of bucket ``arn``.

    The writer reads their heads and, without the key, nothing else (see the module's docstring).
    """
    everybody = {"Effect": "Deny", "Principal": "*", "Resource": f"{arn}/*"}
    return [
        {
            **everybody,
            "Sid": "NobodyElseReads",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [reader, writer]}},
        },
        {
            **everybody,
            "Sid": "NobodyElseWrites",
            "Action": ["s3:PutObject"],
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": writer}},
        },
    ]


def reading(buckets: Iterable[str], keys: Sequence[str]) -> list[Statement]:
    """The permissions of the kit's role: list and read the copies."""
    arns = [f"arn:aws:s3:::{bucket}" for bucket in buckets]
    return [
        {"Sid": "List", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": arns},
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": [f"{arn}/*" for arn in arns],
        },
        {"Sid": "Decrypt", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": list(keys)},
    ]


def contents_of(policy: Policy, *, repository: Path) -> dict[str, str]:
    """What the kit holds: text by path, the digest list last.

    Raises :class:`UsageError` if a document is missing.
    """
    found = {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted((repository / RUNBOOKS).glob("*.md"))
    }
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise UsageError(
            f"the offline kit lacks {', '.join(missing)}",
            remedy=f"write them in {RUNBOOKS}; in an emergency nobody will",
        )
    files = {f"runbooks/{name}": text for name, text in found.items()}
    files["contacts.md"] = contacts(policy)
    files["policy.json"] = (
        json.dumps(
            policy.model_dump(mode="json", by_alias=True),
            indent=1,
            sort_keys=True,
            ensure_ascii=False,
        )
        + "\n"
    )
    return {**files, aws_names.DIGEST_LIST: digest_list(files)}


def digests_of(files: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 by path, of the bytes as they are stored."""
    return {path: hashlib.sha256(text.encode()).hexdigest() for path, text in sorted(files.items())}


def digest_list(files: Mapping[str, str]) -> str:
    """The input of `sha256sum -c`: a line per file, the digest, two blanks, the path."""
    return "".join(f"{digest}  {path}\n" for path, digest in digests_of(files).items())


def contacts(policy: Policy) -> str:
    """The contact tree: who is reached how, who is paged by what, and who may approve what."""
    lines = [
        f"# Contacts of {policy.venue.name}",
        "",
        f"Policy {policy.policy}, digest {policy.digest}.",
        "",
        "## Roles",
        "",
    ]
    for name, role in sorted(policy.roles.items()):
        owned = sorted(
            bucket for bucket, declared in policy.buckets.items() if declared.owner == name
        )
        lines.append(
            f"- **{name}**: {role.email}" + (f"; owns {', '.join(owned)}" if owned else "")
        )
    lines += ["", "## Who is paged by what", ""]
    for trigger in policy.triggers:
        lines.append(f"- {trigger.name} ({trigger.severity}): {', then '.join(trigger.pages)}")
    lines += ["", "## Who approves", ""]
    for name, lane in (
        ("routine", policy.approvals.routine),
        ("emergency", policy.approvals.emergency),
    ):
        lines.append(
            f"- {name}: {lane.needed} of {', '.join(lane.approvers)};"
            f" up to {lane.value_max} {policy.venue.unit_of_account} of an asset out of a reserve"
            f" in {lane.window / _HOUR_MS:g} h, {lane.cooling / _MINUTE_MS:g} min after it is"
            " proposed"
        )
    return "\n".join(lines) + "\n"
