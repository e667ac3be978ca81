# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests of containers, run as those of tests/mount are: see ./run."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../mount'))

import run  # noqa: E402  pylint: disable=wrong-import-position

run.main(HERE)
