# SPDX-License-Identifier: GPL-2.0-or-later
"""Monitoring of real processes whose hot memory is known, through the mount."""
import contextlib
import errno
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from damon import (DAMONFS, MIB, SANITIZED, Mount, UnprivilegedMount, Workload, hot_regions, open_mount, overlap,
                   tries, until, write)
from seccomp import PROCESS_MADVISE, FilteredMount

HOT = 64 * MIB
HAVE_YOUNG = os.path.exists('/sys/kernel/btf/vmlinux') and os.geteuid() == 0


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
                base = kdamond.context + '/targets/0/regions/'
                write(base + 'nr_regions', 1)
                write(base + '0/start', workload.start)
                write(base + '0/end', workload.end)
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


class IdleMount(Mount):
    """A damonfs that finds a page_idle bitmap: a file that stands for one, where the kernel has none."""

    def start(self, options, env):
        fuse = open_mount(self.dir, 'allow_other')
        script = ('mount -t tmpfs none /sys/kernel/mm && mkdir /sys/kernel/mm/page_idle && '
                  'truncate -s 64M /sys/kernel/mm/page_idle/bitmap && exec "$@"')
        process = subprocess.Popen(['unshare', '--mount', 'sh', '-c', script, 'sh', DAMONFS, '-f',
                                    *options, '/dev/fd/%d' % fuse],
                                   stderr=self.log, env=env, pass_fds=[fuse])
        os.close(fuse)
        return process


