# SPDX-License-Identifier: GPL-2.0-or-later
"""Monitoring of real processes whose hot memory is known, through the mount."""
import errno
import os
import statistics
import tempfile
import time
import unittest

from damon import HAVE_YOUNG, MIB, Mount, UnprivilegedMount, Workload, hot_regions, overlap, tries, write

HOT = 64 * MIB


def rollup(pid, name):
    """A figure of /proc/PID/smaps_rollup, in bytes."""
    with open('/proc/%d/smaps_rollup' % pid) as f:
        for line in f:
            if line.startswith(name + ':'):
                return int(line.split()[1]) * 1024
    return 0


@unittest.skipUnless(HAVE_YOUNG, 'MISSING: root and BTF (/sys/kernel/btf/vmlinux) for method young')
class HotMemory(unittest.TestCase):
    """1 GiB, 64 MiB of it hot, at default attributes with the method young."""

    def figures(self, kdamond, workload):
        regions = kdamond.snapshot()
        hot = hot_regions(regions)
        return (sum(r[1] - r[0] for r in hot),
                overlap(hot, workload.hot_start, workload.hot_end))

    def is_hot(self, workload):
        """
        Whether the hot memory is touched within some sampling intervals of a clear of all accessed bits, by
        which alone the method sees this sort of memory: there are machines (of machines) where setting a bit
        takes 6 us, and 64 MiB a tenth of a second.
        """
        for _ in range(5):
            write('/proc/%d/clear_refs' % workload.pid, 1)
            time.sleep(0.005)
            if rollup(workload.pid, 'Referenced') > 0.9 * HOT:
                return True
        return False

    @tries(3)
    def watch(self, *arguments):
        with Workload(*arguments) as workload, Mount('method=young') as mount:
            if arguments[1] in ('shared', 'fork', 'locked') and not self.is_hot(workload):
                self.skipTest('MISSING: a machine that sets the accessed bits of 64 MiB in some 15 ms')
            huge = rollup(workload.pid, 'AnonHugePages')
            kdamond, = mount.kdamonds(1)
            kdamond.target(workload.pid)
            kdamond.attrs()
            kdamond.stat_scheme()
            kdamond.state('on')
            time.sleep(10)
            found = [self.figures(kdamond, workload) for _ in range(20)]
            size = statistics.median(f[0] for f in found)
            covered = statistics.median(f[1] for f in found)
            print('%-28s hot bytes %.3f of the truth, covered %.3f' %
                  (' '.join(arguments), size / HOT, covered / HOT))
            self.assertAlmostEqual(size / HOT, 1, delta=0.05)
            self.assertGreaterEqual(covered / HOT, 0.95)
            self.check_move(kdamond, workload)
            # No huge page was split to watch it.
            self.assertEqual(rollup(workload.pid, 'AnonHugePages'), huge)
            kdamond.state('off')

    def check_move(self, kdamond, workload):
        old = (workload.hot_start, workload.hot_end)
        workload.move()
        moved = time.monotonic()
        while True:
            hot = hot_regions(kdamond.snapshot())
            if overlap(hot, *old) < 0.05 * HOT:
                break
            self.assertLess(time.monotonic() - moved, 3, 'the old hot part is still hot')
        print('%28s cold after %.2f s' % ('the old part is', time.monotonic() - moved))

    def test_anonymous_written(self):
        self.watch('--kind', 'anon', '--access', 'write')

    def test_anonymous_read(self):
        self.watch('--kind', 'anon', '--access', 'read')

    def test_huge_pages_written(self):
        self.watch('--kind', 'huge', '--access', 'write')

    def test_huge_pages_read(self):
        self.watch('--kind', 'huge', '--access', 'read')

    def test_file_written(self):
        self.watch('--kind', 'file', '--access', 'write')

    def test_file_read(self):
        self.watch('--kind', 'file', '--access', 'read')

    def test_shared_by_two_processes_written(self):
        self.watch('--kind', 'shared', '--access', 'write')

    def test_shared_by_two_processes_read(self):
        self.watch('--kind', 'shared', '--access', 'read')

    def test_shared_since_a_fork(self):
        self.watch('--kind', 'fork', '--access', 'read')

    def test_locked(self):
        self.watch('--kind', 'locked', '--access', 'write')

    def test_the_daemon_stays_small(self):
        with Workload() as workload, Mount('method=young') as mount:
            kdamond, = mount.kdamonds(1)
            kdamond.target(workload.pid)
            kdamond.attrs(least=1000, most=2000)
            kdamond.stat_scheme()
            kdamond.state('on')
            sizes = []
            for _ in range(5):
                time.sleep(1)
                kdamond.snapshot()
                with open('/proc/%d/statm' % mount.process.pid) as f:
                    sizes.append(int(f.read().split()[1]) * 4096)
            kdamond.state('off')
        print('resident with 1000 regions: %.1f MiB' % (sizes[-1] / MIB))
        if 'asan' not in os.environ.get('DAMONFS_BUILD', ''):
            self.assertLess(max(sizes), 16 * MIB)
            self.assertLess(sizes[-1] - sizes[1], MIB)


