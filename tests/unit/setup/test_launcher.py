"""``bin/seawall``: which Python and which environment it uses, and the exit code of a failure."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seawall.cache import repository_root
from seawall.setup import bootstrap

LAUNCHER = repository_root() / "bin" / "seawall"
TOOLS = ("env", "bash", "dirname", "readlink", "cat", "sha256sum", "uname")
"""All that the launcher needs besides a Python."""
STARTED = '#!/bin/bash\n[[ "$*" == *-m* ]] || exit 0\n'
"""Begins a fake interpreter that prints nothing when it is only asked whether it starts."""
REMADE = "the environment was made anew"


class Machine:
    """A PATH with the launcher's tools and the test's own Pythons, and an empty cache."""

    def __init__(self, folder: Path) -> None:
        self.path, self.cache = folder / "path", folder / "cache"
        self.path.mkdir()
        for name in TOOLS:
            found = shutil.which(name)
            assert found is not None
            (self.path / name).symlink_to(found)

    def python(self, name: str, *, version: str, bootstrap_says: str = "exit 7") -> None:
        """Put a Python of ``version`` on PATH that answers the two questions the launcher asks."""
        body = (
            '#!/bin/bash\ncase "$*" in\n'
            f"*version_info*) echo {version} ;;\n*) {bootstrap_says} ;;\nesac\n"
        )
        self._script(self.path / name, body)

    def environment(self, interpreter: str) -> Path:
        """A complete environment in the cache whose interpreter is this script."""
        name = f"{bootstrap.environment_key()}-cpython-311-{platform.machine()}"
        folder = self.cache / "seawall" / "python" / name
        (folder / "bin").mkdir(parents=True)
        (folder / bootstrap.MARKER).touch()
        self._script(folder / "bin" / "python", interpreter)
        return folder

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the launcher; ``variables`` are added to PATH and the cache's, empty ones removed."""
        env = {"PATH": str(self.path), "XDG_CACHE_HOME": str(self.cache), "HOME": str(self.cache)}
        env = {name: value for name, value in (env | variables).items() if value}
        return subprocess.run(
            [LAUNCHER, *arguments], env=env, capture_output=True, text=True, check=False, timeout=30
        )

    @staticmethod
    def _script(path: Path, body: str) -> None:
        path.write_text(body, encoding="utf-8")
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_complete_environment_is_used_as_it_is(machine: Machine) -> None:
    machine.environment('#!/bin/bash\n[[ "$*" == *-m* ]] && echo "started $*"\nexit 0\n')
    done = machine.run("doctor", "--json")
    assert (done.returncode, done.stdout) == (0, "started -P -m seawall.cli doctor --json\n")
    assert machine.run("exec", "--", "true").stdout == "started -P -m seawall.setup exec -- true\n"


def test_functions_and_options_of_the_callers_shell_have_no_effect(machine: Machine) -> None:
    machine.environment(STARTED + "echo started\n")
    hostile = {
        "BASH_FUNC_cat%%": "() { echo evil; }",
        "BASH_FUNC_readlink%%": "() { echo evil; }",
        "SHELLOPTS": "noglob:xtrace",
        "BASHOPTS": "failglob",
        "CDPATH": "/",
        "GLOBIGNORE": "*",
        "POSIXLY_CORRECT": "1",
    }
    assert machine.run("doctor", **hostile).stdout == "started\n"


def test_settings_of_the_callers_python_are_not_passed_on_and_text_is_utf_8(
    machine: Machine,
) -> None:
    machine.environment(STARTED + "exec env\n")
    ours = ("PYTHONPATH", "PYTHONUTF8", "PYTHONPYCACHEPREFIX")
    settings = ("PYTHONHOME", "PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONWARNINGS", *ours)
    done = machine.run("doctor", **dict.fromkeys(settings, "x"), PYTHON_KEYRING_BACKEND="x")
    lines = (line for line in done.stdout.splitlines() if line.startswith("PYTHON"))
    seen = dict(line.split("=", 1) for line in lines)
    assert set(seen) == {*ours, "PYTHON_KEYRING_BACKEND"}
    assert seen["PYTHONPATH"] == str(repository_root())
    assert seen["PYTHONUTF8"] == "1"


