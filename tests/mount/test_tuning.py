# SPDX-License-Identifier: GPL-2.0-or-later
"""Intervals that tune themselves, and files that keep themselves fresh."""
import subprocess
import sys
import time
import unittest

from damon import MIB, Mount, Workload, read, tries, until, write

SIZE = 64 * MIB
PERIOD = 2      # seconds: each page is touched once in it
PROGRAM = """if True:
    import ctypes, mmap, time
    size, period, steps = %d, %d, 100
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    view, step = memoryview(memory), size // steps // 4096 * 4096
    view[::4096] = bytes(size // 4096)
    print(ctypes.addressof(ctypes.c_char.from_buffer(memory)), flush=True)
    text, at, when = bytes(step // 4096), 0, time.monotonic()
    while True:
        view[at:at + step:4096] = text
        at = (at + step) %% (step * steps)
        when += period / steps
        time.sleep(max(0, when - time.monotonic()))
"""


class Tuning(unittest.TestCase):
    def setUp(self):
        self.mount = Mount('log=info', 'abi=6.18')
        self.kdamond, = self.mount.kdamonds(1)
        self.intervals = self.kdamond.context + '/monitoring_attrs/intervals/'

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)

    def watch(self, pid, start, end, bp=400, aggrs=3, least=5000, most=10000000):
        self.kdamond.target(pid, operations='fvaddr')
        self.kdamond.regions((start, end))
        self.kdamond.attrs()
        for name, value in (('access_bp', bp), ('aggrs', aggrs), ('min_sample_us', least),
                            ('max_sample_us', most)):
            write(self.intervals + 'intervals_goal/' + name, value)
        self.kdamond.stat_scheme()

    def share(self):
        """Of all accesses that could have been seen in an aggregation, in 1/10000."""
        regions = self.kdamond.snapshot()
        return sum((r[1] - r[0]) * r[2] for r in regions) * 10000 / \
            (sum(r[1] - r[0] for r in regions) * 20)

    def cpu(self):
        with open('/proc/%d/schedstat' % self.kdamond.pid()) as f:
            return int(f.read().split()[0]) / 1e9

    def cpu_share(self, seconds):
        before = self.cpu()
        time.sleep(seconds)
        return (self.cpu() - before) / seconds

    @tries(3)
    def test_the_wanted_share_is_seen(self):
        with subprocess.Popen([sys.executable, '-c', PROGRAM % (SIZE, PERIOD)],
                              stdout=subprocess.PIPE, text=True) as process:
            try:
                start = int(process.stdout.readline())
                self.watch(process.pid, start, start + SIZE)
                self.kdamond.state('on')
                cpu = self.cpu_share(0.5)
                time.sleep(16)      # up to 16 times as long, three aggregations at each doubling
                shares, intervals = [], []
                for _ in range(8):
                    shares.append(self.share())
                    self.kdamond.state('update_tuned_intervals')
                    intervals.append(tuple(int(read(self.intervals + name))
                                           for name in ('sample_us', 'aggr_us')))
                print('%d bp of 400 seen (%s), intervals %d us, CPU %.2f %% at first, %.2f %% then' %
                      (sum(shares) / 8, ' '.join('%d' % s for s in shares), intervals[-1][0],
                       cpu * 100, self.cpu_share(2) * 100))
                self.assertTrue(400 / 1.5 < sum(shares) / 8 < 400 * 1.5, shares)
                for sample, aggr in intervals:
                    self.assertEqual(aggr, 20 * sample)
                    self.assertTrue(0.03 < sample / 1e6 / PERIOD < 0.08, intervals)
                self.kdamond.state('off')
            finally:
                process.kill()

    @tries(3)
    def test_bounds_and_what_is_refused(self):
        with Workload('--size', '16M', '--hot', '16M', '--at', '0') as workload:
            for values in ((400, 3, 6000, 10000), (400, 3, 5000, 4000), (0, 1, 5001, 5000)):
                self.watch(workload.pid, workload.start, workload.end, *values)
                with self.assertRaises(OSError) as e:
                    self.kdamond.state('on')
                self.assertEqual(e.exception.errno, 22)
            # With no aggregations to tune after, the rest is not looked at.
            self.watch(workload.pid, workload.start, workload.end, 400, 0, 6000, 10)
            self.kdamond.state('on')
            # All is seen as accessed: as short as may be.
            write(self.intervals + 'sample_us', 8000)
            write(self.intervals + 'aggr_us', 80000)
            for name, value in (('aggrs', 1), ('min_sample_us', 3000), ('max_sample_us', 9000)):
                write(self.intervals + 'intervals_goal/' + name, value)
            write(self.kdamond.path + '/refresh_ms', 50)
            self.kdamond.state('commit')

            def shortest():
                return (read(self.intervals + 'sample_us'), read(self.intervals + 'aggr_us')) == ('3000', '30000')

            # A workload that others keep from running for an aggregation makes it longer, for one.
            self.assertTrue(until(shortest, 5), read(self.intervals + 'sample_us'))
            # A commit takes what was found, and a wrong one nothing: the kdamond goes on.
            self.kdamond.state('commit')
            write(self.intervals + 'intervals_goal/min_sample_us', 4000)
            with self.assertRaises(OSError) as e:
                self.kdamond.state('commit')
            self.assertEqual(e.exception.errno, 22)
            self.assertEqual(self.kdamond.state(), 'on')
            self.assertTrue(until(lambda: self.kdamond.state('update_tuned_intervals') or shortest(), 5))

    def test_what_is_written_stays(self):
        """A report of before does not undo what was written after it."""
        with Workload('--size', '16M', '--hot', '1M', '--at', '2M') as workload:
            self.watch(workload.pid, workload.start, workload.end, aggrs=0)
            write(self.kdamond.path + '/refresh_ms', 500)
            self.kdamond.state('on')
            for sample in 10000, 4000, 8000:
                time.sleep(0.6)     # there is a report now, and will be none for a while
                write(self.intervals + 'sample_us', sample)
                self.assertEqual(read(self.intervals + 'sample_us'), str(sample))
                self.kdamond.state('commit')
                self.assertEqual(read(self.intervals + 'sample_us'), str(sample))
                time.sleep(0.6)
                self.assertEqual(read(self.intervals + 'sample_us'), str(sample))

    def test_files_keep_fresh(self):
        with Workload('--size', '64M', '--hot', '4M', '--at', '8M') as workload:
            self.watch(workload.pid, workload.start, workload.end, aggrs=0)
            write(self.kdamond.scheme + '/quotas/ms', 1000)

            def stat(name):
                return int(read('%s/%s' % (self.kdamond.scheme, name)))

            self.kdamond.state('on')
            time.sleep(0.5)
            self.assertEqual((stat('stats/nr_tried'), stat('quotas/effective_bytes')), (0, 0))
            write(self.kdamond.path + '/refresh_ms', 200)
            self.assertTrue(until(lambda: stat('stats/nr_tried') > 0, 2))
            self.assertGreater(stat('quotas/effective_bytes'), 0)
            seen = set()
            until(lambda: seen.add(stat('stats/nr_tried')) or len(seen) > 4, 5)
            self.assertGreater(len(seen), 4)
            write(self.kdamond.path + '/refresh_ms', 0)
            last = stat('stats/nr_tried')
            time.sleep(0.5)
            self.assertEqual(stat('stats/nr_tried'), last)
            # The last of them are there when it has ended by itself.
            write(self.kdamond.path + '/refresh_ms', 100)
            time.sleep(0.5)
            workload.process.kill()
            workload.process.wait()
            self.assertTrue(until(lambda: self.kdamond.state() == 'off', 5))
            self.assertGreater(stat('stats/nr_tried'), last)