class Methods(unittest.TestCase):
    SCRIPT = '''
        map 0x10000000 64M
        map 0x700000000000 64M          # the gaps leave three regions
        map 0x7f0000000000 1M
        access 0x10000000 8M 100%
        at 4s access 0x10000000 8M 0%
        at 4s access 0x700000000000 8M 100%
    '''

    def simulated(self):
        script = tempfile.NamedTemporaryFile('w', suffix='.script')
        script.write(self.SCRIPT)
        script.flush()
        self.addCleanup(script.close)
        return 'method=simulated:' + script.name

    def test_simulated_without_privileges(self):
        """A script is played to whoever may do nothing: nobody, in a tree of their own."""
        with Mount(self.simulated()) as mount:
            kdamond, = mount.kdamonds(1)
            kdamond.target(os.getpid())
            kdamond.attrs(sample=2000, aggr=40000)
            kdamond.stat_scheme()
            kdamond.state('on')
            time.sleep(3)
            first = hot_regions(kdamond.snapshot())
            time.sleep(3)
            second = hot_regions(kdamond.snapshot())
            kdamond.state('off')
        self.assertAlmostEqual(overlap(first, 0x10000000, 0x10800000) / MIB, 8, delta=0.5)
        self.assertEqual(overlap(first, 0x700000000000, 0x7f0000000000), 0)
        self.assertAlmostEqual(overlap(second, 0x700000000000, 0x700000800000) / MIB, 8, delta=0.5)
        self.assertEqual(overlap(second, 0x10000000, 0x14000000), 0)

    @tries(3)
    def test_referenced_tells_mappings_apart(self):
        # Small, because every page is to be touched within a sampling interval of a clear, also on machines
        # where setting an accessed bit takes 6 us.
        with Workload('--size', '1M', '--hot', '1M', '--at', '0') as hot, \
                Workload('--size', '1M', '--hot', '4K', '--at', '0', '--access', 'none') as cold, \
                Mount('method=referenced') as mount:
            kdamonds = mount.kdamonds(2)
            rates = []
            for kdamond, workload in zip(kdamonds, (hot, cold)):
                kdamond.target(workload.pid, operations='fvaddr')
                kdamond.regions((workload.start, workload.end))
                kdamond.attrs()
                kdamond.stat_scheme()
                kdamond.state('on')
            time.sleep(3)
            for kdamond in kdamonds:
                regions = kdamond.snapshot()
                size = sum(r[1] - r[0] for r in regions)
                rates.append(sum(r[2] * (r[1] - r[0]) for r in regions) / size)
                kdamond.state('off')
        print('referenced: hot mapping %.1f of 20, cold mapping %.1f' % tuple(rates))
        self.assertGreater(rates[0], 18)
        self.assertLess(rates[1], 2)

    @unittest.skipUnless(HAVE_YOUNG, 'MISSING: root and BTF for method young')
    def test_auto_takes_the_next_best_without_bpf(self):
        for dropped, word in ((('bpf', 'perfmon', 'sys_admin'), 'CAP_BPF'),
                              (('sys_nice',), 'CAP_SYS_NICE')):
            with UnprivilegedMount(dropped) as mount:
                kdamond, = mount.kdamonds(1)
                kdamond.target(os.getpid())
                kdamond.state('on')
                self.assertEqual(kdamond.state(), 'on')
                kdamond.state('off')
                log = mount.logged()
            at_start, _, at_on = log.partition('access method young is not available')
            self.assertIn(word + ' is missing', at_start, 'what is missing is said at start')
            self.assertIn(word, at_on, 'and when monitoring starts')
            self.assertIn('access method referenced', at_on)

    def test_a_method_that_does_not_work_refuses_on(self):
        with tempfile.NamedTemporaryFile('w') as script:
            script.write('nonsense\n')
            script.flush()
            with Mount('method=simulated:' + script.name) as mount:
                kdamond, = mount.kdamonds(1)
                kdamond.target(os.getpid())
                with self.assertRaises(OSError) as caught:
                    kdamond.state('on')
                self.assertEqual(caught.exception.errno, errno.EINVAL)
                self.assertIn('line 1', mount.logged())
                # As if it had never been turned on.
                with self.assertRaises(OSError) as caught:
                    kdamond.state('off')
                self.assertEqual(caught.exception.errno, errno.EINVAL)
