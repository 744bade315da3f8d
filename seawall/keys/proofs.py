"""Proofs of key control: the text that a key signs to show that it is usable.

The text is signed as a personal message, which can never be a transaction
(:func:`seawall.ethereum.keys.personal_message_hash`).
"""

from __future__ import annotations

import re

_HEAD = "seawall key control"
_TEXT = re.compile(
    rf"{_HEAD}\nstack: [A-Za-z0-9-]{{1,64}}\nname: [A-Za-z0-9-]{{1,64}}\nkey: [A-Za-z0-9-]{{1,64}}"
    r"\nregion: [a-z0-9-]{1,32}\ntime: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\nchallenge: [0-9a-f]{16,64}"
)


def proof_text(*, stack: str, name: str, key: str, region: str, time: str, challenge: str) -> str:
    """Return the text that a key signs as a proof.

    Args:
        stack: the stack that the key belongs to.
        name: its wallet or approver.
        key: its id in KMS.
        region: the region in which it signs.
        time: UTC in whole seconds, ``2026-11-24T20:00:00Z``.
        challenge: random hex digits, chosen by the caller of the signer.

    Raises:
        ValueError: a part has characters that it may not have.
    """
    text = (
        f"{_HEAD}\nstack: {stack}\nname: {name}\nkey: {key}"
        f"\nregion: {region}\ntime: {time}\nchallenge: {challenge}"
    )
    if not is_proof_text(text):
        raise ValueError(f"not the parts of a proof of key control: {text!r}")
    return text


def is_proof_text(text: str) -> bool:
    """Tell whether ``text`` is a whole proof and nothing else, so that a signer may sign it."""
    return _TEXT.fullmatch(text) is not None
