#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""`exchange.py ROOT FILE... -NAME...` installs the packages in these files and erases those named, in one transaction of
rpm: what dnf makes of `dnf install --allowerasing`. Which packages conflict is an error; what else they need is not asked."""

import os
import sys

import rpm

root, *words = sys.argv[1:]


def transaction():
    """What the words ask for."""
    made = rpm.TransactionSet(root)
    for word in words:
        if word.startswith("-"):
            made.addErase(word[1:])
            continue
        with open(root + word, "rb") as file:
            made.addInstall(made.hdrFromFdno(file.fileno()), word, "u")
    return made


problems = transaction().check() or []
conflicts = [problem for problem in problems if problem[4] == rpm.RPMDEP_SENSE_CONFLICTS]
for (name, version, _), (what, _), *_ in conflicts:
    print(f"{name}-{version} conflicts with {what}")
if conflicts:
    sys.exit(1)
opened = {}


def callback(reason, _amount, _total, path, _client):
    """Opens and closes what rpm reads."""
    if reason == rpm.RPMCALLBACK_INST_OPEN_FILE:
        opened[path] = os.open(root + path, os.O_RDONLY)
        return opened[path]
    if reason == rpm.RPMCALLBACK_INST_CLOSE_FILE:
        os.close(opened.pop(path))
    return None


made = transaction()
made.order()
problems = made.run(callback, "")
for problem in problems or []:
    print(problem)
sys.exit(bool(problems))
