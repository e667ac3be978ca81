# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of docs/containers.md find the hot block of a workload, or say why not."""
import unittest

from container import Containers, page_blocks, podman, run_page
from damon import tries


class Sidecar(Containers):
    @tries(3)
    def test_three_commands(self):
        """The first of them was that of setUpClass."""
        truth = self.app()
        self.assert_found(run_page(page_blocks()['A sidecar'][0].split('\n', 1)[1]), truth)
