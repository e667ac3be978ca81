# SPDX-License-Identifier: GPL-2.0-or-later
"""What Linux 6.19 and 7.0 added, on real processes: obsolete targets, snapshots, goals of cgroups."""
import contextlib
import errno
import os
import subprocess
import sys
import time
import unittest

from damon import EMULATED, MIB, RESTS, Mount, Workload, error_of, memory_cgroup, read, until, write

SLOWER = 10 if EMULATED else 1
SMALL = ['--size', '32M', '--hot', '4M', '--at', '8M', *RESTS]


class Newest(unittest.TestCase):
    def setUp(self):
        self.mount = Mount('log=info', 'abi=7.0')
        self.kdamond, = self.mount.kdamonds(1)

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)

    def watch(self, *workloads):
        self.kdamond.target(*(w.pid for w in workloads))
        self.kdamond.attrs(sample=5000 * SLOWER, aggr=100000 * SLOWER, update=1000000 * SLOWER)
        self.kdamond.stat_scheme()

    def mark(self, number, mark='Y'):
        write('%s/targets/%d/obsolete_target' % (self.kdamond.context, number), mark)

    def set(self, **values):
        for name, value in values.items():
            write(os.path.join(self.kdamond.scheme, name.replace('__', '/')), value)

    def stat(self, name):
        self.kdamond.state('update_schemes_stats')
        return int(read('%s/stats/%s' % (self.kdamond.scheme, name)))


class ObsoleteTargets(Newest):
    @contextlib.contextmanager
    def three(self):
        with Workload(*SMALL) as a, Workload(*SMALL) as b, Workload(*SMALL) as c:
            self.watch(a, b, c)
            self.kdamond.state('on')
            # Old enough to tell whether they are kept.
            self.assertTrue(until(lambda: max(r[3] for r in self.kdamond.snapshot()) > 10, 20 * SLOWER))
            yield a, b, c

    def seen(self, workloads):
        """Which of them are watched."""
        regions = self.kdamond.snapshot()
        return [any(r[0] < w.end and r[1] > w.start for r in regions) for w in workloads]

    def test_the_others_keep_their_regions(self):
        with self.three() as workloads:
            self.assertEqual(self.seen(workloads), [True] * 3)
            self.mark(1)
            self.kdamond.state('commit')
            self.assertEqual(self.seen(workloads), [True, False, True])
            self.assertGreater(max(r[3] for r in self.kdamond.snapshot()), 10)
            self.assertEqual(read(self.kdamond.context + '/targets/1/obsolete_target'), 'Y')
            # Numbers are those of the running targets: again, and the next one is gone.
            self.kdamond.state('commit')
            self.assertEqual(self.seen(workloads)[:2], [True, False])

    def test_without_targets_it_ends(self):
        with self.three():
            for number in range(3):
                self.mark(number)
            self.kdamond.state('commit')
            self.assertTrue(until(lambda: self.kdamond.state() == 'off', 10 * SLOWER))
            self.assertEqual(error_of(lambda: self.kdamond.state('off')), errno.EPERM)

    def test_what_is_refused(self):
        with self.three() as workloads:
            write(self.kdamond.context + '/targets/nr_targets', 4)
            for number, pid in enumerate([w.pid for w in workloads] + [workloads[0].pid]):
                write('%s/targets/%d/pid_target' % (self.kdamond.context, number), pid)
            self.mark(3)
            self.assertEqual(error_of(lambda: self.kdamond.state('commit')), errno.EINVAL)
            self.assertEqual(self.seen(workloads), [True] * 3)

    def test_on_does_not_care(self):
        with Workload(*SMALL) as a:
            self.watch(a)
            self.mark(0)
            self.kdamond.state('on')
            self.assertEqual(self.seen([a]), [True])


