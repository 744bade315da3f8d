"""Environments of users: what a machine, an account or a shell may look like where Seawall runs.

`ENVIRONMENTS` is the table, one row per peculiarity; `COMBINED` has three rows that put them
together, for tests that are too slow to run under each. `Machine` runs ``bin/seawall`` under one of
them. It starts from an empty set of variables, so nothing of the machine that runs the tests leaks
in, and works on a copy of the checkout (without ``.git``, as in a tarball) and on the cache that
is already there.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from seawall.cache import cache_root
from seawall.formats.run_directory import RUNS

ROOT = Path(__file__).resolve().parents[2]
USER_ID = 61_184
"""An account without an entry in the passwd database, as in containers.

61184 to 65519 is systemd's range for ids that are given out for a moment and never stored.
"""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUILDS = ("go", "node", "programs", "python", "uv")
"""Folders of the cache that set-up makes; the others are written by every command."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What differs from a plain login of the account that runs the tests.

    ``variables`` are set on top of PATH, HOME, LANG and TERM; an empty value removes one. bash runs
    ``script`` before the command, in a mount namespace of its own if ``mounts``. In both,
    ``{home}``, ``{cache}``, ``{folder}`` and ``{path_without_git}`` stand for folders of `Machine`.
    """

    name: str
    variables: dict[str, str] = field(default_factory=dict)
    script: str = ""
    other_user: bool = False
    mounts: bool = False
    terminal: bool = True

    @property
    def needs_root(self) -> bool:
        """Whether only root can make this environment."""
        return self.other_user or self.mounts


PROXIES = {
    name: f"{scheme}://127.0.0.1:9"
    for scheme, names in {
        "http": ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"),
        "socks5h": ("ALL_PROXY", "all_proxy"),
    }.items()
    for name in names
}
"""Port 9 (discard) refuses: whatever uses the proxy on the way to loopback fails at once."""
AWS = {
    "AWS_PROFILE": "not-here",
    "AWS_REGION": "mars-north-1",
    "AWS_DEFAULT_REGION": "mars-north-1",
    "AWS_ACCESS_KEY_ID": "not-a-key",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_CONFIG_FILE": "/nonexistent/config",
}
PULUMI = {
    "PULUMI_ACCESS_TOKEN": "not-a-token",
    "PULUMI_BACKEND_URL": "https://127.0.0.1:9",
    "PULUMI_CONFIG_PASSPHRASE": "not-ours",
    "PULUMI_HOME": "/nonexistent/pulumi",
    "PULUMI_STACK": "not-here",
}
POSTGRES = {
    "PGHOST": "127.0.0.1",
    "PGPORT": "9",
    "PGUSER": "not-here",
    "PGDATABASE": "not-here",
    "PGPASSWORD": "not-it",
    "PGSSLMODE": "require",
    "PGSERVICE": "not-here",
    "PGDATA": "/nonexistent",
    "PGOPTIONS": "-c search_path=nowhere",
}
PYTHON = {
    "PYTHONPATH": "/nonexistent",
    "PYTHONHOME": "/nonexistent",
    "PYTHONSTARTUP": "/nonexistent.py",
    "PYTHONINSPECT": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONIOENCODING": "ascii",
    "VIRTUAL_ENV": "/nonexistent",
    "CONDA_PREFIX": "/nonexistent",
    "PYTEST_ADDOPTS": "--not-an-option",
}
PACKAGE_CLIENTS = {
    "PIP_USER": "1",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "UV_PYTHON": "3.9",
    "UV_SYSTEM_PYTHON": "1",
    "GOFLAGS": "-mod=vendor",
    "GOROOT": "/nonexistent",
    "GOPATH": "/nonexistent",
    "GOOS": "windows",
    "NODE_OPTIONS": "--not-an-option",
}
BASH = {
    "BASH_FUNC_cat%%": "() { echo not-cat; }",
    "BASH_FUNC_dirname%%": "() { echo /; }",
    "CDPATH": "/usr:/",
    "GLOBIGNORE": "*",
    "SHELLOPTS": "noglob",
    "POSIXLY_CORRECT": "1",
}
HERE_IS_READ_ONLY = 'mount --bind "$PWD" "$PWD" && mount -o remount,bind,ro "$PWD" && cd "$PWD"'
SMALL_TMP = "mount -t tmpfs -o size=64k,noexec,mode=1777 tmpfs {folder}/small"
IPV6_FIRST = "mount --bind {folder}/hosts /etc/hosts"

ENVIRONMENTS = (
    Environment(name="plain"),
    Environment(name="home-unset", variables={"HOME": "", "XDG_CACHE_HOME": "{cache}"}),
    Environment(
        name="home-not-there", variables={"HOME": "/nonexistent", "XDG_CACHE_HOME": "{cache}"}
    ),
    Environment(name="home-not-writable", variables={"HOME": "/proc", "XDG_CACHE_HOME": "{cache}"}),
    Environment(name="umask-077", script="umask 077"),
    Environment(name="no-terminal", variables={"TERM": ""}, terminal=False),
    Environment(name="dumb-terminal", variables={"TERM": "dumb"}),
    Environment(name="locale-c", variables={"LANG": "C"}),
    Environment(name="locale-posix", variables={"LC_ALL": "POSIX"}),
    Environment(name="locale-not-there", variables={"LC_ALL": "de_DE.ISO-8859-1"}),
    Environment(name="tmpdir-not-there", variables={"TMPDIR": "/nonexistent"}),
    Environment(
        name="tmpdir-small-and-noexec",
        variables={"TMPDIR": "{folder}/small"},
        script=SMALL_TMP,
        mounts=True,
    ),
    Environment(name="proxies", variables=PROXIES),
    Environment(name="aws", variables=AWS),
    Environment(name="pulumi", variables=PULUMI),
    Environment(name="postgres", variables=POSTGRES),
    Environment(name="python", variables=PYTHON),
    Environment(name="package-clients", variables=PACKAGE_CLIENTS),
    Environment(name="bash", variables=BASH),
    Environment(name="few-open-files", script="ulimit -Sn 256"),
    Environment(name="no-git", variables={"PATH": "{path_without_git}"}),
    Environment(name="ipv6-first", script=IPV6_FIRST, mounts=True),
    Environment(name="read-only-checkout", script=HERE_IS_READ_ONLY, mounts=True),
    Environment(name="other-user", other_user=True),
    Environment(
        name="other-user-without-home",
        variables={"HOME": "", "XDG_CACHE_HOME": "{cache}"},
        other_user=True,
    ),
)
"""All run on a checkout whose path has spaces and non-ASCII letters, without ``.git``.

