# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom the kernel lets watch whom: real users, real programs; the numbers are of issue 11."""
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from damon import MIB, children_of, read, until, write
from users import NO_CAPABILITIES, OWNER, Rights, as_user, running

MEMORY_ONLY = 'tmpfs', 'ramfs', 'rootfs'


class Tracing(Rights):
    def assert_dropped(self, before):
        self.assertTrue(until(lambda: self.kdamond.state() == 'off', 3), self.mount.logged())
        self.assertIn('is dropped', self.mount.logged()[before:])

    def execs_another(self, method):
        """Watches a process of the owner until it executes a program that is setuid root."""
        directory = tempfile.mkdtemp()
        os.chmod(directory, 0o755)
        program = shutil.copy('/bin/sleep', directory + '/setuid-sleep')
        os.chmod(program, 0o4755)
        code = ('import os, signal, sys, time\n'
                'signal.signal(signal.SIGUSR1, lambda *_: os.execv(sys.argv[1], '
                '[sys.argv[1], "1000"]))\n'
                'print("ready", flush=True)\n'
                'while True: time.sleep(0.001)\n')
        process = subprocess.Popen([*as_user(OWNER), sys.executable, '-c', code, program],
                                   stdout=subprocess.PIPE, text=True)
        try:
            process.stdout.readline()
            self.stage(process.pid)
            # What the default interval of updates would not notice for a minute.
            self.kdamond.attrs(update=60000000)
            self.assertEqual(self.run_as(as_user(OWNER), 'echo on > state && echo taken'), ['taken'])
            self.assertGreater(len(self.kdamond.snapshot()), 3)
            before = len(self.mount.logged())
            process.send_signal(signal.SIGUSR1)
            self.assertTrue(until(lambda: 'setuid-sleep' in read('/proc/%d/comm' % process.pid), 3))
            self.assert_dropped(before)
            # Nor can it be named any more.
            self.assertFalse(self.on_as(as_user(OWNER)))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            shutil.rmtree(directory)

    def test_a_target_that_gains_privileges_is_dropped(self):
        """Finding 2."""
        self.execs_another('auto')

    def test_other_ids_or_capabilities(self):
        """Finding 3: the same user with another group, or with a capability, is not the owner's."""
        capable = ['--inh-caps', '+net_admin', '--ambient-caps', '+net_admin']
        for command, expected in ((as_user(OWNER), True), (as_user(OWNER, OWNER - 1), False),
                                  (as_user(OWNER, OWNER, *capable), False),
                                  (as_user(OWNER - 1, OWNER), False)):
            with running(*command, 'sleep', '1000') as process:
                self.stage(process.pid)
                self.assertEqual(self.on_as(as_user(OWNER)), expected, command)
                self.kdamond.target(process.pid, operations='fvaddr')
                self.assertEqual(self.on_as(as_user(OWNER)), expected, command)

    def test_damonfs_itself(self):
        """A thread may always look at its own process, also one that works for somebody else."""
        threads = os.listdir('/proc/%d/task' % self.mount.process.pid)
        for pid in (self.mount.process.pid, *children_of(self.mount.process.pid),
                    max(int(thread) for thread in threads)):
            for operations in ('vaddr', 'fvaddr'):
                self.stage(pid, operations)
                self.assertFalse(self.on_as(as_user(OWNER)), pid)
            with self.assertRaises(subprocess.CalledProcessError):
                subprocess.run([*as_user(OWNER), 'sh', '-c', 'echo "$1" > "$2"', 'sh', str(pid),
                                self.mount.dir + '/damon/target_ids'], check=True,
                               stderr=subprocess.DEVNULL)
            # Root may, as without damonfs.
            self.assertTrue(self.on_as([]), self.mount.logged())

    def test_a_process_that_must_not_be_dumped(self):
        """Finding 20."""
        code = ('import ctypes, time\n'
                'ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n'
                'print("ready", flush=True)\n'
                'time.sleep(1000)\n')
        process = subprocess.Popen([*as_user(OWNER), sys.executable, '-c', code],
                                   stdout=subprocess.PIPE, text=True)
        try:
            process.stdout.readline()
            self.stage(process.pid)
            self.assertFalse(self.on_as(as_user(OWNER)))
            self.assertIn('does not let them trace', self.mount.logged())
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


