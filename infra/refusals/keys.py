"""Rules for keys: a signing key is an address, so what cannot be corrected later is refused.

A single-Region key can never become a multi-Region one (KMS developer guide, "Multi-Region keys"),
another spec or usage is another key (API reference, CreateKey), and KMS rotates no asymmetric key
("Rotating AWS KMS keys").
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.refusals.declared import UNKNOWN, Declared, Demands
from seawall.iam.documents import UnreadableError, read

KEY = "aws:kms/key:Key"
REPLICA = "aws:kms/replicaKey:ReplicaKey"
_SPEC, _USAGE = "ECC_SECG_P256K1", "SIGN_VERIFY"
_SYMMETRIC = "SYMMETRIC_DEFAULT"
_ROTATION = ("enableKeyRotation", "rotationPeriodInDays")
_OTHER_MATERIAL = frozenset(
    {"aws:kms/externalKey:ExternalKey", "aws:kms/replicaExternalKey:ReplicaExternalKey"}
)


def judge_key(resource: Declared, demands: Demands) -> Iterator[str]:
    """Spec, usage, regions, rotation, policy and deletion window of a key or a replica."""
    if resource.kind in _OTHER_MATERIAL:
        yield "key material made elsewhere has been seen elsewhere; let KMS make it"
    if resource.kind not in (KEY, REPLICA):
        return
    if resource.kind == KEY:
        yield from _nature(resource, demands)
    if resource.is_known("policy") and not _has_statements(resource.given("policy")):
        yield "no policy: KMS would give it one that lets the whole account use it; say who may"
    window = resource.given("deletionWindowInDays")
    if resource.is_known("deletionWindowInDays") and (
        window is None or window < demands.key_window_days
    ):
        yield (
            f"deletion window of {window if window is not None else 'no'} days; this stack "
            f"demands {demands.key_window_days}"
        )


def _nature(key: Declared, demands: Demands) -> Iterator[str]:
    spec = key.given("customerMasterKeySpec") or _SYMMETRIC
    if key.name in demands.signing_keys:
        if key.is_known("customerMasterKeySpec") and spec != _SPEC:
            yield f"spec {spec}; a key that signs for a chain is {_SPEC}"
        if key.is_known("keyUsage") and key.given("keyUsage") != _USAGE:
            yield (
                f"usage {key.given('keyUsage') or 'ENCRYPT_DECRYPT'}; a key that signs is {_USAGE}"
            )
        if key.is_known("multiRegion") and key.given("multiRegion") is not True:
            yield "single-Region, and can never be converted; write multi_region=True"
    rotates = [name for name in _ROTATION if key.given(name) not in (None, False, UNKNOWN)]
    if spec not in (_SYMMETRIC, UNKNOWN) and rotates:
        yield (
            f"{' and '.join(rotates)} on an asymmetric key, which is never rotated: another key "
            "is another address"
        )
    if key.given("isEnabled") is False:
        yield "declared as disabled; stop a signer at the signer, and a key by break-glass"
    if key.given("bypassPolicyLockoutSafetyCheck") is True:
        yield "bypasses the check that its policy can still be changed"


def _has_statements(policy: object) -> bool:
    """Whether ``policy`` is a document with at least one statement."""
    try:
        return bool(read(str(policy)))
    except UnreadableError:
        return False
