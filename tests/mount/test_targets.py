# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that are watched: many, odd ones, those that come and go; whose pids they are."""
import errno
import os
import subprocess
import threading
import time
import unittest

from damon import Mount, tries, until, write


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
                comm = {open('/proc/%d/comm' % k.pid()).read().strip()
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
                kdamond.regions((4096 * 16, 4096 * 17))
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
