#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes each call of the real daemon that can fail do so in turn, in the middle of each step of a session.

    run.py [SESSION...]     sysfs, owner, debugfs, debugfs-6.12, start, limits; all by default

For each step and each sort of fault the first one fails, then the second, until the step passes without.
Each time the daemon lives, the answer is success or an errno that the sort allows, the tree is as before
the step or as after it, and the same step works then.  By default some are left out, always the same;
LONG=1 tries them all.  Ends with 'N passed, M failed'.
"""
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + '/../mount')
from debugfs import Debugfs  # noqa: E402
from fault import LIBRARY, give_up  # noqa: E402
from limits import Limits  # noqa: E402
from session import LONG  # noqa: E402
from starts import Starts  # noqa: E402
from sysfs import Owner, Sysfs  # noqa: E402


def sessions():
    user = 65534
    return [
        Sysfs('sysfs', 'method=auto' if LONG else 'method=referenced'),
        Owner('owner', 'method=referenced', 'uid=%d' % user, 'gid=%d' % user, 'allow_other', uid=user),
        Debugfs('debugfs', 'abi=6.1', 'method=referenced'),
        Debugfs('debugfs-6.12', 'abi=6.12', 'method=referenced'),
        Starts('start', 'method=referenced'),
        Limits('limits', 'method=referenced'),
    ]


def main():
    if os.geteuid() or not os.path.exists(LIBRARY):
        print('SKIPPED faults: MISSING %s' % ('root' if os.geteuid() else LIBRARY))
        print('0 passed, 0 failed, 1 skipped')
        return 0
    wanted = sys.argv[1:] or [s.name for s in sessions()]
    passed, failures = 0, []
    signal.signal(signal.SIGALRM, give_up)
    for session in sessions():
        if session.name in wanted:
            session.run()
            passed += session.passed
            failures += session.failures
    for failure in failures:
        print('FAILED ' + failure)
    print('%d passed, %d failed' % (passed, len(failures)))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
