# SPDX-License-Identifier: GPL-2.0-or-later
"""Who writes from another pid or user namespace, and whom they may watch."""
import contextlib
import ctypes
import errno
import os
import signal
import subprocess
import threading
import time
import unittest

from damon import DAMONFS, LIBC, Mount, UnprivilegedMount, children_of, error_of, open_mount, read, until, write
from users import OWNER, Rights, as_user, running

CLONE_NEWUSER = 0x10000000


class Nested(Mount):
    """A damonfs in a pid namespace of its own, on a mount that is seen, and written to, outside."""

    def start(self, options, env):
        return subprocess.Popen(['unshare', '--pid', '--fork', '--kill-child', DAMONFS, '-f',
                                 *options, self.dir], stderr=self.log, env=env)


class Passed(Mount):
    """The same on a mount that was made outside; inside there is another process of our pid."""

    def start(self, options, env):
        fuse = open_mount(self.dir)
        script = ('echo $(($1 - 1)) > /proc/sys/kernel/ns_last_pid; sleep 1000 & '
                  'test $! = $1 || exit 1; shift; exec "$@"')
        process = subprocess.Popen(
            ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script, 'sh',
             str(os.getpid()), DAMONFS, '-f', *options, '/dev/fd/%d' % fuse],
            stderr=self.log, env=env, pass_fds=[fuse])
        os.close(fuse)
        return process


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for a pid namespace')
class Namespaces(unittest.TestCase):
    """Finding 8: the pids of a writer whom the daemon does not see are nobody else's."""

    def assert_nobody_is_watched(self, kind):
        mount = kind('log=info')
        try:
            kdamond, = mount.kdamonds(1)
            kdamond.target(os.getpid())
            for path, text in ((kdamond.path + '/state', 'on'),
                               (mount.dir + '/damon/target_ids', os.getpid())):
                with self.assertRaises(OSError) as caught:
                    write(path, text)
                self.assertEqual(caught.exception.errno, errno.ESRCH, mount.logged())
            self.assertEqual(read(mount.dir + '/damon/target_ids'), '')
            self.assertIn('outside the pid namespace', mount.logged())
        finally:
            mount.close(signal.SIGKILL)

    def test_a_writer_outside(self):
        self.assert_nobody_is_watched(Nested)

    def test_a_mount_that_was_made_outside(self):
        self.assert_nobody_is_watched(Passed)

    def test_a_mount_that_was_passed_down(self):
        """In the namespace that it was made in, pids are what they were."""
        with UnprivilegedMount(['sys_boot'], 'log=info') as mount, \
                running('sleep', '1000') as process:
            kdamond, = mount.kdamonds(1)
            kdamond.target(process.pid)
            kdamond.state('on')
            self.assertEqual(kdamond.state(), 'on')
            kdamond.state('off')

    def test_who_cannot_see_writers(self):
        """On such a mount, without CAP_SYS_PTRACE: the log says what it takes."""
        with UnprivilegedMount(['sys_ptrace'], 'log=info') as mount, \
                running('sleep', '1000') as process:
            kdamond, = mount.kdamonds(1)
            kdamond.target(process.pid)
            self.assertEqual(error_of(lambda: kdamond.state('on')), errno.ESRCH)
            self.assertRegex(mount.logged(), r'refused a write by user 0: .*--cap-add SYS_PTRACE')


