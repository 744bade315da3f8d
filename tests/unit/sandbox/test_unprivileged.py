"""PostgreSQL as an ordinary account: what root needs for it, and what is said without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import unprivileged
from sandbox.parts import postgres
from seawall.errors import WorldError

DAC_OVERRIDE, SETPCAP = 1 << 1, 1 << 8
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [(DAC_OVERRIDE | SETPCAP, True), (DAC_OVERRIDE, False), (SETPCAP, False), (0, False)],
)
def test_closed_directories_need_two_capabilities(capabilities: int, expected: bool) -> None:
    assert unprivileged.passes_closed_directories(capabilities) is expected


def test_capabilities_are_read_from_the_kernel(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tsh\nCapEff:\t0000000000000102\n")
    assert unprivileged.held(status) == DAC_OVERRIDE | SETPCAP
    assert unprivileged.held(tmp_path / "missing") == 0


def test_the_first_closed_folder_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert unprivileged.first_closed(inner / "file", below=tmp_path) is None
    inner.parent.chmod(0o700)
    assert unprivileged.first_closed(inner / "file", below=tmp_path) == inner.parent


def test_the_error_for_a_root_that_cannot_pass_names_the_closed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unprivileged, "is_root", lambda: True)
    monkeypatch.setattr(unprivileged, "held", lambda: DAC_OVERRIDE)
    monkeypatch.setattr(unprivileged, "first_closed", lambda _path: tmp_path)
    with pytest.raises(WorldError, match=r"may not enter .*CAP_SETPCAP"):
        postgres._refuse_closed_directories(tmp_path / "pg")


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_the_account_finds_programs_below_a_closed_folder(tmp_path: Path, mode: int) -> None:
    """access(2) is what PostgreSQL asks; without the securebit it fails below mode 700."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=mode)
    program = closed / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    tried = ("/bin/sh", "-c", f"id -u; test -x {program}")
    done = subprocess.run(
        [sys.executable, "-I", "-S", unprivileged.__file__, *tried],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(unprivileged.account().pw_uid)


@as_root
def test_a_nameless_user_id_gets_a_name_in_a_namespace_of_its_own() -> None:
    """PostgreSQL's initdb looks its user up; without an entry it refuses."""
    nameless = ("setpriv", "--reuid=61184", "--regid=61184", "--clear-groups")
    done = subprocess.run(
        [*nameless, "/bin/sh", "-c", f"python3 -I -S - /usr/bin/id -un < {unprivileged.__file__}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "no user namespace may be" in done.stderr:
        pytest.skip("this machine allows no user namespaces")
    assert (done.returncode, done.stdout.strip()) == (0, unprivileged.ACCOUNT), done.stderr
