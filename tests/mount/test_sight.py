# SPDX-License-Identifier: GPL-2.0-or-later
"""What a method cannot see."""
import contextlib
import errno
import os
import subprocess
import sys
import time
import unittest

from damon import (DAMONFS, HAVE_YOUNG, MIB, SANITIZED, Mount, Workload, hot_regions, open_mount, overlap, until,
                   write)
from seccomp import PROCESS_MADVISE, FilteredMount


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
            kdamond.regions((workload.start, workload.end))
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
                kdamond.regions((start, start + 16 * MIB))
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
