# SPDX-License-Identifier: GPL-2.0-or-later
"""Physical memory: frames of processes of our own, whose hot memory is known."""
import contextlib
import os
import subprocess
import tempfile
import time
import unittest

from damon import (MIB, PAGE, RESTS, Mount, Workload, hot_regions, memory_cgroup, overlap,
                   page_flags, present_frames, read, tries, until, write)

KPF_ACTIVE = 6


def frames_of(workload, start, end):
    """The physical ranges of the present pages from START to END, ascending and joined."""
    ranges = []
    for frame in sorted(present_frames(workload, start, end)):
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

    @contextlib.contextmanager
    def workload(self, *arguments):
        with Workload(*arguments, *RESTS) as workload:
            try:
                yield workload
            finally:
                # When it is gone, its frames are somebody else's.
                if self.kdamond.state() == 'on':
                    self.kdamond.state('off')

    def watch(self, ranges, least=10, unit=1):
        """Physical memory, and of that what is our own process's; addresses in units of so many bytes."""
        self.kdamond.target(0, operations='paddr')
        write(self.kdamond.context + '/addr_unit', unit)
        self.kdamond.regions(*[(start // unit, end // unit) for start, end in ranges])
        self.kdamond.attrs(update=1000000, least=least, most=max(1000, 2 * len(ranges)))
        self.kdamond.stat_scheme()

    def found(self, workload, unit):
        """(hot bytes found, of them truly hot) / truly hot bytes."""
        hot = hot_regions([(start * unit, end * unit, nr_accesses, age)
                           for start, end, nr_accesses, age in self.kdamond.snapshot()])
        truth = frames_of(workload, workload.hot_start, workload.hot_end)
        true = sum(end - start for start, end in truth)
        return (sum(r[1] - r[0] for r in hot) / true,
                sum(overlap(hot, start, end) for start, end in truth) / true)

    def check_found(self, *arguments, unit=1):
        with self.workload('--size', '256M', '--hot', '32M', '--at', '96M',
                           *arguments) as workload:
            ranges = frames_of(workload, workload.start, workload.end)
            if len(ranges) > 900:
                self.skipTest('MISSING: huge pages, physical memory is in too small pieces')
            self.watch(ranges, unit=unit)
            self.kdamond.state('on')
            time.sleep(10)
            looks = [self.found(workload, unit) for _ in range(10) if not time.sleep(0.2)]
            found, covered = (sorted(x)[len(x) // 2] for x in zip(*looks))
            self.assertAlmostEqual(found, 1, delta=0.15, msg=looks)
            self.assertGreater(covered, 0.9, looks)

    @tries(3)
    def test_hot_frames_of_huge_pages(self):
        self.check_found('--kind', 'huge')

    @tries(3)
    def test_addresses_in_frames(self):
        self.check_found('--kind', 'huge', unit=PAGE)

    @tries(3)
    def test_frames_that_are_not_used_are_cold(self):
        with self.workload('--size', '128M', '--hot', '1M', '--at', '8M',
                           '--kind', 'huge') as workload:
            self.watch(frames_of(workload, workload.start + 16 * MIB, workload.end))
            self.kdamond.state('on')
            time.sleep(4)
            self.assertEqual([r for r in self.kdamond.snapshot() if r[2] > 1], [])

    def act(self, ranges, action, age=(5, 2 ** 64 - 1), filters=()):
        """A scheme for what is cold, and as many filters as are given: (type, matching)."""
        self.watch(ranges, least=100)
        write(self.kdamond.scheme + '/access_pattern/nr_accesses/max', 0)
        write(self.kdamond.scheme + '/access_pattern/age/min', age[0])
        write(self.kdamond.scheme + '/action', action)
        write(self.kdamond.scheme + '/filters/nr_filters', len(filters))
        for i, (kind, matching, *path) in enumerate(filters):
            write('%s/filters/%d/type' % (self.kdamond.scheme, i), kind)
            write('%s/filters/%d/matching' % (self.kdamond.scheme, i), matching)
            for name in path:
                write('%s/filters/%d/memcg_path' % (self.kdamond.scheme, i), name)
        self.kdamond.state('on')

    def applied(self):
        self.kdamond.state('update_schemes_stats')
        return int(read(self.kdamond.scheme + '/stats/sz_applied'))

    @tries(3)
    def test_pageout_and_what_filters_keep(self):
        with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, \
                self.workload('--kind', 'file', '--file', directory + '/memory', '--size', '64M',
                              '--hot', '8M', '--at', '16M', '--step', '32M') as workload:
            subprocess.run(['sync', directory + '/memory'], check=True)
            ranges = frames_of(workload, workload.start, workload.end)

            def resident(start, end):
                return sum(e - s for s, e in frames_of(workload, start, end))

            # It is file memory: without that there is nothing to do.
            self.act(ranges, 'pageout', filters=[('anon', 'N')])
            time.sleep(5)
            self.assertEqual(self.applied(), 0)
            self.kdamond.state('off')
            self.assertGreater(resident(workload.start, workload.end), 63 * MIB)
            self.act(ranges, 'pageout', filters=[('anon', 'Y')])
            self.assertTrue(until(lambda: resident(workload.start, workload.end) < 16 * MIB, 20),
                            resident(workload.start, workload.end) / MIB)
            self.assertGreater(resident(workload.hot_start, workload.hot_end), 7 * MIB)
            # A page that goes with the folio it is part of is not counted.
            self.assertGreater(self.applied(), 20 * MIB)

    @tries(3)
    def test_filter_for_a_cgroup(self):
        """Of two processes with cold memory, one of them in a cgroup, only that one's is deactivated."""
        with memory_cgroup() as (group, path), \
                self.workload('--size', '8M', '--hot', '1M', '--at', '1M') as one, \
                contextlib.ExitStack() as moved:
            # What it touches from then on is the group's.
            before = read('/proc/self/cgroup')
            write(group + '/cgroup.procs', os.getpid())
            moved.callback(write, os.path.dirname(group) + '/cgroup.procs', os.getpid())
            with self.workload('--size', '8M', '--hot', '1M', '--at', '1M') as other:
                self.assertNotEqual(read('/proc/%d/cgroup' % other.pid), before)
                ranges = frames_of(one, one.start + 4 * MIB, one.end) + \
                    frames_of(other, other.start + 4 * MIB, other.end)

                def active(workload):
                    flags = page_flags(workload, workload.start + 4 * MIB, workload.end)
                    return sum(f >> KPF_ACTIVE & 1 for f in flags) / len(flags)

                self.act(sorted(ranges), 'lru_prio')
                self.assertTrue(until(lambda: min(active(one), active(other)) > 0.9, 20),
                                (active(one), active(other)))
                self.kdamond.state('off')
                # All that is not of the group is filtered out.
                self.act(sorted(ranges), 'lru_deprio', filters=[('memcg', 'N', path)])
                self.assertTrue(until(lambda: active(other) < 0.1, 20), active(other))
                # Being looked at takes pages off that list, too, when they are young.
                self.assertGreater(active(one), 0.3)
                self.kdamond.state('off')

    @tries(3)
    def test_lists_of_reclaim(self):
        with self.workload('--size', '16M', '--hot', '1M', '--at', '2M') as workload:
            cold = (workload.start + 12 * MIB, workload.end)
            ranges = frames_of(workload, *cold)

            def active():
                flags = page_flags(workload, *cold)
                return sum(f >> KPF_ACTIVE & 1 for f in flags) / len(flags)

            self.act(ranges, 'lru_prio')
            self.assertTrue(until(lambda: active() > 0.9, 20), active())
            self.kdamond.state('off')
            self.act(ranges, 'lru_deprio')
            self.assertTrue(until(lambda: active() < 0.1, 20), active())
            self.assertGreater(self.applied(), 0)

    @unittest.skipUnless(os.path.exists('/sys/devices/system/node/node1'),
                         'MISSING: a second node of memory')
    @tries(3)
    def test_migrate_cold(self):
        with self.workload('--size', '64M', '--hot', '8M', '--at', '16M',
                           '--kind', 'huge') as workload:
            def there(node):
                """Bytes of the workload's memory on a node."""
                with open('/proc/%d/numa_maps' % workload.pid) as f:
                    maps = {int(line.split()[0], 16): line.split() for line in f}
                start = max(at for at in maps if at <= workload.start)
                return sum(int(word.partition('=')[2]) * PAGE for word in maps[start]
                           if word.startswith('N%d=' % node))

            total = there(0) + there(1)
            target = int(there(0) > there(1))
            before = there(target)
            for node in (2, -1, 12345):     # none of those is there
                self.migrate(workload, node)
                time.sleep(3)
                self.assertEqual(self.applied(), 0)
                self.kdamond.state('off')
            self.migrate(workload, target)
            self.assertTrue(until(lambda: there(target) > total - 12 * MIB, 20),
                            (before, there(target)))
            self.assertLess(there(target), total)
            self.assertAlmostEqual(self.applied(), there(target) - before, delta=MIB)

    def migrate(self, workload, node):
        self.watch(frames_of(workload, workload.start, workload.end), least=100)
        write(self.kdamond.scheme + '/access_pattern/nr_accesses/max', 0)
        write(self.kdamond.scheme + '/access_pattern/age/min', 5)
        write(self.kdamond.scheme + '/action', 'migrate_cold')
        write(self.kdamond.scheme + '/target_nid', node)
        self.kdamond.state('on')

    def test_one_node_is_nowhere_to_go(self):
        with self.workload('--size', '16M', '--hot', '1M', '--at', '2M') as workload:
            self.migrate(workload, 0 if not os.path.exists('/sys/devices/system/node/node1') else 9)
            time.sleep(2)
            self.assertEqual(self.applied(), 0)

    def test_without_regions_nothing_is_monitored(self):
        self.watch([])
        self.kdamond.state('on')
        time.sleep(1)
        self.assertEqual(self.kdamond.snapshot(), [])
        self.assertEqual(self.kdamond.state(), 'on')
