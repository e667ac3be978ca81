# SPDX-License-Identifier: GPL-2.0-or-later
"""What a script that checks many things found, in the form that tests/run counts."""
import sys

counts = {'passed': 0, 'failed': 0, 'skipped': 0}


def report(name, wrong):
    """One more check; WRONG is a list of lines.  Returns whether it is empty."""
    counts['failed' if wrong else 'passed'] += 1
    print('%s: %s' % ('FAIL' if wrong else 'ok', name), *wrong, sep='\n    ', flush=True)
    return not wrong


def skip(name, missing):
    counts['skipped'] += 1
    print('SKIPPED: %s: MISSING %s' % (name, missing), flush=True)


def end():
    print('%(passed)d passed, %(failed)d failed, %(skipped)d skipped' % counts)
    sys.exit(counts['failed'] != 0)
