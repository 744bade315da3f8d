"""What is no credential is refused with its file and what to do, and nothing of it is shown."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from seawall.errors import UsageError
from seawall.formats.credentials import read_credential

SECRET = "hunter2-and-more"


def written(folder: Path, content: bytes, *, mode: int = 0o600) -> Path:
    """A file with ``content``."""
    path = folder / "prober"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("around", ["{}", "{}\n", "{}\r\n", " {} \n\n"])
def test_a_credential_is_read_without_the_white_space_around_it(
    around: str, tmp_path: Path
) -> None:
    assert read_credential(written(tmp_path, around.format(SECRET).encode())) == SECRET


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SECRET.encode() + b"\xff", "no visible ASCII"),
        (SECRET.encode() + "\u00e9".encode(), "no visible ASCII"),
        (SECRET.encode() + b"\0", "no visible ASCII"),
        (SECRET.encode() + b"\0\n", "no visible ASCII"),
        (SECRET.encode() + b" again", "no visible ASCII"),
        (SECRET.encode() + b"\x7f", "no visible ASCII"),
        (f"{SECRET}\nX-Admin: 1\n".encode(), "more than one line"),
        (f"{SECRET}\rX-Admin: 1".encode(), "more than one line"),
        (codecs.BOM_UTF8 + SECRET.encode(), "byte order mark"),
        (SECRET.encode("utf-16"), "byte order mark"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (SECRET.encode() * 400, "more than 4,096 bytes"),
        (SECRET.encode() + b"\n" * 5_000, "more than 4,096 bytes"),
    ],
)
def test_odd_bytes_are_refused_and_not_shown(content: bytes, said: str, tmp_path: Path) -> None:
    """Some would end a header and begin another one, or break the request with a traceback."""
    path = written(tmp_path, content)

    with pytest.raises(UsageError, match=said) as refused:
        read_credential(path)

    assert str(path) in str(refused.value)
    assert "visible ASCII characters, on one line" in str(refused.value)
    assert SECRET not in repr(refused.value) + str(refused.value)
    assert refused.value.__cause__ is None


def test_what_others_can_read_or_nobody_can_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="others can read"):
        read_credential(written(tmp_path, SECRET.encode(), mode=0o640))
    with pytest.raises(UsageError, match="cannot read the credential"):
        read_credential(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot read the credential"):
        read_credential(tmp_path)
