"""Proofs of key control: the text that a key signs to show that it is usable.

The text is signed as a personal message (:func:`seawall.ethereum.keys.personal_message_hash`), which
can never be a transaction.
"""

from __future__ import annotations

import re

_HEAD = "seawall key control"
_TEXT = re.compile(
    rf"{_HEAD}\nstack: [A-Za-z0-9-]{{1,64}}\nname: [A-Za-z0-9-]{{1,64}}\nkey: [A-Za-z0-9-]{{1,64}}"
    r"\nregion: [a-z0-9-]{1,32}\ntime: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\nchallenge: [0-9a-f]{16,64}"
)


def proof_text(*, stack: str, name: str, key: str, region: str, time: str, challenge: str) -> str:
    """What the key of ``name`` (a wallet or an approver) signs.

    Raises ValueError if a part has characters of no such name.

    ``key`` is its id in KMS, ``time`` is UTC in whole seconds (``2026-11-24T20:00:00Z``),
    ``challenge`` is random hex of the asker's.
    """
    text = f"{_HEAD}\nstack: {stack}\nname: {name}\nkey: {key}\nregion: {region}\ntime: {time}\nchallenge: {challenge}"
    if not is_proof_text(text):
        message = f"not the parts of a proof of key control: {text!r}"
        raise ValueError(message)
    return text


def is_proof_text(text: str) -> bool:
    """Whether ``text`` is one that a signer may sign as a proof.

    Every line of it, and nothing else.
    """
    return _TEXT.fullmatch(text) is not None
