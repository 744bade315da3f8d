"""KMS: digests, key states, replicas and primaries, rotation, ``DryRun`` and the request quota.

Each section cites what AWS does and what moto does instead. The order in which they are installed
matters: a use of a key counts against the quota before its state is checked, and a call with
``DryRun`` passes every check of a real one.
"""

# ruff: noqa: SLF001 - moto keeps to itself what has to be replaced here

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextvars import ContextVar
from copy import deepcopy
from random import Random
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.core.exceptions import JsonRESTError
from moto.core.utils import camelcase_to_underscores, unix_time
from moto.kms.exceptions import ValidationException
from moto.kms.models import Key, KmsBackend, kms_backends
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey, RSAPrivateKey

from localaws.emulator.quota import RequestQuota


def install() -> None:
    """Install every correction of this module."""
    _install_digests()
    _install_key_state()
    _install_replicas()
    _install_dry_run()
    _install_primaries()
    _install_quotas()
    _install_rotation()


# ------------------------------------------------------------------------------------------------
# MessageType=DIGEST
#
# AWS, `Sign`: "If the value is DIGEST, KMS skips the hashing step in the signing algorithm"; a
# digest of the wrong length is refused
# (https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html). moto hashes the digest
# again, so that no chain address recovers from the signature.
# ------------------------------------------------------------------------------------------------

_message_is_digest: ContextVar[bool] = ContextVar("message_is_digest", default=False)


def _install_digests() -> None:
    """Make `Sign` and `Verify` honour ``MessageType``, for elliptic-curve and RSA keys."""
    response: Any = KmsResponse
    response.sign = _with_message_type(response.sign)
    response.verify = _with_message_type(response.verify)
    # what is replaced is private to moto
    curve, rsa = cast("Any", ECDSAPrivateKey), cast("Any", RSAPrivateKey)
    hash_of_curve = curve._ECDSAPrivateKey__hash_algorithm
    scheme_of_rsa = rsa._RSAPrivateKey__padding_and_hash_algorithm

    def curve_hash(self: Any, signing_algorithm: str) -> Any:
        algorithm = hash_of_curve(self, signing_algorithm)
        return Prehashed(algorithm) if _message_is_digest.get() else algorithm

    def rsa_scheme(self: Any, signing_algorithm: str) -> tuple[Any, Any]:
        padding, algorithm = scheme_of_rsa(self, signing_algorithm)
        return padding, Prehashed(algorithm) if _message_is_digest.get() else algorithm

    curve._ECDSAPrivateKey__hash_algorithm = curve_hash
    rsa._RSAPrivateKey__padding_and_hash_algorithm = rsa_scheme


def _with_message_type(operation: Callable[[Any], str]) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        message_type = self._get_param("MessageType") or "RAW"
        if message_type not in ("RAW", "DIGEST"):
            raise ValidationException(
                f"MessageType {message_type} is not one that the sandbox computes: RAW, DIGEST"
            )
        digest = message_type == "DIGEST"
        if digest:
            algorithm = str(self._get_param("SigningAlgorithm"))
            if len(self._get_param("Message")) * 8 != int(algorithm.rpartition("_")[2]):
                raise ValidationException(f"Digest is invalid length for algorithm {algorithm}.")
        token = _message_is_digest.set(digest)
        try:
            return operation(self)
        finally:
            _message_is_digest.reset(token)

    return answer


# ------------------------------------------------------------------------------------------------
# Key states
#
# AWS, "Key states of KMS keys": a key signs, verifies and shows its public key only while it is
# enabled; these operations fail with DisabledException on a disabled key and with
# KMSInvalidStateException on one that is pending deletion
# (https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html). moto signs with either.
# ------------------------------------------------------------------------------------------------


def _install_key_state() -> None:
    """Refuse uses of a key that is not enabled."""
    response: Any = KmsResponse
    for operation in ("sign", "verify", "get_public_key"):
        setattr(response, operation, _only_enabled(getattr(response, operation)))


def refuse_unless_enabled(key: Key) -> None:
    """Raise what KMS answers when ``key`` may not be used in its present state."""
    if key.key_state == "Disabled":
        code, message = "DisabledException", f"{key.arn} is disabled."
    elif key.key_state != "Enabled":
        state = {"PendingDeletion": "pending deletion"}.get(key.key_state, key.key_state)
        code, message = "KMSInvalidStateException", f"{key.arn} is {state}."
    else:
        return
    raise JsonRESTError(code, message)