@unittest.skipUnless(HAVE_YOUNG, 'MISSING: root and BTF for method young')
class Sight(unittest.TestCase):
    """Finding 10: what cannot be seen is told, and never shown as a row of zeros."""

    def watch(self, mount, workload, operations='vaddr'):
        kdamond, = mount.kdamonds(1)
        kdamond.target(workload.pid, operations=operations)
        if operations != 'vaddr':
            base = kdamond.context + '/targets/0/regions/'
            write(base + 'nr_regions', 1)
            write(base + '0/start', workload.start)
            write(base + '0/end', workload.end)
        kdamond.attrs()
        kdamond.stat_scheme()
        return kdamond

    def assert_refused(self, mount, kdamond, *words):
        with self.assertRaises(OSError) as caught:
            kdamond.state('on')
        self.assertEqual(caught.exception.errno, errno.EINVAL)
        self.assertEqual(kdamond.state(), 'off')
        for word in words:
            self.assertIn(word, mount.logged())

    def assert_sees(self, kdamond, workload):
        hot = until(lambda: overlap(hot_regions(kdamond.snapshot()), workload.hot_start,
                                    workload.hot_end), 10)
        self.assertGreater(hot, 0)

    def test_a_filter_of_system_calls(self):
        """`auto' takes what it lets through; both errors are in use."""
        for error in (errno.EPERM, errno.ENOSYS):
            # A sanitizer's own memory is so much that a workload is not found beside it.
            for operations in ('fvaddr',) if SANITIZED else ('vaddr', 'fvaddr'):
                with Workload('--size', '64M', '--hot', '64M', '--at', '0') as workload, \
                        FilteredMount(PROCESS_MADVISE, 'log=info', error=error) as mount:
                    kdamond = self.watch(mount, workload, operations)
                    kdamond.state('on')
                    log = mount.logged()
                    self.assertIn('pid %d cannot be watched by the method young: a seccomp filter '
                                  'forbids process_madvise' % workload.pid, log)
                    self.assertIn('--cap-add SYS_PTRACE', log)
                    self.assertIn('pid %d is watched by the method referenced' % workload.pid, log)
                    self.assert_sees(kdamond, workload)
                    # The same again is the same again.
                    kdamond.state('off')
                    kdamond.state('on')
                    self.assert_sees(kdamond, workload)
                    kdamond.state('off')

    def test_a_named_method_is_refused(self):
        with Workload('--size', '64M', '--hot', '8M', '--at', '0') as workload, \
                FilteredMount(PROCESS_MADVISE, 'log=info', 'method=young') as mount:
            kdamond = self.watch(mount, workload)
            self.assert_refused(mount, kdamond, 'a seccomp filter forbids process_madvise',
                                'no target can be watched')
            self.assertNotIn('referenced', mount.logged())
            # Who has ended is no error, as in the kernel.
            with subprocess.Popen(['true']) as zombie:
                time.sleep(0.2)
                kdamond.target(zombie.pid)
                kdamond.state('on')
                self.assertEqual(kdamond.state(), 'on')
                kdamond.state('off')

    def test_a_commit_of_what_cannot_be_seen(self):
        """It is refused where commits are answered, and changes nothing."""
        with Workload('--size', '64M', '--hot', '8M', '--at', '0') as workload, \
                subprocess.Popen(['true']) as zombie, \
                FilteredMount(PROCESS_MADVISE, 'log=info', 'method=young', 'abi=6.18') as mount:
            time.sleep(0.2)
            kdamond = self.watch(mount, workload)
            kdamond.target(zombie.pid)
            kdamond.state('on')
            kdamond.target(workload.pid)
            with self.assertRaises(OSError) as caught:
                kdamond.state('commit')
            self.assertEqual(caught.exception.errno, errno.EINVAL)
            self.assertEqual(kdamond.state(), 'on')
            self.assertIn('a seccomp filter', mount.logged())
            kdamond.state('off')

    def test_physical_memory(self):
        with FilteredMount(PROCESS_MADVISE, 'log=info') as mount:
            kdamond, = mount.kdamonds(1)
            kdamond.target(0, operations='paddr')
            kdamond.state('on')
            log = mount.logged()
            self.assertIn('physical memory cannot be watched by the method young', log)
            self.assertIn('physical memory is watched by the method referenced', log)
            kdamond.state('off')
        with FilteredMount(PROCESS_MADVISE, 'log=info', 'method=young') as mount:
            kdamond, = mount.kdamonds(1)
            kdamond.target(0, operations='paddr')
            self.assert_refused(mount, kdamond, 'a seccomp filter')

    def test_a_target_that_executes_programs_does_not_flood_the_log(self):
        code = ('import os, sys, time\n'
                'time.sleep(0.01)\n'
                'os.execv(sys.executable, [sys.executable, "-S", "-c", sys.argv[1], sys.argv[1]])\n')
        with subprocess.Popen([sys.executable, '-S', '-c', code, code]) as process, \
                FilteredMount(PROCESS_MADVISE, 'log=info') as mount:
            try:
                kdamond, = mount.kdamonds(1)
                kdamond.target(process.pid)
                kdamond.attrs(sample=1000, aggr=10000)
                kdamond.state('on')
                time.sleep(2)
                self.assertEqual(kdamond.state(), 'on')
                kdamond.state('off')
            finally:
                process.kill()
            self.assertLess(mount.logged().count('pid %d' % process.pid), 8, mount.logged())

    def test_the_kernels_memory_is_nobodys(self):
        """Its half of the page tables is not looked at, whatever addresses are given."""
        with Workload('--size', '64M', '--hot', '64M', '--at', '0') as workload, \
                Mount('method=young', 'log=info') as mount:
            kdamond, = mount.kdamonds(1)
            for start in (0xffffffff80000000, 0xffffffff81000000, 0xffff888000000000, 1 << 47,
                          (1 << 48) + workload.start, (1 << 63) + workload.start):
                kdamond.target(workload.pid, operations='fvaddr')
                base = kdamond.context + '/targets/0/regions/'
                write(base + 'nr_regions', 1)
                write(base + '0/start', start)
                write(base + '0/end', start + 16 * MIB)
                kdamond.attrs(sample=1000, aggr=20000)
                kdamond.stat_scheme()
                kdamond.state('on')
                time.sleep(0.5)
                self.assertEqual({region[2] for region in kdamond.snapshot()}, {0}, hex(start))
                kdamond.state('off')

    def test_the_bitmap_of_idle_pages_is_for_who_may_see_everything(self):
        """It shows what everybody does with a page that is shared."""
        owner = 65534
        script = 'cd "$1" && echo on > state && echo taken'
        for method, expected in (('auto', ['taken']), ('idle', [])):
            with self.sleeper(owner) as process, \
                    IdleMount('log=info', 'method=' + method,
                              'uid=%d,gid=%d' % (owner, owner)) as mount:
                os.chmod(mount.dir, 0o755)
                kdamond, = mount.kdamonds(1)
                kdamond.target(process.pid)
                done = subprocess.run(['setpriv', '--reuid', str(owner), '--regid', str(owner),
                                       '--clear-groups', 'sh', '-c', script, 'sh', kdamond.path],
                                      capture_output=True, text=True, check=False)
                log = mount.logged()
                self.assertEqual(done.stdout.split(), expected, log)
                self.assertIn('by the method idle: it would show user %d what others do' % owner, log)
                if expected:
                    self.assertIn('is watched by the method young', log)
                    kdamond.state('off')
                # Root may.
                before = len(log)
                kdamond.state('on')
                kdamond.state('off')
                self.assertNotIn('it would show', mount.logged()[before:])

    @contextlib.contextmanager
    def sleeper(self, user):
        process = subprocess.Popen(['setpriv', '--reuid', str(user), '--regid', str(user),
                                    '--clear-groups', 'sleep', '1000'])
        time.sleep(0.2)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


