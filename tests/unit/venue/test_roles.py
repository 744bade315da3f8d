"""The file of role URLs must be complete, and readable by its owner alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from seawall.conventions.database import ROLES, role_of
from seawall.conventions.environment import DATABASE_VARIABLE
from seawall.errors import UsageError
from seawall.formats.venue_config import database_url
from venue.genesis.roles import read_roles

URLS = {role: f"postgresql://seawall_{role}:secret@127.0.0.1/db" for role in ROLES}


def _written(path: Path, document: object, mode: int = 0o600) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    path.chmod(mode)
    return path


def test_roles_are_read_from_a_private_file(tmp_path: Path) -> None:
    """Every role, as written."""
    assert read_roles(_written(tmp_path / "roles.json", URLS)) == URLS


@pytest.mark.parametrize(
    ("document", "mode", "why"),
    [
        (URLS, 0o640, "others may read it"),
        ({"api": URLS["api"]}, 0o600, "one database URL for each of api, settler"),
        (URLS | {"owner": "x"}, 0o600, "one database URL for each of"),
        (URLS | {"api": None}, 0o600, "one database URL for each of"),
        ([], 0o600, "one database URL for each of"),
    ],
)
def test_any_other_file_is_refused_without_a_password_in_the_error(
    document: object, mode: int, why: str, tmp_path: Path
) -> None:
    """The error says what is wrong with the file."""
    with pytest.raises(UsageError, match=why) as refused:
        read_roles(_written(tmp_path / "roles.json", document, mode))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"api": "postgresql://secret", "api": "postgresql://secret"}', "the key 'api' twice"),
        ('{"api": "postgresql://secret"', "text that is not JSON"),
    ],
)
def test_a_file_that_is_no_json_or_ambiguous_is_refused(
    text: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "roles.json"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)

    with pytest.raises(UsageError, match=why) as refused:
        read_roles(path)
    assert "secret" not in str(refused.value)


def test_a_process_without_a_database_url_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A missing URL is an error of the caller."""
    monkeypatch.delenv(DATABASE_VARIABLE, raising=False)
    with pytest.raises(UsageError, match=f"{DATABASE_VARIABLE} is not set"):
        database_url()


def test_the_schema_grants_rights_to_every_role_and_to_no_other() -> None:
    """A role of the schema that nobody makes would keep genesis from its end."""
    schema = (Path(__file__).parents[3] / "venue" / "schema.sql").read_text(encoding="utf-8")
    granted = set(re.findall(r"seawall_[a-z_]+", re.sub(r"--.*", "", schema)))
    assert granted == {role_of(part) for part in ROLES}
