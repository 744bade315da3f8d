"""A credential in a file of its own: read whole or refused, and never shown."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from seawall.errors import UsageError

_BYTES_MAX = 4_096
"""HTTP servers take headers of some 8 KiB in all; credentials of signers have 64 characters."""
_REMEDY = "write the credential alone into that file: visible ASCII characters, on one line"
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_VISIBLE_FIRST, _VISIBLE_LAST = ord("!"), ord("~")


def read_credential(path: Path) -> str:
    """The credential in ``path``, without white space around it; a refusal never shows any of it.

    Raises :class:`UsageError` for what no header could carry, or not as it was meant.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise UsageError(
                    f"others can read {path}, and a credential is in it", remedy=f"chmod 600 {path}"
                )
            content = file.read(_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"cannot read the credential {path}: {error.strerror}") from error
    found = content.strip(b" \t\r\n")
    if len(content) > _BYTES_MAX:
        wrong = f"has more than {_BYTES_MAX:,} bytes"
    elif not found:
        wrong = "is empty"
    elif content.startswith(_BYTE_ORDER_MARKS):
        wrong = "begins with a byte order mark, as some editors write it"
    elif b"\n" in found or b"\r" in found:
        wrong = "has more than one line"
    elif not all(_VISIBLE_FIRST <= byte <= _VISIBLE_LAST for byte in found):
        wrong = "holds bytes that are no visible ASCII characters"
    else:
        return found.decode("ascii")
    raise UsageError(f"the credential {path} {wrong}", remedy=_REMEDY)