class Opened(Rights):
    """Finding 4: who opens a file cannot borrow the rights of who writes to it."""

    def write_for(self, path, text):
        """The write of a privileged process to a descriptor that the owner opened."""
        ours, theirs = socket.socketpair()
        child = os.fork()
        if not child:
            os.setgroups([])
            os.setresgid(OWNER, OWNER, OWNER)
            os.setresuid(OWNER, OWNER, OWNER)
            socket.send_fds(theirs, [b'x'], [os.open(path, os.O_WRONLY)])
            os._exit(0)
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        os.waitpid(child, 0)
        ours.close()
        theirs.close()
        try:
            os.write(descriptors[0], text)
        finally:
            os.close(descriptors[0])

    def assert_refused(self, path, text):
        with self.assertRaises(OSError) as caught:
            self.write_for(path, text)
        self.assertEqual(caught.exception.errno, errno.EPERM)

    def test_sysfs(self):
        with running('sleep', '1000') as process:
            self.stage(process.pid)
            self.assert_refused(self.kdamond.path + '/state', b'on')
            self.kdamond.target(0, operations='paddr')
            self.assert_refused(self.kdamond.path + '/state', b'on')
            self.assertEqual(self.kdamond.state(), 'off')

    def test_what_the_opener_may_goes_on(self):
        with running(*as_user(OWNER), 'sleep', '1000') as process:
            self.stage(process.pid)
            self.write_for(self.kdamond.path + '/state', b'on')
            self.assertEqual(self.kdamond.state(), 'on')
            # And is done in the opener's name: a commit of root's process is refused, too.
            with running('sleep', '1000') as other:
                write(self.kdamond.context + '/targets/0/pid_target', other.pid)
                self.assert_refused(self.kdamond.path + '/state', b'commit')
            self.kdamond.state('off')

    def test_another_pid_namespace(self):
        """A number that one of them wrote may be another process to the other."""
        script = 'exec 3>state; unshare --pid --fork sh -c "echo on >&3" 2>/dev/null || echo refused'
        with running('sleep', '1000') as process:
            self.stage(process.pid)
            self.assertEqual(self.run_as(['env'], script), ['refused'])
            self.assertEqual(self.kdamond.state(), 'off')
            self.assertEqual(self.run_as(['env'], script.replace('--pid', '')), [])
            self.assertEqual(self.kdamond.state(), 'on')
            self.kdamond.state('off')

    def test_debugfs(self):
        damon = self.mount.dir + '/damon/'
        with running('sleep', '1000') as process:
            self.assert_refused(damon + 'target_ids', b'%d' % process.pid)
            self.assert_refused(damon + 'target_ids', b'paddr\n')
            # Named by root, turned on by the owner's descriptor.
            write(damon + 'target_ids', process.pid)
            self.assert_refused(damon + 'monitor_on', b'on')
            write(damon + 'target_ids', b'paddr\n')
            self.assert_refused(damon + 'monitor_on', b'on')
            self.assertEqual(read(damon + 'monitor_on'), 'off')


