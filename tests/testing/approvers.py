"""Approvers of a test: a key for each role, and what they sign with it."""

from __future__ import annotations

from collections.abc import Iterable

from seawall.ethereum.keys import address_of_private_key, keccak256, sign_locally
from seawall.policy import Policy
from venue.contracts.approvals import Home, Message, in_order


def approver_keys(policy: Policy) -> dict[str, bytes]:
    """The private key of each approver, by role."""
    return {role: keccak256(f"approver {role}".encode()) for role in policy.approver_roles()}


def approver_addresses(policy: Policy) -> dict[str, str]:
    """The address of each approver's key, by role."""
    return {role: address_of_private_key(key) for role, key in approver_keys(policy).items()}


def signed(message: Message, home: Home, secret: bytes) -> bytes:
    """The signature of ``message`` with a key, in 65 bytes."""
    return sign_locally(message.digest(home), secret=secret).recoverable


def all_signed(message: Message, home: Home, secrets: Iterable[bytes]) -> list[bytes]:
    """The signatures of ``message`` with several keys, in the order that the contract wants."""
    return in_order(message.digest(home), [signed(message, home, secret) for secret in secrets])
