# SPDX-License-Identifier: GPL-2.0-or-later
"""A kdamond is a process, as the kernel's are: what shows it, what signals it, and its end."""
import ctypes
import os
import signal
import struct
import subprocess
import tempfile
import time
import unittest

from damon import BUILD, DAMONFS, LIBC, PAGE, RESTS, SANITIZED, Mount, Workload, present_frames, until
from users import OWNER, as_user, running


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def is_there(pid):
    """Whether it runs: nobody may have waited for it yet."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except FileNotFoundError:
        return False


SYS_SCHED_GETATTR, RESET_ON_FORK = 315, 1


def scheduling(tid):
    """The flags, the nice value and the slice (ns) of a thread."""
    attributes = ctypes.create_string_buffer(48)
    if LIBC.syscall(SYS_SCHED_GETATTR, tid, attributes, len(attributes), 0):
        raise OSError(ctypes.get_errno(), 'sched_getattr')
    _, _, flags, nice, _, runtime, _, _ = struct.unpack('IIQiIQQQ', attributes)
    return flags, nice, runtime


class Preferred(Mount):
    """A damonfs of higher priority."""

    def start(self, options, env):
        return subprocess.Popen([DAMONFS, '-f', *options, self.dir], stderr=self.log, env=env,
                                preexec_fn=lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))


@unittest.skipUnless(scheduling(0)[2], 'MISSING: Linux 6.12, which has slices')
class Turns(unittest.TestCase):
    """Who answers has early turns, and nobody else: by a short slice, not by a priority."""

    def look(self, kind=Mount):
        """How the request thread is scheduled, and all that it started."""
        with Workload('--size', '4M', '--hot', '1M', '--at', '1M', *RESTS) as workload, \
                kind('log=info') as mount:
            kdamond, = mount.kdamonds(1)
            kdamond.target(workload.pid)
            kdamond.state('on')
            pid = mount.process.pid
            tids = {int(tid) for tid in os.listdir('/proc/%d/task' % pid)} | {kdamond.pid()}
            return scheduling(pid), {scheduling(tid) for tid in tids - {pid}}

    def test_the_request_thread(self):
        usual = scheduling(0)
        self.assertEqual(self.look(), ((RESET_ON_FORK, usual[1], 100000), {usual}))

    @unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, who may give priorities')
    def test_a_priority_that_was_given_is_everybodys(self):
        first, others = self.look(Preferred)
        self.assertEqual((first[1], {nice for _, nice, _ in others}), (-5, {-5}))
        self.assertEqual({first}, others)


@unittest.skipIf('tsan' in BUILD, 'MISSING: processes that ThreadSanitizer knows')
@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root; for others a kdamond is a thread')
class Processes(unittest.TestCase):
    def start(self, mount, target, user=None):
        kdamond, = mount.kdamonds(1)
        kdamond.target(target.pid)
        if user is None:
            kdamond.state('on')
        else:
            os.chmod(mount.dir, 0o755)
            subprocess.run([*as_user(user), 'sh', '-c', 'echo on > %s/state' % kdamond.path],
                           check=True)
        return kdamond

    def test_it_is_shown(self):
        with Mount('log=error') as mount, running('sleep', '1000') as target:
            kdamond = self.start(mount, target)
            pid = str(kdamond.pid())
            self.assertIn(pid, output('ps', '-o', 'pid=', '-p', pid))
            self.assertEqual(output('ps', '-o', 'comm=', '-p', pid), ['kdamond.0'])
            self.assertIn(pid, output('pgrep', '-x', 'kdamond.0'))
            self.assertIn(pid, output('pidof', 'kdamond.0'))
            kdamond.state('off')
            self.assertFalse(is_there(int(pid)))
            self.assertEqual(mount.close(), 0)

    def test_signals_do_nothing(self):
        """The kernel's ignores them all; this one cannot ignore SIGKILL and SIGSTOP."""
        with Mount('log=error') as mount, running('sleep', '1000') as target:
            kdamond = self.start(mount, target)
            pid = kdamond.pid()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM, signal.SIGIO,
                           signal.SIGRTMIN, 33):
                os.kill(pid, number)
            time.sleep(0.5)
            self.assertEqual((kdamond.state(), kdamond.pid()), ('on', pid))
            self.assertEqual(mount.close(), 0)

    def test_it_does_not_outlive_the_daemon(self):
        for user in (None, OWNER):
            options = [] if user is None else ['uid=%d,gid=%d' % (user, user)]
            with Mount('log=error', *options) as mount, \
                    running(*(as_user(user) if user else []), 'sleep', '1000') as target:
                pid = self.start(mount, target, user).pid()
                self.assertTrue(is_there(pid))
                mount.close(signal.SIGKILL)
                self.assertTrue(until(lambda: not is_there(pid), 5))

    def test_the_daemon_does_not_outlive_it(self):
        """What it was doing is half done, and its locks are taken."""
        with Mount('log=error') as mount, running('sleep', '1000') as target:
            pid = self.start(mount, target).pid()
            os.kill(pid, signal.SIGKILL)
            self.assertEqual(mount.process.wait(10), -signal.SIGKILL)
            self.assertIn('its process %d ended by signal 9' % pid, mount.logged())
            mount.close(signal.SIGKILL)

    def test_whatever_ends_it_ends_the_daemon(self):
        """A call that is not allowed, where sandbox=trap; SIGKILL where the daemon is the first process."""
        with Mount('log=error') as mount, running('sleep', '1000') as target:
            os.kill(self.start(mount, target).pid(), signal.SIGSYS)
            self.assertNotEqual(mount.process.wait(10), 0)
            # Builds with sanitizers have no sandbox: it is the signal that ends it.
            self.assertRegex(mount.logged(), 'ended by signal 31' if SANITIZED else 'system call .* is not allowed')
            mount.close(signal.SIGKILL)
        script = """
            (until mountpoint -q $D; do sleep 0.05; done
             k=$D/admin/kdamonds; echo 1 > $k/nr_kdamonds; k=$k/0; echo 1 > $k/contexts/nr_contexts
             sleep 1000 & t=$!
             echo 1 > $k/contexts/0/targets/nr_targets; echo $t > $k/contexts/0/targets/0/pid_target
             echo on > $k/state; kill -KILL $(cat $k/pid)) &
            exec %s -f -o log=error $D""" % DAMONFS
        with tempfile.TemporaryDirectory() as place:
            os.mkdir(place + '/m')
            done = subprocess.run(['unshare', '-pfm', '--mount-proc', '--kill-child', 'bash', '-c', script],
                                  timeout=30, capture_output=True, text=True, check=False,
                                  env=dict(os.environ, D=place + '/m'))
            self.assertEqual(done.returncode, 128 + signal.SIGKILL, done.stderr)
            self.assertIn('ended by signal 9', done.stderr)

    def test_one_ends_while_another_looks_at_frames(self):
        """They share the thread that maps frames to processes."""
        with Workload('--size', '16M', '--hot', '4M', '--at', '4M', *RESTS) as workload, \
                Mount('log=error') as mount:
            frames = present_frames(workload, workload.hot_start, workload.hot_end)
            kdamonds = mount.kdamonds(2)
            for kdamond in kdamonds:
                kdamond.target(0, operations='paddr')
                kdamond.regions((min(frames) * PAGE, (min(frames) + 1) * PAGE))
                kdamond.state('on')
            time.sleep(1)
            began = time.monotonic()
            kdamonds[0].state('off')
            self.assertLess(time.monotonic() - began, 1)
            self.assertEqual([k.state() for k in kdamonds], ['off', 'on'])
            kdamonds[0].state('on')
            kdamonds[1].state('off')
            self.assertEqual([k.state() for k in kdamonds], ['on', 'off'])
            # When the workload is gone, its frame is somebody else's.
            kdamonds[0].state('off')
            self.assertEqual(mount.close(), 0)

    def test_many_come_and_go(self):
        with Mount('log=error') as mount, running('sleep', '1000') as target:
            for _ in range(3):
                kdamonds = mount.kdamonds(16)
                for kdamond in kdamonds:
                    kdamond.target(target.pid)
                    kdamond.state('on')
                pids = {kdamond.pid() for kdamond in kdamonds}
                self.assertEqual(len(pids), 16)
                for kdamond in kdamonds:
                    kdamond.state('off')
                self.assertFalse([pid for pid in pids if is_there(pid)])
            self.assertEqual(mount.close(), 0)
