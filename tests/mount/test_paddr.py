# SPDX-License-Identifier: GPL-2.0-or-later
"""Physical memory: frames of processes of our own, whose hot memory is known."""
import os
import struct
import time
import unittest

from damon import MIB, RESTS, Mount, Workload, hot_regions, overlap, write

PAGE = 4096


def frames_of(workload, start, end):
    """The physical ranges of the present pages from START to END, ascending and joined."""
    with open('/proc/%d/pagemap' % workload.pid, 'rb', 0) as f:
        f.seek(start // PAGE * 8)
        entries = struct.unpack('%dQ' % ((end - start) // PAGE), f.read((end - start) // PAGE * 8))
    ranges = []
    for frame in sorted(e & ((1 << 55) - 1) for e in entries if e >> 63):
        if ranges and ranges[-1][1] == frame * PAGE:
            ranges[-1][1] += PAGE
        else:
            ranges.append([frame * PAGE, (frame + 1) * PAGE])
    return ranges


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for the numbers of frames')
class Paddr(unittest.TestCase):
    METHOD = os.environ.get('DAMONFS_PADDR_METHOD', 'young')

    def setUp(self):
        self.mount = Mount('log=info', 'method=' + self.METHOD)
        self.kdamond, = self.mount.kdamonds(1)

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)

    def watch(self, ranges, least=10):
        """Physical memory, and of that what is our own process's."""
        self.kdamond.target(0, operations='paddr')
        regions = self.kdamond.context + '/targets/0/regions/'
        write(regions + 'nr_regions', len(ranges))
        for i, (start, end) in enumerate(ranges):
            write('%s%d/start' % (regions, i), start)
            write('%s%d/end' % (regions, i), end)
        self.kdamond.attrs(update=1000000, least=least, most=1000)
        self.kdamond.stat_scheme()

    def found(self, workload):
        """(hot bytes found, of them truly hot) / truly hot bytes."""
        hot = hot_regions(self.kdamond.snapshot())
        truth = frames_of(workload, workload.hot_start, workload.hot_end)
        true = sum(end - start for start, end in truth)
        return (sum(r[1] - r[0] for r in hot) / true,
                sum(overlap(hot, start, end) for start, end in truth) / true)

    def check_found(self, *arguments):
        with Workload('--size', '256M', '--hot', '32M', '--at', '96M', *RESTS,
                      *arguments) as workload:
            ranges = frames_of(workload, workload.start, workload.end)
            # More regions than there are pieces of the process's memory cannot be.
            self.assertLess(len(ranges), 900)
            self.watch(ranges)
            self.kdamond.state('on')
            time.sleep(10)
            looks = [self.found(workload) for _ in range(10) if not time.sleep(0.2)]
            found, covered = (sorted(x)[len(x) // 2] for x in zip(*looks))
            self.assertAlmostEqual(found, 1, delta=0.15, msg=looks)
            self.assertGreater(covered, 0.9, looks)

    def test_hot_frames_of_huge_pages(self):
        self.check_found('--kind', 'huge')

    def test_frames_that_are_not_used_are_cold(self):
        with Workload('--size', '128M', '--hot', '1M', '--at', '8M', '--kind', 'huge') as workload:
            self.watch(frames_of(workload, workload.start + 16 * MIB, workload.end))
            self.kdamond.state('on')
            time.sleep(4)
            self.assertEqual([r for r in self.kdamond.snapshot() if r[2] > 1], [])

    def test_without_regions_nothing_is_monitored(self):
        self.watch([])
        self.kdamond.state('on')
        time.sleep(1)
        self.assertEqual(self.kdamond.snapshot(), [])
        self.assertEqual(self.kdamond.state(), 'on')