class Asynchronous(Rights):
    """
    Who writes is who they are when the write is made, not when it is answered or was set up; and
    damonfs does not wait for who executes a program, who waits for damonfs.
    """

    AIO = ('import ctypes, os, struct, sys\n'
           'libc = ctypes.CDLL(None)\n'
           'context, fd = ctypes.c_ulong(), int(sys.argv[1])\n'
           'libc.syscall(206, 1, ctypes.byref(context))\n'
           'text = ctypes.create_string_buffer(b"on", 4096)\n'
           'block = ctypes.create_string_buffer(struct.pack("<QIIHhIQQqQII", 1, 0, 0, 1, 0, fd,\n'
           '                                                ctypes.addressof(text), 2, 0, 0, 0, 0))\n'
           'blocks = (ctypes.c_void_p * 1)(ctypes.addressof(block))\n'
           'os.set_inheritable(fd, True)\n'
           'libc.syscall(209, context, ctypes.c_long(1), blocks)\n'
           'os.execv(sys.argv[2], [sys.argv[2], "1000"])\n')

    # The first request makes the thread, while there are capabilities; the second comes without.
    URING = ('import ctypes, mmap, os, struct, sys\n'
             'libc = ctypes.CDLL(None, use_errno=True)\n'
             'p = ctypes.create_string_buffer(120)\n'
             'ring = libc.syscall(425, 8, p)\n'
             'o = struct.unpack_from("<20I", p.raw, 40)\n'
             'rings = mmap.mmap(ring, 8192, mmap.MAP_SHARED | mmap.MAP_POPULATE)\n'
             'sqes = mmap.mmap(ring, 4096, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=0x10000000)\n'
             'cq = struct.unpack_from("<10I", p.raw, 80)\n'
             'text = ctypes.create_string_buffer(b"on")\n'
             'def request(fd, size, nr):\n'
             '    at = ctypes.addressof(text)\n'
             '    sqes[nr * 64:nr * 64 + 64] = struct.pack("<BBHiQQII", 23, 16, 0, fd, 0, at, size,\n'
             '                                             0).ljust(64, b"\\0")\n'
             '    struct.pack_into("<I", rings, o[6] + 4 * nr, nr)\n'
             '    struct.pack_into("<I", rings, o[1], nr + 1)\n'
             '    libc.syscall(426, ring, 1, nr + 1, 1, None, 0)\n'
             '    return struct.unpack_from("<i", rings, cq[5] + 16 * nr + 8)[0]\n'
             'first = request(os.open("/dev/null", os.O_WRONLY), 1, 0)\n'
             'libc.syscall(126, struct.pack("<Ii", 0x20080522, 0), bytes(24))\n'
             'print(first, request(int(sys.argv[1]), 2, 1))\n')

    def writer(self, code, options, fd, *arguments):
        """A process of the owner that has FD, which root opened."""
        return subprocess.Popen([*as_user(OWNER, OWNER, *options), sys.executable, '-c', code,
                                 str(fd), *arguments], pass_fds=[fd], stdout=subprocess.PIPE,
                                text=True)

    def setUp(self):
        super().setUp()
        self.state = os.open(self.kdamond.path + '/state', os.O_WRONLY | os.O_DIRECT)

    def tearDown(self):
        os.close(self.state)
        super().tearDown()

    def test_who_writes_cannot_become_another_meanwhile(self):
        with tempfile.TemporaryDirectory() as directory, running('sleep', '1000') as target:
            os.chmod(directory, 0o755)
            program = shutil.copy('/bin/sleep', directory + '/capable-sleep')
            subprocess.run(['setcap', 'cap_sys_ptrace=ep', program], check=True)
            self.stage(target.pid)
            self.mount.process.send_signal(signal.SIGSTOP)
            process = self.writer(self.AIO, [], self.state, program)

            def executes():
                return 'capable' in read('/proc/%d/comm' % process.pid)

            try:
                self.assertFalse(until(executes, 1))
                self.mount.process.send_signal(signal.SIGCONT)
                self.assertTrue(until(executes, 5))
                self.assertEqual(self.kdamond.state(), 'off')
            except AssertionError:
                # It may wait for who waits for it: SIGTERM would not end it.
                self.mount.process.kill()
                raise
            finally:
                process.kill()
                process.wait()
                process.stdout.close()

    @unittest.skipUnless(os.path.exists('/proc/sys/kernel/io_uring_disabled') and
                         read('/proc/sys/kernel/io_uring_disabled') == '0', 'MISSING: io_uring')
    def test_threads_of_io_uring_have_old_credentials(self):
        capable = ['--inh-caps', '+sys_ptrace', '--ambient-caps', '+sys_ptrace']
        with running('sleep', '1000') as target:
            self.stage(target.pid)
            process = self.writer(self.URING, capable, self.state)
            self.assertEqual(process.communicate()[0].split(), ['1', str(-errno.EPERM)])
            self.assertEqual(self.kdamond.state(), 'off')


class Capabilities(Rights):
    options = ['log=info']

    def test_root_without_capabilities(self):
        """Finding 9: uid 0 alone is nothing."""
        with running(*as_user(0, 0, *NO_CAPABILITIES), 'sleep', '1000') as own, \
                running('sleep', '1000') as other:
            for pid, operations, expected in ((own.pid, 'vaddr', True), (other.pid, 'vaddr', False),
                                              (0, 'paddr', False)):
                self.stage(pid, operations)
                self.assertEqual(self.on_as(as_user(0, 0, *NO_CAPABILITIES)), expected, operations)
            self.stage(0, 'paddr')
            self.assertTrue(self.on_as(['env']))

    def test_operations_that_are_refused_are_not_offered(self):
        script = 'cat contexts/0/avail_operations'
        self.stage(0)
        self.assertEqual(self.run_as(as_user(0, 0, *NO_CAPABILITIES), script), ['vaddr', 'fvaddr'])
        self.assertEqual(self.run_as(['env'], script), ['vaddr', 'fvaddr', 'paddr'])


