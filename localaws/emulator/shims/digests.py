"""``MessageType=DIGEST`` means that the message is a digest already, which KMS signs as it is.

AWS, `Sign`: "If the value is DIGEST, KMS skips the hashing step in the signing algorithm"; a digest
of the wrong length is refused (https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html).
moto hashes it again, so that no chain address recovers from the signature.
"""

# ruff: noqa: SLF001 - a shim reaches into what moto keeps to itself

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.kms.exceptions import ValidationException
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey, RSAPrivateKey

_message_is_digest: ContextVar[bool] = ContextVar("message_is_digest", default=False)


def install() -> None:
    """Make `Sign` and `Verify` honour ``MessageType``, for elliptic-curve and RSA keys."""
    response: Any = KmsResponse
    response.sign = _with_message_type(response.sign)
    response.verify = _with_message_type(response.verify)
    curve, rsa = (
        cast("Any", ECDSAPrivateKey),
        cast("Any", RSAPrivateKey),
    )  # what is replaced is private to moto
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
            message = (
                f"MessageType {message_type} is not one that the sandbox computes: RAW, DIGEST"
            )
            raise ValidationException(message)
        digest = message_type == "DIGEST"
        if digest:
            algorithm = str(self._get_param("SigningAlgorithm"))
            if len(self._get_param("Message")) * 8 != int(algorithm.rpartition("_")[2]):
                message = f"Digest is invalid length for algorithm {algorithm}."
                raise ValidationException(message)
        token = _message_is_digest.set(digest)
        try:
            return operation(self)
        finally:
            _message_is_digest.reset(token)

    return answer
