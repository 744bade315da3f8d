"""The values of condition keys in one request, worked out only when a policy tests them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html and the
services' own keys. Each key of ``seawall.iam.condition_keys`` must have its value here or be absent
on AWS too. The emulator speaks plain HTTP on loopback; ``aws:SecureTransport`` is true all the
same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from localaws.emulator.authorization.call import ApiCall
from localaws.emulator.authorization.callers import Caller
from localaws.emulator.authorization.resources.requested import RequestedResource
from seawall.iam.request import ContextValue, UnevaluatedElementError

_PARAMETERS = {
    "kms:bypasspolicylockoutsafetycheck": "BypassPolicyLockoutSafetyCheck",
    "kms:grantoperations": "Operations",
    "kms:granteeprincipal": "GranteePrincipal",
    "kms:primaryregion": "PrimaryRegion",
    "kms:replicaregion": "ReplicaRegion",
    "kms:retiringprincipal": "RetiringPrincipal",
    "kms:signingalgorithm": "SigningAlgorithm",
    "iam:awsservicename": "AWSServiceName",
    "iam:policyarn": "PolicyArn",
    "sts:externalid": "ExternalId",
    "sts:rolesessionname": "RoleSessionName",
    "sts:transitivetagkeys": "TransitiveTagKeys",
    "sns:endpoint": "Endpoint",
    "sns:protocol": "Protocol",
    "secretsmanager:versionid": "VersionId",
    "secretsmanager:versionstage": "VersionStage",
    "secretsmanager:name": "Name",
    "secretsmanager:kmskeyid": "KmsKeyId",
    "secretsmanager:recoverywindowindays": "RecoveryWindowInDays",
    "secretsmanager:forcedeletewithoutrecovery": "ForceDeleteWithoutRecovery",
    "secretsmanager:blockpublicpolicy": "BlockPublicPolicy",
    "cloudwatch:namespace": "Namespace",
    "ssm:overwrite": "Overwrite",
    "ssm:recursive": "Recursive",
}
"""Keys that are a parameter of the request, to the service of their prefix only."""
_LISTS = frozenset({"kms:grantoperations", "sts:transitivetagkeys"})
_DEFAULTS = {
    ("Sign", "kms:messagetype"): ("MessageType", "RAW"),
    ("Verify", "kms:messagetype"): ("MessageType", "RAW"),
    ("ScheduleKeyDeletion", "kms:schedulekeydeletionpendingwindowindays"): (
        "PendingWindowInDays",
        "30",
    ),
}
"""Parameters that stand for a value where they are left out (KMS API reference)."""
_ENCRYPTION = "kms:encryptioncontext"
_GRANTING = frozenset({"CreateGrant", "ListGrants", "RevokeGrant"})


class RequestContext(Mapping[str, ContextValue]):
    """Every condition key that is present in a request, by its name in lower case."""

    def __init__(self, call: ApiCall, caller: Caller, asked: RequestedResource) -> None:
        self._call = call
        self._caller = caller
        self._resource = asked
        self._known: dict[str, ContextValue | None] = {}

    def __getitem__(self, key: str) -> ContextValue:
        if key not in self._known:
            self._known[key] = self._value(key)
        found = self._known[key]
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return (key for key, value in self._known.items() if value is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _value(self, key: str) -> ContextValue | None:
        found = self._resource.context.get(key) or self._caller.context.get(key)
        if found is not None:
            return found
        if "/" in key:
            return self._tag(key)
        prefix = key.partition(":")[0]
        if prefix == "aws":
            return self._global(key)
        return self._of_the_service(key) if prefix == self._call.service else None

    def _tag(self, key: str) -> str | None:
        kind, _, name = key.partition("/")
        tags: Mapping[str, str]
        if kind == "aws:principaltag":
            tags = self._caller.tags
        elif kind == "aws:requesttag":
            tags = self._call.request_tags
        elif kind != "aws:resourcetag" and kind.partition(":")[0] != self._call.service:
            return None
        elif self._resource.tags is None:
            raise UnevaluatedElementError(
                f"{key} on {self._resource.arn or 'a resource that is not known'}"
            )
        else:
            tags = self._resource.tags()
        return next((value for tag, value in tags.items() if tag.lower() == name), None)

    def _global(self, key: str) -> ContextValue | None:
        now = datetime.now(UTC)
        known: dict[str, ContextValue] = {
            "aws:requestedregion": self._resource.region or self._region(),
            "aws:resourceaccount": self._call.account,
            "aws:securetransport": "true",
            "aws:currenttime": now.isoformat(timespec="seconds"),
            "aws:epochtime": str(int(now.timestamp())),
            "aws:sourceip": str(
                self._call.response.normalized_request.environ.get("REMOTE_ADDR", "127.0.0.1")
            ),
            "aws:tagkeys": self._call.tag_keys if self._call.service != "s3" else (),
        }
        return known.get(key) or None

    def _encryption(self, key: str) -> ContextValue | None:
        """Encryption contexts are for symmetric keys.

        Their names are case-sensitive, those of condition keys are not.
        """
        given = {
            name.lower(): str(value)
            for name, value in (self._call.parameters.get("EncryptionContext") or {}).items()
        }
        if key == f"{_ENCRYPTION}keys":
            return tuple(self._call.parameters.get("EncryptionContext") or ())
        return given.get(key.removeprefix(f"{_ENCRYPTION}:"))

    def _region(self) -> str:
        """The value of aws:RequestedRegion.

        IAM is global, and answers from us-east-1 (reference_policies_condition-keys.html,
        aws:RequestedRegion).
        """
        return "us-east-1" if self._call.service in ("iam", "route53") else self._call.region

    def _of_the_service(self, key: str) -> ContextValue | None:
        call = self._call
        if key == "kms:calleraccount":
            return self._caller.principal.account
        if key.startswith(_ENCRYPTION):
            return self._encryption(key)
        if key == "ecs:cluster":
            named = call.value("cluster") or "default"
            return (
                named
                if named.startswith("arn:")
                else call.arn("ecs:{region}:{account}:cluster/{value}", named)
            )
        if key == "kms:grantisforawsresource":
            return "false" if call.operation in _GRANTING else None
        if key == "secretsmanager:secretid":
            return self._resource.arn if "SecretId" in call.parameters else None
        if key == "iam:policyarn" and not call.operation.startswith(("Attach", "Detach")):
            return None
        if (call.operation, key) in _DEFAULTS:
            parameter, default = _DEFAULTS[call.operation, key]
            return call.value(parameter) or default
        parameter = _PARAMETERS.get(key, "")
        if key in _LISTS:
            return tuple(call.values(parameter)) or None
        return call.value(parameter) if parameter else None
