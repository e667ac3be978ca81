# SPDX-License-Identifier: GPL-2.0-or-later
"""What schemes are kept in by, on real processes: quotas, watermarks, patterns, and all in one."""
import contextlib
import glob
import mmap
import os
import subprocess
import tempfile
import time
import unittest

from damon import EMULATED, MIB, PAGE, RESTS, Mount, Workload, present_frames, read, tries, until, write

SLOWER = 10 if EMULATED else 1


def free_rate():
    """Per mille of the memory that is free: what the watermarks measure."""
    with open('/proc/meminfo') as f:
        kb = {line.split(':')[0]: int(line.split()[1]) for line in f}
    return kb['MemFree'] * 1000 // kb['MemTotal']


def cpu_of(mount, kdamond):
    """Seconds of CPU that the worker has used."""
    with open('/proc/%d/task/%d/schedstat' % (mount.process.pid, kdamond.pid())) as f:
        return int(f.read().split()[0]) / 1e9


@contextlib.contextmanager
def memory_in_use(size):
    """Takes so much memory."""
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, size, PAGE):
        memory[at] = 1
    try:
        yield
    finally:
        memory.close()


class Scheme(unittest.TestCase):
    def setUp(self):
        self.mount = Mount('log=info')
        self.kdamond, = self.mount.kdamonds(1)

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)

    def watch(self, workload, action):
        self.kdamond.target(workload.pid)
        self.kdamond.attrs(sample=5000 * SLOWER, aggr=100000 * SLOWER, update=1000000 * SLOWER)
        self.kdamond.stat_scheme()
        self.set(action=action)

    def set(self, **values):
        for name, value in values.items():
            write(os.path.join(self.kdamond.scheme, name.replace('__', '/')), value)

    def stat(self, name):
        self.kdamond.state('update_schemes_stats')
        return int(read('%s/stats/%s' % (self.kdamond.scheme, name)))


class Quotas(Scheme):
    def spend(self, workload, action, ms):
        """ms of CPU in a window."""
        self.watch(workload, action)
        self.kdamond.attrs(least=100)
        self.set(quotas__ms=ms, quotas__reset_interval_ms=500)
        self.kdamond.state('on')
        time.sleep(2)
        before, began = cpu_of(self.mount, self.kdamond), time.monotonic()
        time.sleep(8)
        spent = (cpu_of(self.mount, self.kdamond) - before) / (time.monotonic() - began) * 500
        self.kdamond.state('off')
        return spent

    @unittest.skipIf(EMULATED, 'MISSING: a processor with a pace of its own')
    @tries(3)
    def test_a_time_quota_is_kept(self):
        """The CPU that applying takes; what monitoring takes is measured without applying."""
        with Workload('--size', '2G', '--hot', '32M', '--at', '96M') as workload:
            monitoring = self.spend(workload, 'stat', 0)
            without = self.spend(workload, 'cold', 0) - monitoring
            quota = round(without / 2.5)
            spent = self.spend(workload, 'cold', quota) - monitoring
        print('%.1f ms in a window of 500, %.1f with a quota of %d' % (without, spent, quota))
        self.assertLess(spent, 1.2 * quota)
        self.assertGreater(spent, 0.3 * quota)


class Goals(Scheme):
    def test_memory_of_a_node(self):
        """The quota grows while less of the node's memory is used than wanted, and shrinks while more is."""
        with Workload('--size', '64M', '--hot', '4M', '--at', '16M', *RESTS) as workload:
            self.watch(workload, 'stat')
            self.set(quotas__bytes=1 << 40, quotas__reset_interval_ms=100,
                     quotas__goals__nr_goals=1)
            write(self.kdamond.path + '/refresh_ms', 100)
            # Less than all of it is used, more than nothing is free; a node that is not is all free.
            for metric, target, nid, factor in (
                    ('node_mem_used_bp', 10000, 0, 1), ('node_mem_used_bp', 1, 0, -1),
                    ('node_mem_free_bp', 20000, 0, 1), ('node_mem_free_bp', 1, 0, -1),
                    ('node_mem_used_bp', 10000, 99, 1), ('node_mem_free_bp', 1, 99, -1)):
                self.set(quotas__goals__0__target_metric=metric,
                         quotas__goals__0__target_value=target, quotas__goals__0__nid=nid)
                self.kdamond.state('on' if self.kdamond.state() == 'off' else 'commit')
                time.sleep(0.5 * SLOWER)
                before = int(read(self.kdamond.scheme + '/quotas/effective_bytes'))
                time.sleep(0.8 * SLOWER)
                after = int(read(self.kdamond.scheme + '/quotas/effective_bytes'))
                if factor > 0:
                    self.assertGreater(after, before, (metric, target, nid))
                else:
                    self.assertLessEqual(after, before, (metric, target, nid))
                    self.assertLess(after, 5, (metric, target, nid))