As root, HOME has mode 700. ``other-user`` runs on the checkout of root, which it may not write.
"""

COMBINED = (
    Environment(
        name="closed-home-in-a-bare-shell",
        variables={"TERM": "dumb", "LC_ALL": "POSIX", **BASH, **PYTHON},
        script="umask 077; ulimit -Sn 256",
        terminal=False,
    ),
    Environment(
        name="other-user-with-the-settings-of-a-company",
        variables={**PROXIES, **AWS, **PULUMI, **POSTGRES},
        other_user=True,
    ),
    Environment(
        name="container",
        variables={
            "HOME": "/nonexistent",
            "XDG_CACHE_HOME": "{cache}",
            "TMPDIR": "{folder}/small",
            "PATH": "{path_without_git}",
            "TERM": "",
        },
        script=f"{SMALL_TMP} && {IPV6_FIRST} && {HERE_IS_READ_ONLY}",
        mounts=True,
        terminal=False,
    ),
)
"""Between them they have every kind of peculiarity of `ENVIRONMENTS`."""
PLAIN = ENVIRONMENTS[0]
BARE_SHELL, COMPANY, CONTAINER = COMBINED


class Machine:
    """Folders for the environments, and a way to run ``bin/seawall`` under each.

    Call `remove` at the end.
    """

    def __init__(self) -> None:
        # Not pytest's folder: the other account may not enter that one.
        self.folder = Path(tempfile.mkdtemp(prefix="seawall-environments-"))
        self.folder.chmod(0o755)
        (self.folder / "small").mkdir(mode=0o1777)
        (self.folder / "hosts").write_text("::1 localhost\n127.0.0.1 localhost\n", encoding="ascii")

    def remove(self) -> None:
        """Remove every folder, also those that were made read-only."""
        subprocess.run(["chmod", "-R", "u+rwX", self.folder], check=True)
        shutil.rmtree(self.folder)

    def obstacle(self, environment: Environment) -> str:
        """Return why this account or machine cannot make ``environment``; empty if it can."""
        if environment.needs_root and os.geteuid() != 0:
            return "only root can make this environment"
        if environment.mounts and self._fails(["unshare", "--mount", "true"]):
            return "this root may not mount"
        if environment.other_user and self._fails([*self._become_user, sys.executable, "-c", ""]):
            return f"another account may not run {sys.executable}"
        if environment.other_user and self._fails([*self._become_user, "unshare", "-U", "true"]):
            return "another account may make no user namespace"
        return ""

    def run(
        self, environment: Environment, *arguments: str, timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``bin/seawall`` with ``arguments`` in ``environment``, from the checkout's folder."""
        command = ["env", "-i", *self._variables(environment), "bin/seawall", *arguments]
        if environment.other_user:
            command = [*self._become_user, *command]
        script = (
            f"{self._filled(environment, environment.script) or ':'} && exec {shlex.join(command)}"
        )
        command = ["bash", "-c", script]
        if environment.mounts:
            command = ["unshare", "--mount", *command]
        return subprocess.run(
            command,
            cwd=self.checkout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=timeout_s,
            start_new_session=not environment.terminal,
        )

    @cached_property
    def checkout(self) -> Path:
        """A copy of the tracked files without write permission, at a path that is hard to quote."""
        copy = self.folder / "Grüße aus Köln" / "sea wall's"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for name in filter(None, listed.decode().split("\0")):
            source, target = ROOT / name, copy / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        subprocess.run(["chmod", "-R", "a+rX,a-w", copy], check=True)
        return copy

    @cached_property
    def path_without_git(self) -> str:
        """A folder with a link to every program of the system but git."""
        links = self.folder / "path-without-git"
        links.mkdir()
        for folder in reversed(SYSTEM_PATH.split(":")):
            for program in Path(folder).glob("*"):
                if not program.name.startswith("git"):
                    link = links / program.name
                    link.unlink(missing_ok=True)
                    link.symlink_to(program)
        return str(links)

    def home(self, environment: Environment) -> Path:
        """Return the home folder of the account, which only that account may enter.

        In it is a cache with links to what set-up has built already.
        """
        home = self.folder / ("home-of-the-other" if environment.other_user else "home")
        if not home.exists():
            cache = home / ".cache" / "seawall"
            cache.mkdir(parents=True)
            for name in BUILDS:
                if (cache_root() / name).exists():
                    (cache / name).symlink_to(cache_root() / name)
            home.chmod(0o700)
            if environment.other_user:
                for folder in (home, home / ".cache", cache):
                    os.chown(folder, USER_ID, USER_ID)
        return home

    def runs(self, environment: Environment) -> Path:
        """Return where runs are kept of whoever may not write to the checkout."""
        return self.home(environment) / ".cache" / "seawall" / RUNS

    def _variables(self, environment: Environment) -> list[str]:
        plain = {"PATH": SYSTEM_PATH, "HOME": "{home}", "LANG": "C.UTF-8", "TERM": "xterm"}
        return [
            f"{name}={self._filled(environment, value)}"
            for name, value in (plain | environment.variables).items()
            if value
        ]

    def _filled(self, environment: Environment, text: str) -> str:
        home = self.home(environment)
        known = {"{home}": str(home), "{cache}": str(home / ".cache"), "{folder}": str(self.folder)}
        if "{path_without_git}" in text:
            known["{path_without_git}"] = self.path_without_git
        for name, value in known.items():
            text = text.replace(name, value)
        return text

    @property
    def _become_user(self) -> list[str]:
        return ["setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups"]

    @staticmethod
    def _fails(command: list[str]) -> bool:
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode != 0
        except OSError:
            return True
