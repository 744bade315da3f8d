"""Become an ordinary account, keep the right to pass closed directories, and run a program.

Usage: ``unprivileged.py PROGRAM ARGUMENT ...``; standard library only, run as a file. PostgreSQL
refuses to be root. Giving up the user id alone would lock it out of the cache and the data
directory of root; opening those to everyone would be worse. So the one capability CAP_DAC_OVERRIDE
stays, as an ambient capability (capabilities(7), "Ambient"), which also containers grant.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

ACCOUNT = "nobody"
_CAP_DAC_OVERRIDE = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522


def needed() -> bool:
    """Whether we are root, whom PostgreSQL refuses."""
    return os.geteuid() == 0


def account() -> pwd.struct_passwd:
    """The account to become. Raises OSError if the system has none of that name."""
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError as error:
        message = f"there is no account {ACCOUNT!r} to run the database as"
        raise OSError(message) from error


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def become(who: pwd.struct_passwd) -> None:
    """Drop root for ``who`` but keep CAP_DAC_OVERRIDE over the next exec. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    call(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setgid(who.pw_gid)
    os.setuid(who.pw_uid)
    bit = 1 << _CAP_DAC_OVERRIDE
    sets = (_Sets * 2)(_Sets(bit, bit, bit), _Sets(0, 0, 0))
    call(libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(sets)))
    call(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


if __name__ == "__main__":
    become(account())
    os.execv(sys.argv[1], sys.argv[1:])