class Watermarks(Scheme):
    @tries(5)
    def test_they_switch_within_an_interval(self):
        interval, size = 1.0, (300 if EMULATED else 1500) * MIB
        with open('/proc/meminfo') as f:
            step = size // 1024 * 1000 // int(f.readline().split()[1])      # per mille
        slack = 0.5 * SLOWER

        def grows():
            before = self.stat('nr_tried')
            return until(lambda: self.stat('nr_tried') > before + 2, interval + slack)

        def rests():
            time.sleep(interval + slack)
            before = self.stat('nr_tried')
            time.sleep(0.5 * SLOWER)
            return self.stat('nr_tried') == before

        def marks(high, mid, low):
            self.set(watermarks__metric='free_mem_rate', watermarks__high=high,
                     watermarks__mid=mid, watermarks__low=low,
                     watermarks__interval_us=int(interval * 1e6))

        with Workload('--size', '64M', '--hot', '4M', '--at', '16M', *RESTS) as workload:
            rate = free_rate()
            self.watch(workload, 'stat')
            marks(rate - step // 4, rate - step * 3 // 4, 0)
            self.kdamond.state('on')
            self.assertTrue(rests(), 'too much memory is free')
            with memory_in_use(size // 2):
                self.assertTrue(rests(), 'between the middle and the highest it stays as it is')
                with memory_in_use(size // 2):
                    self.assertTrue(grows(), 'less than the middle is free')
                self.assertTrue(grows(), 'between the middle and the highest it stays as it is')
            # Some of what was free before may have found another use, on a machine of many.
            marks(free_rate() - step // 4, free_rate() - step * 3 // 4, 0)
            self.kdamond.state('commit')
            self.assertTrue(rests(), 'too much memory is free again')
            lowest = free_rate() - step // 2
            marks(1000, 999, lowest)
            self.kdamond.state('commit')
            self.assertTrue(grows(), 'between the lowest and the middle')
            with memory_in_use(size):
                self.assertTrue(rests(), 'too little memory is free')
            if free_rate() < lowest:
                marks(1000, 999, free_rate() - step // 2)
                self.kdamond.state('commit')
            self.assertTrue(grows(), 'there is enough again')


@contextlib.contextmanager
def file_workload(*arguments):
    """Memory of a file that is on the disk already, so that nothing keeps it from going."""
    with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, \
            Workload('--kind', 'file', '--file', directory + '/memory', *arguments,
                     *RESTS) as workload:
        subprocess.run(['sync', directory + '/memory'], check=True)
        yield workload


class Example(Scheme):
    """
    The documents' example: regions of 4 to 8 KiB with at most 5 accesses for 10 to 20 aggregations
    are paged out, by 10 ms and 1 GiB a second at most, the oldest first, between the watermarks.
    """
    MARKS = 600, 500, 300

    def in_sysfs(self, workload, marks):
        self.kdamond.target(workload.pid)
        regions = self.kdamond.context + '/targets/0/regions/'
        write(regions + 'nr_regions', 1)
        write(regions + '0/start', workload.start)
        write(regions + '0/end', workload.end)
        self.kdamond.attrs(5000 * SLOWER, 100000 * SLOWER, 1000000000, 300, 1000)
        write(self.kdamond.context + '/schemes/nr_schemes', 1)
        for name, least, most in (('sz', 4096, 8192), ('nr_accesses', 0, 5), ('age', 10, 20)):
            write('%s/access_pattern/%s/min' % (self.kdamond.scheme, name), least)
            write('%s/access_pattern/%s/max' % (self.kdamond.scheme, name), most)
        self.set(action='pageout', quotas__ms=10, quotas__bytes=1 << 30,
                 quotas__reset_interval_ms=1000, quotas__weights__age_permil=100,
                 watermarks__metric='free_mem_rate', watermarks__interval_us=5000000,
                 watermarks__high=marks[0], watermarks__mid=marks[1], watermarks__low=marks[2])
        self.kdamond.state('on')
        return lambda: tuple(self.stat(name) for name in
                             ('nr_tried', 'sz_tried', 'nr_applied', 'sz_applied'))

    def in_debugfs(self, workload, marks):
        tree = self.mount.dir + '/damon/'
        write(tree + 'attrs', '%d %d 1000000000 300 1000' % (5000 * SLOWER, 100000 * SLOWER))
        write(tree + 'target_ids', workload.pid)
        write(tree + 'init_regions', '0 %d %d' % (workload.start, workload.end))
        write(tree + 'schemes', '4096 8192 0 5 10 20 2 10 %d 1000 0 0 100 1 5000000 %d %d %d' %
              ((1 << 30,) + marks))
        write(self.monitor_on, 'on')
        return lambda: tuple(int(word) for word in read(tree + 'schemes').split()[-5:-1])

    @property
    def monitor_on(self):
        # It has another name since 6.7.
        return glob.glob(self.mount.dir + '/damon/monitor_on*')[0]

    def off(self):
        if self.kdamond.state() == 'on':
            self.kdamond.state('off')
        if read(self.monitor_on) == 'on':
            write(self.monitor_on, 'off')

    def check(self, start, workload, marks):
        def cold():
            return sum(len(present_frames(workload, *part)) for part in (
                (workload.start, workload.hot_start), (workload.hot_end, workload.end))) * PAGE

        stats = start(workload, marks)
        if start == self.in_sysfs:
            # No throughput is known yet: 4 MiB a millisecond.
            self.kdamond.state('update_schemes_effective_quotas')
            self.assertIn(int(read(self.kdamond.scheme + '/quotas/effective_bytes')),
                          (0, 10 * 4 * MIB))
        time.sleep(0.8 * SLOWER)    # nothing has been as it is for 10 aggregations
        self.assertEqual(stats(), (0, 0, 0, 0))
        self.assertTrue(until(lambda: cold() < MIB * 0.15, 10 * SLOWER), cold())
        hot = len(present_frames(workload, workload.hot_start, workload.hot_end)) * PAGE
        self.assertGreater(hot, 0.9 * (workload.hot_end - workload.hot_start))
        nr_tried, sz_tried, nr_applied, sz_applied = stats()
        self.assertLessEqual(4096 * nr_tried, sz_tried)
        self.assertLessEqual(sz_tried, 8192 * nr_tried)
        self.assertGreater(sz_applied, 0.85 * MIB)
        self.assertLessEqual((nr_applied, sz_applied), (nr_tried, sz_tried))
        # What was tried is new again: it is tried once in 11 aggregations.
        before, began = stats()[1], time.monotonic()
        time.sleep(3.3 * SLOWER)
        rounds = (time.monotonic() - began) / (1.1 * SLOWER)
        self.assertAlmostEqual((stats()[1] - before) / MIB / rounds, 1, delta=0.25)
        self.off()

    @tries(3)
    def test_between_the_watermarks(self):
        rate = free_rate()
        for start in self.in_sysfs, self.in_debugfs:
            with self.subTest(start.__name__), \
                    file_workload('--size', '1536K', '--hot', '512K', '--at', '512K') as workload:
                self.check(start, workload, (1000, min(rate + 100, 1000), max(rate - 300, 0)))

    @unittest.skipUnless(EMULATED, 'MISSING: a machine whose memory is ours to fill')
    @tries(3)
    def test_as_printed(self):
        with open('/proc/meminfo') as f:
            total = int(f.readline().split()[1]) * 1024
        for start in self.in_sysfs, self.in_debugfs:
            with self.subTest(start.__name__), \
                    file_workload('--size', '1536K', '--hot', '512K', '--at', '512K') as workload:
                self.assertGreater(free_rate(), 600)
                stats = start(workload, self.MARKS)
                time.sleep(20)
                self.assertEqual(stats(), (0, 0, 0, 0))
                with memory_in_use((free_rate() - 430) * total // 1000):
                    self.assertTrue(until(lambda: stats()[3] > 0.5 * MIB, 10 + 25))
                    with memory_in_use((free_rate() - 230) * total // 1000):
                        time.sleep(6)
                        before = stats()
                        time.sleep(6)
                        self.assertEqual(stats(), before)
                self.off()