class Container:
    """A shell as root of a user namespace whose ids begin at BASE outside; commands go in by text."""

    BASE = 200000

    def __init__(self):
        asks, asked = os.pipe()
        maps, mapped = os.pipe()

        def enter():
            if LIBC.unshare(CLONE_NEWUSER):
                raise OSError(ctypes.get_errno(), 'unshare')
            os.write(asked, b'x')
            os.read(maps, 1)
            os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)

        def write_maps():
            os.read(asks, 1)
            for name in ('uid_map', 'gid_map'):
                for pid in children_of(os.getpid()):
                    with contextlib.suppress(OSError):
                        write('/proc/%d/%s' % (pid, name), '0 %d 65536' % self.BASE)
            os.write(mapped, b'x')

        # Popen() waits for the execution, which waits for the maps.
        writer = threading.Thread(target=write_maps)
        writer.start()
        self.shell = subprocess.Popen(['sh'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True, preexec_fn=enter)
        writer.join()
        for fd in (asks, asked, maps, mapped):
            os.close(fd)

    def run(self, command):
        """What COMMAND wrote, without newlines."""
        self.shell.stdin.write('%s\necho END\n' % command)
        self.shell.stdin.flush()
        lines = []
        for line in self.shell.stdout:
            if line.rstrip() == 'END':
                break
            lines.append(line.rstrip())
        return lines

    def close(self):
        self.shell.kill()
        self.shell.wait()
        self.shell.stdin.close()
        self.shell.stdout.close()


class Containers(Rights):
    """A container's root has its rights in its user namespace, and nothing for its numbers."""
    options = ['uid=%d,gid=%d,log=info' % (Container.BASE, Container.BASE)]

    def setUp(self):
        super().setUp()
        self.container = Container()

    def tearDown(self):
        self.container.close()
        super().tearDown()

    def start_inside(self, uid):
        """A process of user UID inside, which ends with the container."""
        pid, = self.container.run('setpriv --reuid %d --regid %d --clear-groups --pdeathsig KILL '
                                  'sleep 1000 & echo $!' % (uid, uid))
        until(lambda: 'sleep' in read('/proc/%s/comm' % pid), 5)
        return int(pid)

    def on(self, pid):
        self.stage(pid)
        taken = self.container.run('cd %s && echo on > state && echo taken' % self.kdamond.path)
        return taken == ['taken']

    def test_processes_of_the_container(self):
        for uid in (0, 5):
            self.assertTrue(self.on(self.start_inside(uid)), self.mount.logged())
            self.assertGreater(len(self.kdamond.snapshot()), 3)
            self.kdamond.state('off')

    def test_processes_outside(self):
        for user in (Container.BASE, Container.BASE + 5, OWNER, 0):
            with running(*as_user(user), 'sleep', '1000') as process:
                self.assertFalse(self.on(process.pid), user)
        self.stage(0, 'paddr')
        self.assertEqual(self.container.run('cd %s && echo on > state && echo taken' %
                                            self.kdamond.path), [])

    def test_huge_pages_of_a_process_inside(self):
        """Advice that the process has to give itself is asked for in the container's name, too."""
        pid = self.start_inside(5)
        self.stage(pid)
        write(self.kdamond.scheme + '/action', 'nohugepage')
        self.container.run('cd %s && echo on > state' % self.kdamond.path)
        try:
            self.assertTrue(until(lambda: ' nh ' in read('/proc/%d/smaps' % pid), 5),
                            self.mount.logged())
        finally:
            self.kdamond.state('off')

    @contextlib.contextmanager
    def nobody_answers(self):
        """The processes that ask in the container's name are stopped."""
        broker, = [pid for pid in children_of(self.mount.process.pid)
                   if read('/proc/%d/comm' % pid).strip() == 'damonfs:broker']
        stopped = [broker, *children_of(broker)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def slowest_while(self, command):
        """The longest that a file took to be read while the container's COMMAND was held, s."""
        slowest, ended = 0, threading.Event()
        lines = []

        def run():
            lines.extend(self.container.run(command + ' 2>/dev/null; echo $?'))
            ended.set()

        thread = threading.Thread(target=run)
        thread.start()
        while not ended.wait(0.01):
            began = time.monotonic()
            read(self.mount.dir + '/admin/kdamonds/nr_kdamonds')
            slowest = max(slowest, time.monotonic() - began)
        thread.join()
        self.assertNotEqual(lines[-1], '0')
        return slowest

    def test_nobody_waits_for_who_does_not_answer(self):
        pid = self.start_inside(0)
        self.stage(pid)
        with self.nobody_answers():
            for command in ('echo on > %s/state' % self.kdamond.path,
                            'echo %d > %s/damon/target_ids' % (pid, self.mount.dir)):
                self.assertLess(self.slowest_while(command), 0.5, command)
        self.assertIn('did not answer in time', self.mount.logged())
        self.assertTrue(self.on(pid))
        with self.nobody_answers():
            command = 'echo commit > %s/state' % self.kdamond.path
            self.assertLess(self.slowest_while(command), 0.5, command)
        self.kdamond.state('off')

    def held(self, command):
        """A thread that has the container do COMMAND, which will be refused; it does not wait."""
        lines = []

        def run():
            lines.extend(self.container.run(command + ' 2>/dev/null; echo $?'))

        thread = threading.Thread(target=run)
        thread.lines = lines
        thread.start()
        time.sleep(0.2)
        self.assertTrue(thread.is_alive())
        return thread

    def test_a_directory_goes_while_its_processes_are_asked_for(self):
        """The answer comes in time, and nobody is there any more to take it."""
        damon = self.mount.dir + '/damon'
        pid = self.start_inside(0)
        write(damon + '/mk_contexts', 'a')
        with self.nobody_answers():
            thread = self.held('echo %d > %s/a/target_ids' % (pid, damon))
            write(damon + '/rm_contexts', 'a')
            self.assertFalse(os.path.exists(damon + '/a'))
        thread.join()
        self.assertNotEqual(thread.lines[-1], '0')
        self.assertNotIn('did not answer in time', self.mount.logged())

    def test_the_end_while_processes_are_asked_for(self):
        self.stage(self.start_inside(0))
        with self.nobody_answers():
            thread = self.held('echo on > %s/state' % self.kdamond.path)
            self.assertEqual(self.mount.close(), 0)
        thread.join()
        self.assertNotEqual(thread.lines[-1], '0')

    def test_what_nobody_answers_for_is_left_alone(self):
        self.assertTrue(self.on(self.start_inside(0)))
        with self.nobody_answers():
            self.assertTrue(until(lambda: 'is left alone' in self.mount.logged(), 10))
            self.assertNotIn('can be watched now', self.mount.logged())
        self.assertTrue(until(lambda: 'can be watched now' in self.mount.logged(), 10),
                        self.mount.logged())
        self.assertGreater(len(self.kdamond.snapshot()), 3)
        self.kdamond.state('off')
