"""The mode controller: the only process that writes the venue's mode.

It samples what intake and settlers have committed, decides with `seawall.controls`, and writes a
new mode in one transaction (a flip).
"""