class Snapshots(Newest):
    def test_a_scheme_stops_after_them(self):
        with Workload(*SMALL) as a, Workload(*SMALL) as b:
            self.watch(a, b)
            self.set(stats__max_nr_snapshots=6)
            self.kdamond.state('on')
            self.assertTrue(until(lambda: self.stat('nr_snapshots') == 6, 20 * SLOWER))
            tried = self.stat('nr_tried')
            time.sleep(SLOWER)
            self.assertEqual((self.stat('nr_snapshots'), self.stat('nr_tried')), (6, tried))
            # A command that collects finds nothing, and does not wait.
            self.assertEqual(self.kdamond.snapshot(), [])
            self.set(stats__max_nr_snapshots=8)
            self.kdamond.state('commit')
            self.assertTrue(until(lambda: self.stat('nr_snapshots') == 8, 20 * SLOWER))
            self.assertGreater(self.stat('nr_tried'), tried)
            # Of a process that is gone there are none.
            self.set(stats__max_nr_snapshots=0)
            self.kdamond.state('commit')
            a.process.kill()
            a.process.wait()
            before = self.stat('nr_snapshots')
            time.sleep(SLOWER)
            self.assertAlmostEqual(self.stat('nr_snapshots') - before, 10, delta=4)


class Goals(Newest):
    def effective(self):
        return int(read(self.kdamond.scheme + '/quotas/effective_bytes'))

    def grows(self, metric, target, path='', action='commit'):
        """Whether the quota grows: less is measured than wanted."""
        self.set(quotas__goals__0__target_metric=metric, quotas__goals__0__target_value=target,
                 quotas__goals__0__path=path)
        self.kdamond.state(action)
        time.sleep(0.5 * SLOWER)
        before = self.effective()
        time.sleep(0.8 * SLOWER)
        after = self.effective()
        # At its least it does not shrink any more.
        self.assertTrue(after > before or after <= max(before, 5), (metric, target, before, after))
        return after > before

    def prepare(self, workload):
        self.watch(workload)
        self.set(quotas__bytes=1 << 40, quotas__reset_interval_ms=100, quotas__goals__nr_goals=1)
        write(self.kdamond.path + '/refresh_ms', 100)

    def test_active_memory(self):
        with open('/proc/meminfo') as f:
            kb = {line.split(':')[0]: int(line.split()[1]) for line in f}
        share = kb['Active'] * 10000 // (kb['Active'] + kb['Inactive'])
        with Workload(*SMALL) as workload:
            self.prepare(workload)
            for metric, measured in (('active_mem_bp', share), ('inactive_mem_bp', 10000 - share)):
                action = 'on' if self.kdamond.state() == 'off' else 'commit'
                self.assertTrue(self.grows(metric, measured + 2000, action=action), (metric, measured))
                self.assertFalse(self.grows(metric, max(measured - 2000, 1)), (metric, measured))

    def test_memory_of_a_cgroup(self):
        size = 256 * MIB
        with open('/sys/devices/system/node/node0/meminfo') as f:
            total = int(f.readline().split()[3]) * 1024
        share = size * 10000 // total
        holder = 'import os, sys\nopen(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))\n' \
            'memory = bytearray(%d)\nmemory[::4096] = bytes([1]) * (%d // 4096)\n' \
            'print(flush=True)\nsys.stdin.read()' % (size, size)
        with memory_cgroup() as (group, path), Workload(*SMALL) as workload:
            self.prepare(workload)
            self.assertTrue(self.grows('node_memcg_used_bp', max(share // 2, 1), path, 'on'), 'nothing is used')
            with subprocess.Popen([sys.executable, '-c', holder, group], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE) as process:
                process.stdout.readline()
                try:
                    self.assertFalse(self.grows('node_memcg_used_bp', share // 2, path), 'it is used')
                    self.assertTrue(self.grows('node_memcg_used_bp', share * 2, path), 'not so much')
                    self.assertFalse(self.grows('node_memcg_free_bp', 10000 - 2 * share, path))
                    self.assertTrue(self.grows('node_memcg_free_bp', 10000, path))
                finally:
                    process.stdin.close()
            # What is no cgroup: the errors of the kernel, and the goals stay.
            self.set(quotas__goals__0__path='/no/such/group')
            self.assertEqual(error_of(lambda: self.kdamond.state('commit')), errno.ENOMEM)
            self.assertEqual(error_of(lambda: self.kdamond.state('commit_schemes_quota_goals')), errno.EINVAL)
            self.assertEqual(self.kdamond.state(), 'on')
            # Without a target value, or with another metric, nobody looks at it.
            self.set(quotas__goals__0__target_value=0)
            self.kdamond.state('commit')
            self.set(quotas__goals__0__target_value=1, quotas__goals__0__target_metric='user_input')
            self.kdamond.state('commit')