class Targets(unittest.TestCase):
    def test_many_kdamonds_at_once(self):
        with Mount('method=auto') as mount:
            kdamonds = mount.kdamonds(64)
            sleepers = [subprocess.Popen(['sleep', '1000']) for _ in range(64)]
            try:
                for kdamond, sleeper in zip(kdamonds, sleepers):
                    kdamond.target(sleeper.pid)
                    kdamond.attrs(sample=20000, aggr=200000)
                    kdamond.stat_scheme()
                    kdamond.state('on')
                self.assertEqual({k.state() for k in kdamonds}, {'on'})
                self.assertEqual(len({k.pid() for k in kdamonds}), 64)
                time.sleep(1)
                for kdamond in kdamonds[::8]:
                    self.assertGreater(len(kdamond.snapshot()), 3)
                comm = {open('/proc/%d/task/%d/comm' % (mount.process.pid, k.pid())).read().strip()
                        for k in kdamonds}
                self.assertEqual(comm, {'kdamond.%d' % i for i in range(64)})
                for sleeper in sleepers[32:]:
                    sleeper.kill()
                    sleeper.wait()
                end = time.monotonic() + 10
                while 'on' in {k.state() for k in kdamonds[32:]} and time.monotonic() < end:
                    time.sleep(0.05)
                self.assertEqual([k.state() for k in kdamonds], ['on'] * 32 + ['off'] * 32)
                for kdamond in kdamonds[:32]:
                    kdamond.state('off')
            finally:
                for sleeper in sleepers:
                    sleeper.kill()
                    sleeper.wait()
            write(mount.admin + '/kdamonds/nr_kdamonds', 0)

    def test_targets_that_come_and_go(self):
        """Processes that exit in the middle of a round, again and again; nothing is left behind."""
        with Mount() as mount:
            kdamond, = mount.kdamonds(1)
            descriptors = None
            for i in range(60):
                victims = [subprocess.Popen(['sleep', '1000']) for _ in range(3)]
                kdamond.target(*(v.pid for v in victims))
                kdamond.attrs(sample=1000, aggr=5000)
                kdamond.state('on')
                for victim in victims:
                    time.sleep(0.003)
                    victim.kill()
                    victim.wait()
                end = time.monotonic() + 5
                while kdamond.state() != 'off':
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.002)
                with self.assertRaises(OSError) as caught:
                    kdamond.state('on')
                self.assertEqual(caught.exception.errno, errno.EINVAL)
                if i == 5:
                    time.sleep(0.5)     # the kernel tells later that a file was closed
                    descriptors = len(os.listdir('/proc/%d/fd' % mount.process.pid))
            self.assertTrue(until(lambda: len(os.listdir('/proc/%d/fd' % mount.process.pid)) ==
                                  descriptors, 5))
            self.assertEqual(mount.close(), 0)

    def test_odd_processes(self):
        """Kernel threads, zombies and threads are taken; the dead, 0 and negative are not."""
        zombie = subprocess.Popen(['true'])
        time.sleep(0.2)
        thread_id, stop = [], threading.Event()
        thread = threading.Thread(target=lambda: (thread_id.append(threading.get_native_id()),
                                                  stop.wait()))
        thread.start()
        dead = subprocess.Popen(['true'])
        dead.wait()
        try:
            with Mount() as mount:
                kdamond, = mount.kdamonds(1)
                taken = [zombie.pid, thread_id[0]]
                if os.path.exists('/proc/2/comm') and open('/proc/2/comm').read() == 'kthreadd\n':
                    taken.append(2)
                for pid in taken:
                    kdamond.target(pid)
                    kdamond.attrs()
                    kdamond.stat_scheme()
                    kdamond.state('on')
                    time.sleep(0.2)
                    self.assertEqual(kdamond.state(), 'on', pid)
                    kdamond.state('off')
                for pid in (dead.pid, 0, -1, -5, 2 ** 31 - 1):
                    kdamond.target(pid)
                    with self.assertRaises(OSError) as caught:
                        kdamond.state('on')
                    self.assertEqual(caught.exception.errno, errno.EINVAL, pid)
        finally:
            stop.set()
            thread.join()
            zombie.wait()

    def test_operations_change_while_running(self):
        """From physical memory to a process and back: the method is opened when it is needed."""
        sleeper = subprocess.Popen(['sleep', '1000'])
        try:
            with Mount() as mount:
                kdamond, = mount.kdamonds(1)
                kdamond.target(0, operations='paddr')
                kdamond.attrs(sample=1000, aggr=10000, update=20000)
                kdamond.stat_scheme()
                kdamond.state('on')
                self.assertEqual(kdamond.snapshot(), [])
                for operations, pid in (('vaddr', sleeper.pid), ('paddr', 0),
                                        ('fvaddr', sleeper.pid), ('vaddr', sleeper.pid)):
                    kdamond.target(pid, operations=operations)
                    kdamond.attrs(sample=1000, aggr=10000, update=20000)
                    kdamond.stat_scheme()
                    kdamond.state('commit')
                    time.sleep(0.2)
                    self.assertEqual(kdamond.state(), 'on', mount.logged())
                self.assertGreater(len(kdamond.snapshot()), 3)
                kdamond.state('off')
        finally:
            sleeper.kill()
            sleeper.wait()

    def test_pids_are_the_writers(self):
        """A writer in a pid namespace of its own names its processes as it sees them."""
        with Mount('allow_other') as mount:
            kdamond, = mount.kdamonds(1)
            kdamond.target(1)
            script = ('sleep 1000 & pid=$!; echo $pid > "$1/contexts/0/targets/0/pid_target" && '
                      'echo on > "$1/state" && cat "$1/contexts/0/targets/0/pid_target"; kill $pid')
            inside = subprocess.run(['unshare', '--pid', '--fork', '--mount-proc', 'sh', '-c',
                                     script, 'sh', kdamond.path], capture_output=True, text=True,
                                    check=False)
            self.assertEqual(inside.stderr, '')
            self.assertEqual(inside.returncode, 0)
            self.assertLess(int(inside.stdout), 100)
            end = time.monotonic() + 3
            while kdamond.state() == 'on' and time.monotonic() < end:
                time.sleep(0.02)
            self.assertEqual(kdamond.state(), 'off', 'it watched the process that was killed')

    @unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to give the tree to somebody else')
    def test_an_owner_may_target_only_what_they_may_trace(self):
        with Mount('uid=65534,gid=65534') as mount:
            os.chmod(mount.dir, 0o755)
            mount.kdamonds(1)
            script = ('cd "$1" && echo 1 > contexts/nr_contexts && '
                      'echo 1 > contexts/0/targets/nr_targets; '
                      'sleep 1000 >/dev/null 2>&1 & own=$!; sleep 0.2; '
                      'for p in $own 1; do echo $p > contexts/0/targets/0/pid_target; '
                      'echo on > state && echo taken; '
                      'echo off > state 2>/dev/null; done; kill $own; '
                      'echo paddr > contexts/0/operations; echo on > state && echo physical; '
                      'echo paddr > "$2"/target_ids && echo physical')
            done = subprocess.run(['setpriv', '--reuid', '65534', '--regid', '65534',
                                   '--clear-groups', 'bash', '-c', script, 'bash',
                                   mount.admin + '/kdamonds/0', mount.dir + '/damon'],
                                  capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.stdout.split(), ['taken'], done.stderr)
            self.assertIn('not permitted', done.stderr)

    @tries(3)
    def test_aggregations_keep_time(self):
        """100 ms stay 100 ms, by what a scheme that is applied once an aggregation has counted."""
        seconds = float(os.environ.get('DAMONFS_TIME_TEST_SECONDS', '20'))
        sleeper = subprocess.Popen(['sleep', '1000'])
        try:
            with Mount() as mount:
                kdamond, = mount.kdamonds(1)
                # One region that is never split: each aggregation counts one.
                kdamond.target(sleeper.pid, operations='fvaddr')
                base = kdamond.context + '/targets/0/regions/'
                write(base + 'nr_regions', 1)
                write(base + '0/start', 4096 * 16)
                write(base + '0/end', 4096 * 17)
                kdamond.attrs()
                kdamond.stat_scheme()
                kdamond.state('on')

                def tried():
                    kdamond.state('update_schemes_stats')
                    with open(kdamond.scheme + '/stats/nr_tried') as f:
                        return int(f.read()), time.monotonic()

                time.sleep(0.5)
                first, start = tried()
                time.sleep(seconds)
                last, end = tried()
                period = (end - start) / (last - first) * 1000
                print('an aggregation of 100 ms took %.2f ms on average of %.0f s' %
                      (period, end - start))
                self.assertAlmostEqual(period, 100, delta=2)
        finally:
            sleeper.kill()
            sleeper.wait()