APPARMOR = '/sys/kernel/security/apparmor'
POLICY = os.environ.get('DAMONFS_APPARMOR_POLICY', '')


@unittest.skipUnless(os.path.exists(APPARMOR) and os.path.exists(POLICY),
                     'MISSING: AppArmor, and DAMONFS_APPARMOR_POLICY, a compiled confined.apparmor')
class Labels(Rights):
    """What a security module forbids the caller is forbidden."""
    CONFINED = ['sh', '-c', 'echo "changeprofile damonfs_confined" > '
                '/proc/self/attr/apparmor/current && exec "$@"', 'sh']
    options = ['log=info']

    @classmethod
    def setUpClass(cls):
        with open(POLICY, 'rb') as policy:
            write(APPARMOR + '/.replace', policy.read())

    def test_by_profile(self):
        with running('sleep', '1000') as free, running(*self.CONFINED, 'sleep', '1000') as confined:
            for process, who, expected in ((free, ['env'], True), (confined, ['env'], True),
                                           (free, self.CONFINED, False),
                                           (confined, self.CONFINED, True)):
                self.stage(process.pid)
                self.assertEqual(self.on_as(who), expected, self.mount.logged())


YAMA = '/proc/sys/kernel/yama/ptrace_scope'


@unittest.skipUnless(os.path.exists(YAMA), 'MISSING: Yama')
class Yama(Rights):
    """What a process is made to do by itself takes the right to trace it; to watch it does not."""

    def setUp(self):
        super().setUp()
        self.scope = read(YAMA)

    def tearDown(self):
        write(YAMA, self.scope)
        super().tearDown()

    def is_advised(self, scope):
        write(YAMA, scope)
        with running(*as_user(OWNER), 'sleep', '1000') as process:
            self.stage(process.pid)
            write(self.kdamond.scheme + '/action', 'nohugepage')
            self.assertEqual(self.run_as(as_user(OWNER), 'echo on > state && echo taken'), ['taken'])
            self.assertGreater(len(self.kdamond.snapshot()), 3)
            advised = until(lambda: ' nh ' in read('/proc/%d/smaps' % process.pid), 3)
            self.kdamond.state('off')
            return advised

    def test_scopes(self):
        self.assertTrue(self.is_advised(0))
        self.assertFalse(self.is_advised(1))


@unittest.skipUnless(shutil.which('fincore'), 'MISSING: fincore of util-linux')
class Files(Rights):
    """Finding 14: the owner gets what their own MADV_PAGEOUT would do."""

    def resident(self, path):
        done = subprocess.run(['fincore', '-nb', '-o', 'res', path], capture_output=True, text=True,
                              check=True)
        return int(done.stdout)

    def test_pageout_of_files(self):
        code = ('import mmap, os, sys, time\n'
                'maps = []\n'
                'for path in sys.argv[1:]:\n'
                '    fd = os.open(path, os.O_RDONLY)\n'
                '    m = mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)\n'
                '    sum(m[i] for i in range(0, len(m), 4096))\n'
                '    maps.append(m)\n'
                'print("ready", flush=True)\n'
                'time.sleep(1000)\n')
        if subprocess.check_output(['stat', '-f', '-c', '%T', '.'], text=True).strip() in MEMORY_ONLY:
            self.skipTest('MISSING: a working directory on a disk')
        with tempfile.TemporaryDirectory(dir=os.getcwd()) as directory:
            os.chmod(directory, 0o755)
            paths = [directory + '/roots', directory + '/owners']
            for path in paths:
                with open(path, 'wb') as f:
                    f.write(os.urandom(MIB) * 16)
                    f.flush()
                    os.fsync(f.fileno())
                os.chmod(path, 0o644)
            os.chown(paths[1], OWNER, OWNER)
            process = subprocess.Popen([*as_user(OWNER), sys.executable, '-c', code, *paths],
                                       stdout=subprocess.PIPE, text=True)
            try:
                process.stdout.readline()
                self.stage(process.pid)
                write(self.kdamond.scheme + '/action', 'pageout')
                self.assertEqual(self.run_as(as_user(OWNER), 'echo on > state && echo taken'),
                                 ['taken'])
                self.assertTrue(until(lambda: self.resident(paths[1]) < 8 * MIB, 10),
                                self.resident(paths[1]))
                self.assertGreater(self.resident(paths[0]), 15 * MIB)
                self.kdamond.state('off')
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