def test_a_home_that_does_not_exist_is_refused_with_the_remedy(
    machine: Machine, tmp_path: Path
) -> None:
    done = machine.run("doctor", HOME=str(tmp_path / "none"), XDG_CACHE_HOME="")
    assert done.returncode == 4
    assert "does not exist (export XDG_CACHE_HOME=FOLDER" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_low_soft_limit_of_open_files_is_raised(machine: Machine) -> None:
    machine.environment(STARTED + "ulimit -Sn\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1024:
        pytest.skip("the hard limit of open files is below 1024")
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        assert machine.run("doctor").stdout == "1024\n"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_environment_whose_interpreter_is_gone_is_made_anew(machine: Machine) -> None:
    machine.environment("#!/nowhere/python3.11\n")
    machine.python("python3", version="3.11", bootstrap_says=f"echo {REMADE} >&2; exit 4")
    done = machine.run("doctor")
    assert (done.returncode, done.stderr) == (4, f"{REMADE}\n")


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ({"python3": "3.11", "python3.12": "3.12"}, "python3.12"),
        ({"python3": "3.14", "python3.11": "3.11"}, "python3.11"),
        ({"python3.13": "3.13", "python3.12": "3.12", "python": "3.11"}, "python3.13"),
    ],
)
def test_the_newest_python_that_serves_is_taken(
    machine: Machine, there: dict[str, str], chosen: str
) -> None:
    for name, version in there.items():
        machine.python(name, version=version, bootstrap_says=f"echo {name} >&2; exit 4")
    assert machine.run("doctor").stderr == f"{chosen}\n"


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({}, "no Python 3.11 to 3.13 on PATH"),
        ({"python3": "3.10"}, "no Python 3.11 to 3.13 on PATH"),
        ({"python3": "3.14"}, "Python 3.14 is too new"),
    ],
)
def test_a_machine_without_a_fit_python_is_told_so_in_one_line(
    machine: Machine, there: dict[str, str], says: str
) -> None:
    for name, version in there.items():
        machine.python(name, version=version)
    done = machine.run("gameday")
    assert done.returncode == 4
    assert done.stderr.startswith(f"seawall: {says}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("status", "code"), [(1, 4), (4, 4), (130, 130)])
def test_a_set_up_that_fails_is_never_taken_for_a_drill_that_failed(
    machine: Machine, status: int, code: int
) -> None:
    machine.python("python3", version="3.12", bootstrap_says=f"exit {status}")
    assert machine.run("gameday").returncode == code


def test_an_interpreter_that_cannot_be_started_is_an_unfit_machine(
    machine: Machine, tmp_path: Path
) -> None:
    machine.python("python3", version="3.12", bootstrap_says=f"echo {tmp_path}/nowhere")
    done = machine.run("gameday")
    assert done.returncode == 4
    assert "does not start (remove it, then run this again)" in done.stderr


@pytest.mark.parametrize("interpreter", ["sound", "missing", "broken"])
def test_bootstrap_trusts_a_marker_only_with_an_interpreter_that_starts(
    interpreter: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    python = bootstrap.environment_folder() / "bin" / "python"
    python.parent.mkdir(parents=True)
    (python.parent.parent / bootstrap.MARKER).touch()
    if interpreter != "missing":
        python.write_text(
            f"#!{'/bin/sh' if interpreter == 'sound' else sys.executable}\nexit 0\n",
            encoding="utf-8",
        )
        python.chmod(0o755)
    made: list[str] = []
    monkeypatch.setattr(bootstrap, "_make", lambda folder, **_: made.append(os.fspath(folder)))
    folder = bootstrap.ensure_environment(say=lambda _line: None)
    assert made == ([] if interpreter == "sound" else [str(folder)])
