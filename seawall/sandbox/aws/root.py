"""The root credentials of the sandbox's account.

They open nothing but a server on this machine's loopback that holds play money; they are constants so that the set-up needs no file.
"""

from __future__ import annotations

ACCOUNT_ID = "123456789012"
ROOT_ACCESS_KEY_ID = "AKIASEAWALLSANDBOX00"
ROOT_SECRET_ACCESS_KEY = "seawall-sandbox-root"  # noqa: S105 - see above
