# SPDX-License-Identifier: GPL-2.0-or-later
"""What Linux 6.19 and 7.0 added, on real processes: obsolete targets, snapshots, goals of cgroups."""
import contextlib
import errno
import os
import subprocess
import sys
import time
import unittest

from damon import EMULATED, MIB, RESTS, OneKdamond, Workload, error_of, memory_cgroup, read, until, write
from users import OWNER, as_user, running

SLOWER = 10 if EMULATED else 1
HELD = 256 * MIB
# Has so much memory, in a cgroup.
HOLDER = """
import os, sys
with open(sys.argv[1] + "/cgroup.procs", "w") as f:
    f.write(str(os.getpid()))
size = int(sys.argv[2])
memory = bytearray(size)
memory[::4096] = bytes([1]) * (size // 4096)
print(flush=True)
sys.stdin.read()
"""
SMALL = ['--size', '32M', '--hot', '4M', '--at', '8M', *RESTS]


class Newest(OneKdamond):
    options = ['log=info', 'abi=7.0']

    def watch(self, *workloads):
        self.kdamond.target(*(w.pid for w in workloads))
        self.kdamond.attrs(sample=5000 * SLOWER, aggr=100000 * SLOWER, update=1000000 * SLOWER)
        self.kdamond.stat_scheme()

    def mark(self, number, mark='Y'):
        write('%s/targets/%d/obsolete_target' % (self.kdamond.context, number), mark)


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
            self.kdamond.set_scheme(stats__max_nr_snapshots=6)
            self.kdamond.state('on')
            self.assertTrue(until(lambda: self.kdamond.stat('nr_snapshots') == 6, 20 * SLOWER))
            tried = self.kdamond.stat('nr_tried')
            time.sleep(SLOWER)
            self.assertEqual((self.kdamond.stat('nr_snapshots'), self.kdamond.stat('nr_tried')), (6, tried))
            # A command that collects finds nothing, and does not wait.
            self.assertEqual(self.kdamond.snapshot(), [])
            self.kdamond.set_scheme(stats__max_nr_snapshots=8)
            self.kdamond.state('commit')
            self.assertTrue(until(lambda: self.kdamond.stat('nr_snapshots') == 8, 20 * SLOWER))
            self.assertGreater(self.kdamond.stat('nr_tried'), tried)
            # Of a process that is gone there are none.
            self.kdamond.set_scheme(stats__max_nr_snapshots=0)
            self.kdamond.state('commit')
            a.process.kill()
            a.process.wait()
            before = self.kdamond.stat('nr_snapshots')
            time.sleep(SLOWER)
            self.assertAlmostEqual(self.kdamond.stat('nr_snapshots') - before, 10, delta=4)


