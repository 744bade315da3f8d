"""The documents of S3, as moto reads them.

Names to texts, mappings, or lists where a name comes more than once.
"""

from __future__ import annotations

from typing import Any

import xmltodict

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def parsed(body: bytes | str) -> dict[str, Any]:
    """The document in ``body``, under the name of its root."""
    tree: dict[str, Any] = xmltodict.parse(body)
    return tree


def document(root: str, content: dict[str, Any]) -> str:
    """A document as S3 answers with it."""
    text: str = xmltodict.unparse({root: {"@xmlns": _NAMESPACE, **content}})
    return text