def _only_enabled(operation: Callable[[Any], str]) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        key_id = self._get_param("KeyId")
        self._validate_key_id(key_id)
        refuse_unless_enabled(self.kms_backend.describe_key(key_id))
        return operation(self)

    return answer


# ------------------------------------------------------------------------------------------------
# ReplicateKey
#
# AWS: a replica key shares its primary's id and key material and nothing else; policy,
# description, tags, aliases and grants are its own; a key that is not multi-Region is refused, as
# is a second replica in a Region
# (https://docs.aws.amazon.com/kms/latest/APIReference/API_ReplicateKey.html). moto ignores the
# arguments, takes no ARN, and lets both keys share one set of aliases, so that the second alias of
# a name already exists.
# ------------------------------------------------------------------------------------------------


def _install_replicas() -> None:
    """Replace `ReplicateKey`."""
    response: Any = KmsResponse
    response.replicate_key = _replicate_key


def _replicate_key(self: Any) -> str:
    given, region = self._get_param("KeyId"), self._get_param("ReplicaRegion")
    self._validate_cmk_id(given)
    key_id = self.kms_backend.get_key_id(given)
    key = self.kms_backend.keys[key_id]
    if not key.multi_region:
        raise JsonRESTError(
            "UnsupportedOperationException", f"{key.arn} is not a multi-Region key."
        )
    there = kms_backends[self.current_account][region]
    if key_id in there.keys:
        raise JsonRESTError("AlreadyExistsException", f"A key {key_id} already exists in {region}.")

    replica = self.kms_backend.replicate_key(key_id, region)
    replica.policy = self._get_param("Policy") or replica.generate_default_policy()
    replica.description = self._get_param("Description") or ""
    replica.creation_date = unix_time()
    replica.aliases, replica.grants, replica.rotations = {}, {}, []
    replica.multi_region_configuration = deepcopy(key.multi_region_configuration)
    replica.multi_region_configuration["MultiRegionKeyType"] = "REPLICA"
    tags = self._get_param("Tags") or []
    if tags:
        there.tagger.tag_resource(key_id, tags)
    return json.dumps(
        {
            "ReplicaKeyMetadata": replica.to_dict()["KeyMetadata"],
            "ReplicaPolicy": replica.policy,
            "ReplicaTags": tags,
        }
    )


# ------------------------------------------------------------------------------------------------
# DryRun
#
# AWS: with ``DryRun`` a call that would succeed fails with DryRunOperationException, HTTP 412, and
# does nothing; a call that would fail does so as ever
# (https://docs.aws.amazon.com/kms/latest/developerguide/testing-permissions.html and the errors of
# https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html). moto does not know the
# argument, and acts.
# ------------------------------------------------------------------------------------------------

_COMPUTING = (
    "Sign",
    "Verify",
    "GenerateMac",
    "VerifyMac",
    "Encrypt",
    "Decrypt",
    "ReEncrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
)
"""They change nothing, so they are run for the checks of their parameters; the result is dropped.
"""
_CHANGING = ("CreateGrant", "RetireGrant", "RevokeGrant")


class _WouldSucceedError(JsonRESTError):
    code = 412

    def __init__(self) -> None:
        super().__init__(
            "DryRunOperationException",
            "The request would have succeeded, but the DryRun option is set.",
        )


def _install_dry_run() -> None:
    """Make every operation of moto that has ``DryRun`` honour it.

    Installed after the checks of keys and messages, which it runs.
    """
    response: Any = KmsResponse
    for operations, runs in ((_COMPUTING, True), (_CHANGING, False)):
        for operation in operations:
            name = camelcase_to_underscores(operation)
            setattr(response, name, _honouring(getattr(response, name), runs=runs))


def _honouring(operation: Callable[[Any], str], *, runs: bool) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        if not self._get_param("DryRun"):
            return operation(self)
        if runs:
            operation(self)
        else:
            _check_key(self)
        raise _WouldSucceedError

    return answer


