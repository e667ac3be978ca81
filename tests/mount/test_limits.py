# SPDX-License-Identifier: GPL-2.0-or-later
"""
What schemes are kept in by, on real processes: quotas, watermarks, patterns, and all in one; and what
the daemon is: memory, time, and the numbers that the files take.
"""
import contextlib
import glob
import mmap
import os
import subprocess
import sys
import tempfile
import time
import unittest

from damon import (EMULATED, MIB, PAGE, RESTS, SANITIZED, Mount, OneKdamond, Workload, present_frames, read,
                   tries, until, write)

SLOWER = 10 if EMULATED else 1


def free_rate():
    """Per mille of the memory that is free: what the watermarks measure."""
    with open('/proc/meminfo') as f:
        kb = {line.split(':')[0]: int(line.split()[1]) for line in f}
    return kb['MemFree'] * 1000 // kb['MemTotal']


def cpu_of(kdamond):
    """Seconds of CPU that the worker has used."""
    with open('/proc/%d/schedstat' % kdamond.pid()) as f:
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


class Scheme(OneKdamond):
    def watch(self, workload, action):
        self.kdamond.target(workload.pid)
        self.kdamond.attrs(sample=5000 * SLOWER, aggr=100000 * SLOWER, update=1000000 * SLOWER)
        self.kdamond.stat_scheme()
        self.kdamond.set_scheme(action=action)


