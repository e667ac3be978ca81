#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the tests of the real program and ends with 'N passed, M failed, K skipped'.

    run.py [NAME...]        NAME as unittest takes it: test_monitor.HotMemory, ...
"""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def main(here=HERE):
    """Runs the tests in HERE that were named, or all of them."""
    sys.path.insert(0, here)
    loader = unittest.TestLoader()
    if sys.argv[1:]:
        suite = loader.loadTestsFromNames(sys.argv[1:])
    else:
        suite = loader.discover(here)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    for test, reason in result.skipped:
        print('SKIPPED %s: %s' % (test, reason))
    failed = len(result.failures) + len(result.errors)
    print('%d passed, %d failed, %d skipped' %
          (max(0, result.testsRun - failed - len(result.skipped)), failed, len(result.skipped)))
    sys.exit(failed != 0)


if __name__ == '__main__':
    main()