def _check_key(self: Any) -> None:
    given = self._get_param("KeyId")
    if given is not None:
        self._validate_key_id(given)
        refuse_unless_enabled(cast("Any", self.kms_backend).describe_key(given))


# ------------------------------------------------------------------------------------------------
# UpdatePrimaryRegion, and ARNs as key ids
#
# AWS, `UpdatePrimaryRegion`: called in the primary's Region; the replica in the Region named
# becomes the primary, the old primary a replica; key material, policy and address stay
# (https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdatePrimaryRegion.html). A key that is
# no multi-Region primary is refused with UnsupportedOperationException, a Region without a replica
# with NotFoundException, a key about to be deleted with KMSInvalidStateException. moto has no such
# operation, and fails on an ARN in DisableKey and its like.
# ------------------------------------------------------------------------------------------------

_TAKE_ARNS = ("disable_key", "enable_key", "schedule_key_deletion", "cancel_key_deletion")


def _install_primaries() -> None:
    """Add `UpdatePrimaryRegion`; let the operations on key states take ARNs."""
    response: Any = KmsResponse
    response.update_primary_region = _update_primary_region
    backend: Any = KmsBackend
    for name in _TAKE_ARNS:
        setattr(backend, name, _with_key_id(getattr(backend, name)))


def _with_key_id(operation: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, key_id: str, *rest: Any, **more: Any) -> Any:
        return operation(self, self.get_key_id(key_id), *rest, **more)

    return call


def _update_primary_region(self: Any) -> str:
    given, region = self._get_param("KeyId"), self._get_param("PrimaryRegion")
    self._validate_cmk_id(given)
    key_id = self.kms_backend.get_key_id(given)
    key = self.kms_backend.keys[key_id]
    if not key.multi_region or key.multi_region_configuration["MultiRegionKeyType"] != "PRIMARY":
        raise JsonRESTError(
            "UnsupportedOperationException", f"{key.arn} is not a multi-Region primary key."
        )
    if region == self.region:
        raise JsonRESTError(
            "UnsupportedOperationException", f"{region} is the primary Region already."
        )
    new = kms_backends[self.current_account][region].keys.get(key_id)
    if new is None:
        raise JsonRESTError("NotFoundException", f"There is no replica of {key.arn} in {region}.")
    for each in (key, new):
        if each.key_state not in ("Enabled", "Disabled"):
            raise JsonRESTError("KMSInvalidStateException", f"{each.arn} is {each.key_state}.")
    _rearranged(_related(self.current_account, key_id), primary=new)
    return ""


def _related(account: str, key_id: str) -> list[Key]:
    backends = kms_backends[account].values()
    return [backend.keys[key_id] for backend in list(backends) if key_id in backend.keys]


def _rearranged(keys: list[Key], *, primary: Key) -> None:
    replicas = [{"Arn": key.arn, "Region": key.region} for key in keys if key is not primary]
    for key in keys:
        key.multi_region_configuration = {
            "MultiRegionKeyType": "PRIMARY" if key is primary else "REPLICA",
            "PrimaryKey": {"Arn": primary.arn, "Region": primary.region},
            "ReplicaKeys": replicas,
        }


# ------------------------------------------------------------------------------------------------
# The request quota of elliptic-curve operations
#
# AWS: "Cryptographic operations (ECC) request quota", 1,000 a second by default, shared by all ECC
# keys of an account and Region (KMS developer guide, "Request quotas"); beyond it the call fails
# with ThrottlingException and a fixed text (same guide, "Throttling AWS KMS requests"). Here it is
# a token bucket that holds one second's worth, so a burst within a second passes as it does there.
# moto never throttles. There is no quota until one is set: by ``python -m localaws.emulator
# --kms-ecc-per-s N``, or at run time by ``localaws.emulator.control``. There another tenant who
# uses it up can be let in, too: its thousands of requests a second are more than moto answers.
# ------------------------------------------------------------------------------------------------

_CURVES = "ECC_"


QUOTA = RequestQuota()
"""The quota of this process."""


