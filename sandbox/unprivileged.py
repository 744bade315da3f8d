"""Become an account that PostgreSQL and Pulumi accept, then run a program.

Usage: ``unprivileged.py PROGRAM ARGUMENT ...``; standard library only, run as a file.

**As root.** PostgreSQL refuses to run as root. Giving up the user id alone would lock it out of
root's cache and data directory (mode 700), and opening those to everyone would be worse. So one
capability stays: CAP_DAC_OVERRIDE, as an ambient capability (capabilities(7), "Ambient
capabilities"), which containers grant by default.

That is not enough for access(2), which PostgreSQL uses to find its own programs: the kernel drops
all capabilities for that check when the real user is not root, unless the securebit
SECBIT_NO_SETUID_FIXUP is set (access(2); capabilities(7), "The securebits flags"). Setting it needs
CAP_SETPCAP. Without CAP_SETPCAP everything still works as long as the account may enter the
directories by their ordinary permissions; where it may not, PostgreSQL says "program postgres is
needed by initdb but was not found", and `sandbox.parts.postgres` explains that.

**As a user id without an entry in the passwd database**, as in containers that are started with
one: initdb and Pulumi look their user up and refuse ("user does not exist", "unknown userid").
There the program runs in a user namespace of its own, in which that id is mapped to ``nobody``
(user_namespaces(7)).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from pathlib import Path

ACCOUNT = "nobody"
_CAP_DAC_OVERRIDE = 1
_CAP_SETPCAP = 8
_PR_SET_KEEPCAPS = 8
_CLONE_NEWUSER = 0x10000000
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522


def needed() -> bool:
    """Whether PostgreSQL refuses the account of this process: root, or a nameless user id."""
    return is_root() or is_nameless()


def is_root() -> bool:
    """Whether this process is root."""
    return os.geteuid() == 0


def is_nameless() -> bool:
    """Whether the user id of this process has no entry in the passwd database."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return True
    return False


def held(status: Path = Path("/proc/self/status")) -> int:
    """The effective capabilities of this process as a bit set, from ``/proc``; 0 if unreadable."""
    try:
        lines = status.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)


def passes_closed_directories(capabilities: int) -> bool:
    """Whether a process with ``capabilities`` can make PostgreSQL pass directories of mode 700."""
    return all(capabilities >> bit & 1 for bit in (_CAP_SETPCAP, _CAP_DAC_OVERRIDE))


def overrides_permissions(capabilities: int) -> bool:
    """Whether a process with ``capabilities`` may open files whatever their permissions say."""
    return bool(capabilities >> _CAP_DAC_OVERRIDE & 1)


def first_closed(path: Path, *, below: Path = Path("/")) -> Path | None:
    """The first folder on the way from ``below`` to ``path`` that others may not enter."""
    others_may_enter = 0o001
    for folder in reversed(path.parents):
        if folder == below or not folder.is_relative_to(below):
            continue
        if not folder.stat().st_mode & others_may_enter:
            return folder
    return None


def account() -> pwd.struct_passwd:
    """The account to become. Raises OSError if the system has none of that name."""
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError as error:
        raise OSError(f"there is no account {ACCOUNT!r} to run the database as") from error


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def _check(result: int) -> None:
    """Raise OSError if a call of the C library failed."""
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def become(who: pwd.struct_passwd) -> None:
    """Drop root for ``who``; CAP_DAC_OVERRIDE is kept over the next exec if root has it.

    Raises OSError.
    """
    keeps = bool(held() >> _CAP_DAC_OVERRIDE & 1)
    libc = ctypes.CDLL(None, use_errno=True)

    if keeps:
        # Refused (EPERM) without CAP_SETPCAP: then closed directories stay closed to access(2).
        libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        _check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setgid(who.pw_gid)
    os.setuid(who.pw_uid)
    if not keeps:
        return
    bit = 1 << _CAP_DAC_OVERRIDE
    sets = (_Sets * 2)(_Sets(bit, bit, bit), _Sets(0, 0, 0))
    _check(libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(sets)))
    _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


def become_in_namespace(who: pwd.struct_passwd) -> None:
    """Map the ids of this process to those of ``who``, in a user namespace. Raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _check(libc.unshare(_CLONE_NEWUSER))
        process = Path("/proc/self")
        (process / "setgroups").write_text("deny", encoding="ascii")
        (process / "uid_map").write_text(f"{who.pw_uid} {uid} 1", encoding="ascii")
        (process / "gid_map").write_text(f"{who.pw_gid} {gid} 1", encoding="ascii")
    except OSError as error:
        raise OSError(
            error.errno,
            f"user id {uid} has no entry in the passwd database, and no user namespace may be"
            f" made ({error.strerror}): add an entry, or run as a user that has one",
        ) from error


if __name__ == "__main__":
    if is_root():
        become(account())
    else:
        become_in_namespace(account())
    os.execv(sys.argv[1], sys.argv[1:])