class Quotas(Scheme):
    def spend(self, workload, action, ms):
        """ms of CPU in a window."""
        self.watch(workload, action)
        self.kdamond.attrs(least=100)
        self.kdamond.set_scheme(quotas__ms=ms, quotas__reset_interval_ms=500)
        self.kdamond.state('on')
        time.sleep(2)
        before, began = cpu_of(self.kdamond), time.monotonic()
        time.sleep(8)
        spent = (cpu_of(self.kdamond) - before) / (time.monotonic() - began) * 500
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
            self.kdamond.set_scheme(quotas__bytes=1 << 40, quotas__reset_interval_ms=100,
                                    quotas__goals__nr_goals=1)
            write(self.kdamond.path + '/refresh_ms', 100)
            # Less than all of it is used, more than nothing is free; a node that is not is all free.
            for metric, target, nid, factor in (
                    ('node_mem_used_bp', 10000, 0, 1), ('node_mem_used_bp', 1, 0, -1),
                    ('node_mem_free_bp', 20000, 0, 1), ('node_mem_free_bp', 1, 0, -1),
                    ('node_mem_used_bp', 10000, 99, 1), ('node_mem_free_bp', 1, 99, -1)):
                self.kdamond.set_scheme(quotas__goals__0__target_metric=metric,
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
            before = self.kdamond.stat('nr_tried')
            return until(lambda: self.kdamond.stat('nr_tried') > before + 2, interval + slack)

        def rests():
            time.sleep(interval + slack)
            before = self.kdamond.stat('nr_tried')
            time.sleep(0.5 * SLOWER)
            return self.kdamond.stat('nr_tried') == before

        def marks(high, mid, low):
            self.kdamond.set_scheme(watermarks__metric='free_mem_rate', watermarks__high=high,
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
        self.kdamond.regions((workload.start, workload.end))
        self.kdamond.attrs(5000 * SLOWER, 100000 * SLOWER, 1000000000, 300, 1000)
        write(self.kdamond.context + '/schemes/nr_schemes', 1)
        for name, least, most in (('sz', 4096, 8192), ('nr_accesses', 0, 5), ('age', 10, 20)):
            write('%s/access_pattern/%s/min' % (self.kdamond.scheme, name), least)
            write('%s/access_pattern/%s/max' % (self.kdamond.scheme, name), most)
        self.kdamond.set_scheme(action='pageout', quotas__ms=10, quotas__bytes=1 << 30,
                                quotas__reset_interval_ms=1000, quotas__weights__age_permil=100,
                                watermarks__metric='free_mem_rate', watermarks__interval_us=5000000,
                                watermarks__high=marks[0], watermarks__mid=marks[1], watermarks__low=marks[2])
        self.kdamond.state('on')
        return lambda: tuple(self.kdamond.stat(name) for name in
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


# Reserves TIB in as many pieces as fit, touches a little here and there if it may, and sleeps.
RESERVE = """if True:
    import ctypes, sys, time
    left, protection = int(float(sys.argv[1]) * 2 ** 40), int(sys.argv[2])
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    size, total = left, 0
    while left:
        size = min(size, left)
        at = libc.mmap(None, size, protection, 0x4022, -1, 0)   # private, anonymous, no reserve
        if at == 2 ** 64 - 1:
            size = size // 2 & ~0xfff
            assert size > 2 ** 32, left
            continue
        left -= size
        total += size
        for i in range(100 if protection else 0):
            ctypes.memset(at + size // 100 * i // 4096 * 4096, 1, 1)
    print(total, flush=True)
    time.sleep(1000)
"""
NONE, READ_WRITE = 0, 3


@contextlib.contextmanager
def reserved(tib, protection):
    """A process that has reserved so much address space, and uses next to nothing of it."""
    process = subprocess.Popen([sys.executable, '-c', RESERVE, str(tib), str(protection)],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert int(process.stdout.readline()) == tib << 40
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def timed(call, *arguments):
    began = time.monotonic()
    call(*arguments)
    return time.monotonic() - began


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for filters by page')
class Reserved(unittest.TestCase):
    """100 TiB of address space: `off' and commands come through, and the daemon stays small."""
    TIB = 100
    OFF = 0.1 * SLOWER
    MEMORY = 64 * MIB

    def resident(self):
        """The most that the daemon ever had."""
        with open('/proc/%d/status' % self.mount.process.pid) as f:
            return [int(line.split()[1]) for line in f if line.startswith('VmHWM')][0] * 1024

    def check(self, protection, action='stat', filters=(), method='auto', patience=0.5):
        with reserved(self.TIB, protection) as process, \
                Mount('log=info', 'abi=6.18', 'method=' + method) as self.mount:
            kdamond, = self.mount.kdamonds(1)
            kdamond.target(process.pid)
            kdamond.attrs(update=200000)
            kdamond.stat_scheme()
            write(kdamond.scheme + '/action', action)
            write(kdamond.scheme + '/ops_filters/nr_filters', len(filters))
            for i, kind in enumerate(filters):
                write('%s/ops_filters/%d/type' % (kdamond.scheme, i), kind)
                write('%s/ops_filters/%d/matching' % (kdamond.scheme, i), 'Y')
            offs, commands = [], []
            for i in range(12):
                kdamond.state('on')
                # At any time of an aggregation, of the first or a later one.
                time.sleep(0.13 * i % 1)
                if i % 4 == 3:
                    for command in ('update_schemes_tried_regions', 'commit',
                                    'update_schemes_stats'):
                        commands.append(timed(kdamond.state, command))
                    covered = sum(region[1] - region[0] for region in kdamond.snapshot())
                    self.assertGreater(covered, 0.9 * (self.TIB << 40))
                offs.append(timed(kdamond.state, 'off'))
            print('off after %.0f ms at most, a command after %.0f ms, %.1f MiB' %
                  (max(offs) * 1000, max(commands) * 1000, self.resident() / MIB))
            self.assertLess(max(offs), self.OFF, offs)
            # An aggregation of 100 ms, and what schemes take at its end.
            self.assertLess(max(commands), patience * SLOWER, commands)
            if not SANITIZED:
                self.assertLess(self.resident(), self.MEMORY)
            self.assertEqual(self.mount.close(), 0)

    @tries(3)
    def test_nothing_may_be_used(self):
        self.check(NONE)

    @tries(3)
    def test_nothing_may_be_used_filters(self):
        self.check(NONE, filters=('anon', 'active', 'young'))

    @tries(3)
    def test_little_is_used(self):
        self.check(READ_WRITE)

    @tries(3)
    def test_little_is_used_filters(self):
        self.check(READ_WRITE, filters=('anon', 'active', 'young'))

    @tries(3)
    def test_actions(self):
        # Advice is for less than 2 GiB in a call.
        self.check(NONE, action='cold', patience=2)
        self.check(READ_WRITE, action='cold', patience=2)
        self.check(READ_WRITE, action='migrate_cold')

    @tries(3)
    def test_another_method(self):
        self.check(READ_WRITE, method='referenced', filters=('anon',))

    @tries(3)
    def test_physical_memory_beside_it(self):
        """The reverse map of all memory is made of such a process, too."""
        with reserved(self.TIB, NONE), reserved(self.TIB, READ_WRITE), \
                Workload('--size', '16M', '--hot', '1M', '--at', '2M', *RESTS) as workload, \
                Mount('log=info') as self.mount:
            kdamond, = self.mount.kdamonds(1)
            kdamond.target(0, operations='paddr')
            frames = sorted(present_frames(workload, workload.start, workload.end))
            kdamond.regions((frames[0] * PAGE, (frames[-1] + 1) * PAGE))
            kdamond.stat_scheme()
            offs = []
            for i in range(8):
                kdamond.state('on')
                time.sleep(0.3 * i)
                offs.append(timed(kdamond.state, 'off'))
            print('off after %.0f ms at most, %.1f MiB' %
                  (max(offs) * 1000, self.resident() / MIB))
            self.assertLess(max(offs), self.OFF, offs)


class Numbers(Scheme):
    """The largest and the smallest that the files take."""

    def cpu(self, seconds):
        before = cpu_of(self.kdamond)
        time.sleep(seconds)
        return (cpu_of(self.kdamond) - before) / seconds

    def test_no_interval_makes_it_spin(self):
        most = 2 ** 64 - 1
        with Workload('--size', '64M', '--hot', '4M', '--at', '16M', *RESTS) as workload:
            for sample, aggr, other, rests in ((most, most, most, False), (0, 0, 0, False),
                                               (1, 1, 1, False), (0, most, 0, False),
                                               (1, most, most, False), (5000, most, most, False),
                                               (most, most, most, True), (5000, 100000, 1, True)):
                self.kdamond.target(workload.pid)
                self.kdamond.attrs(sample, aggr, other)
                self.kdamond.stat_scheme()
                self.kdamond.set_scheme(apply_interval_us=other, quotas__bytes=most, quotas__ms=most,
                                        quotas__reset_interval_ms=other, watermarks__interval_us=other,
                                        watermarks__metric='free_mem_rate' if rests else 'none')
                self.kdamond.state('on')
                time.sleep(0.3)
                cpu = self.cpu(1)
                print('%-42s %.1f %% of a core' % ((sample, aggr, other, rests), cpu * 100))
                self.assertLess(timed(self.kdamond.state, 'off'), 0.1 * SLOWER)
                self.assertLess(cpu, 0.1, (sample, aggr, other, rests))