class Crowding:
    """Another tenant of the account that asks for many times a Region's quota; thread-safe.

    Of requests that come in no order, KMS serves as many as fit, so each finds the quota used up
    with the same probability, whoever sent it: ``refused`` of them all. Drawn and not counted off,
    because what counts off falls into step with callers that ask at a steady pace.
    """

    def __init__(self, draw: Callable[[], float] | None = None) -> None:
        # no secret: only whom the quota meets
        self._draw = Random(0).random if draw is None else draw
        self._lock = threading.Lock()
        self._refused: dict[str, float] = {}

    def of(self, region: str) -> float | None:
        """The share of requests that is refused in ``region``; None: nobody crowds it."""
        return self._refused.get(region)

    def set(self, region: str, refused: float | None) -> bool:
        """Let a tenant crowd ``region``, or end it. False if there was nothing to end."""
        with self._lock:
            if refused is None:
                return self._refused.pop(region, None) is not None
            self._refused[region] = refused
            return True

    def refuses(self, region: str) -> bool:
        """Whether the next request in ``region`` finds the quota used up."""
        with self._lock:
            refused = self._refused.get(region)
            return refused is not None and self._draw() < refused


CROWDING = Crowding()
"""Who else uses the quota of this process's Regions."""


def _install_quotas() -> None:
    """Count what signs and verifies with elliptic-curve keys; refuse what is beyond the quota."""
    response: Any = KmsResponse
    for operation in ("sign", "verify"):
        setattr(response, operation, _counted(getattr(response, operation)))


def _counted(operation: Callable[[Any], str]) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        limited = QUOTA.per_s is not None or CROWDING.of(self.region) is not None
        if (
            limited
            and _on_curve(self)
            and (CROWDING.refuses(self.region) or not QUOTA.take(self.current_account, self.region))
        ):
            raise JsonRESTError(
                "ThrottlingException",
                "You have exceeded the rate at which you may call KMS. Reduce the "
                "frequency of your calls.",
            )
        return operation(self)

    return answer


def _on_curve(response: Any) -> bool:
    backend = response.kms_backend
    # moto has no other
    name = backend.get_key_id(backend.get_alias_name(str(response._get_param("KeyId"))))
    key = backend.keys.get(
        backend.get_key_id_from_alias(name) or "" if name.startswith("alias/") else name
    )
    return key is not None and str(key.key_spec).startswith(_CURVES)


# ------------------------------------------------------------------------------------------------
# Automatic rotation
#
# AWS, `EnableKeyRotation`: "You cannot enable automatic rotation of asymmetric KMS keys, HMAC KMS
# keys, ..."; the period is 90 to 2560 days, 365 by default, and a disabled key is refused
# (https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKeyRotation.html);
# `GetKeyRotationStatus` shows the period while rotation is on. moto rotates any key, in any state,
# and forgets the period. No time passes here: nothing ever rotates.
# ------------------------------------------------------------------------------------------------

_PERIOD_DAYS = 365
"""What KMS takes when none is given."""


def _install_rotation() -> None:
    """Replace the three operations on rotation."""
    response: Any = KmsResponse
    enable, disable = response.enable_key_rotation, response.disable_key_rotation
    response.enable_key_rotation = _of_enabled(_remembering_the_period(enable))
    response.disable_key_rotation = _of_enabled(disable)
    response.get_key_rotation_status = _status


def _rotatable(self: Any) -> Key:
    given = self._get_param("KeyId")
    self._validate_cmk_id(given)
    key: Key = self.kms_backend.describe_key(given)
    if key.key_spec != "SYMMETRIC_DEFAULT":
        raise JsonRESTError(
            "UnsupportedOperationException", f"{key.arn} is not a symmetric encryption key."
        )
    return key


def _of_enabled(operation: Callable[[Any], str]) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        refuse_unless_enabled(_rotatable(self))
        return operation(self)

    return answer


def _remembering_the_period(operation: Callable[[Any], str]) -> Callable[[Any], str]:
    def answer(self: Any) -> str:
        key: Any = _rotatable(self)
        key.rotation_period_days = self._get_param("RotationPeriodInDays") or _PERIOD_DAYS
        return operation(self)

    return answer


def _status(self: Any) -> str:
    key: Any = _rotatable(self)
    period = {"RotationPeriodInDays": key.rotation_period_days} if key.key_rotation_status else {}
    return json.dumps({"KeyId": key.id, "KeyRotationEnabled": key.key_rotation_status, **period})