class Measuring(Newest):
    def effective(self):
        return int(read(self.kdamond.scheme + '/quotas/effective_bytes'))

    def grows(self, metric, target, path='', action='commit'):
        """Whether the quota grows: less is measured than wanted."""
        self.kdamond.set_scheme(quotas__goals__0__target_metric=metric, quotas__goals__0__target_value=target,
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
        self.kdamond.set_scheme(quotas__bytes=1 << 40, quotas__reset_interval_ms=100, quotas__goals__nr_goals=1)
        write(self.kdamond.path + '/refresh_ms', 100)

    @contextlib.contextmanager
    def holding(self, group, size):
        """A process in the cgroup that has so many bytes."""
        with subprocess.Popen([sys.executable, '-c', HOLDER, group, str(size)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:
            try:
                process.stdout.readline()
                yield
            finally:
                process.stdin.close()

    def share(self, size):
        """Of the node's memory, in 1/10000."""
        with open('/sys/devices/system/node/node0/meminfo') as f:
            return size * 10000 // (int(f.readline().split()[3]) * 1024)


class Goals(Measuring):
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
        share = self.share(HELD)
        with memory_cgroup() as (group, path), Workload(*SMALL) as workload:
            self.prepare(workload)
            self.assertTrue(self.grows('node_memcg_used_bp', max(share // 2, 1), path, 'on'), 'nothing is used')
            with self.holding(group, HELD):
                self.assertFalse(self.grows('node_memcg_used_bp', share // 2, path), 'it is used')
                self.assertTrue(self.grows('node_memcg_used_bp', share * 2, path), 'not so much')
                self.assertFalse(self.grows('node_memcg_free_bp', 10000 - 2 * share, path))
                self.assertTrue(self.grows('node_memcg_free_bp', 10000, path))
            # What is no cgroup: the errors of the kernel, and the goals stay.
            self.kdamond.set_scheme(quotas__goals__0__path='/no/such/group')
            self.assertEqual(error_of(lambda: self.kdamond.state('commit')), errno.ENOMEM)
            self.assertEqual(error_of(lambda: self.kdamond.state('commit_schemes_quota_goals')), errno.EINVAL)
            self.assertEqual(self.kdamond.state(), 'on')
            # Without a target value, or with another metric, nobody looks at it.
            self.kdamond.set_scheme(quotas__goals__0__target_value=0)
            self.kdamond.state('commit')
            self.kdamond.set_scheme(quotas__goals__0__target_value=1, quotas__goals__0__target_metric='user_input')
            self.kdamond.state('commit')

    def test_another_cgroup_of_the_same_name(self):
        share = self.share(HELD)
        with memory_cgroup() as (group, path), Workload(*SMALL) as workload:
            self.prepare(workload)
            self.assertTrue(self.grows('node_memcg_used_bp', share // 2, path, 'on'))
            os.rmdir(group)
            os.mkdir(group)
            with self.holding(group, HELD):
                before = self.effective()
                time.sleep(0.8 * SLOWER)
                self.assertGreater(self.effective(), before, 'it is another')
                self.assertFalse(self.grows('node_memcg_used_bp', share // 2, path), 'that one')

    def test_goals_take_no_descriptors(self):
        """Who makes many goals must not use up the daemon's open files."""
        with memory_cgroup() as (_, path), Workload(*SMALL) as workload:
            self.prepare(workload)
            self.kdamond.state('on')
            descriptors = '/proc/%d/fd' % self.mount.process.pid
            before = len(os.listdir(descriptors))
            self.kdamond.set_scheme(quotas__goals__nr_goals=200)
            for number in range(200):
                goal = '%s/quotas/goals/%d/' % (self.kdamond.scheme, number)
                for name, value in (('target_metric', 'node_memcg_used_bp'), ('target_value', 1), ('path', path)):
                    write(goal + name, value)
            self.kdamond.state('commit')
            self.kdamond.state('commit_schemes_quota_goals')
            self.assertLess(len(os.listdir(descriptors)), before + 20)
            self.assertEqual(self.kdamond.state(), 'on')


class GoalsOfUsers(Measuring):
    """A mount of a user's, who measures what he may read."""

    options = ['uid=%d,gid=%d,abi=7.0,log=info' % (OWNER, OWNER)]

    @unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to be somebody else')
    def test_a_closed_cgroup(self):
        share = self.share(HELD)
        os.chmod(self.mount.dir, 0o755)
        with memory_cgroup() as (group, path), self.holding(group, HELD), \
                running(*as_user(OWNER), 'sleep', '1000') as process:
            self.prepare(process)
            self.kdamond.set_scheme(quotas__goals__0__target_metric='node_memcg_used_bp',
                                    quotas__goals__0__target_value=share // 2, quotas__goals__0__path=path)
            for mode, grows in ((0o755, False), (0o700, True)):
                os.chmod(group, mode)
                subprocess.run([*as_user(OWNER), 'sh', '-c', 'echo on > "$1/state"', 'sh', self.kdamond.path],
                               check=True)
                time.sleep(0.5 * SLOWER)
                before = self.effective()
                time.sleep(0.8 * SLOWER)
                self.assertEqual(self.effective() > before, grows, oct(mode))
                self.kdamond.state('off')
