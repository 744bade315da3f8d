"""The text of a proof of key control says what it is for, and nothing else."""

from __future__ import annotations

import pytest

from seawall.keys.proofs import is_proof_text, proof_text

PARTS = {
    "stack": "sandbox",
    "name": "customer-aster-hot",
    "key": "mrk-0123456789abcdef",
    "region": "us-east-1",
    "time": "2026-11-24T20:00:00Z",
    "challenge": "0123456789abcdef",
}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("stack", "a\nname: b"),
        ("name", ""),
        ("time", "now"),
        ("challenge", "xyz"),
        ("region", "us east"),
        ("key", "arn:aws:kms:us-east-1:1:key/a"),
    ],
)
def test_parts_that_would_say_something_else_are_refused(part: str, value: str) -> None:
    with pytest.raises(ValueError, match="not the parts of a proof"):
        proof_text(**{**PARTS, part: value})


def test_only_whole_texts_are_proofs() -> None:
    text = proof_text(**PARTS)
    assert is_proof_text(text)
    assert not is_proof_text(text + "\n")
    assert not is_proof_text("pay " + text)
    assert not is_proof_text("hello")
