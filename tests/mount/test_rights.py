# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom the kernel lets watch whom: real users, real programs; the numbers are of issue 11."""
import contextlib
import ctypes
import errno
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from damon import DAMONFS, MIB, SANITIZED, Mount, UnprivilegedMount, open_mount, read, until, write

OWNER = 65534
LIBC = ctypes.CDLL(None, use_errno=True)
MEMORY_ONLY = 'tmpfs', 'ramfs', 'rootfs'
CLONE_NEWUSER = 0x10000000
NO_CAPABILITIES = ['--bounding-set', '-all', '--inh-caps', '-all', '--ambient-caps', '-all']


def as_user(uid, gid=None, *options):
    return ['setpriv', '--reuid', str(uid), '--regid', str(uid if gid is None else gid),
            '--clear-groups', *options, '--']


def children_of(pid):
    with open('/proc/%d/task/%d/children' % (pid, pid)) as f:
        return [int(word) for word in f.read().split()]


@contextlib.contextmanager
def running(*command):
    """A process that has executed its program when this returns."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    name = os.path.basename(command[-2])
    until(lambda: name in read('/proc/%d/cmdline' % process.pid).split('\0')[0], 5)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to be several users')
class Rights(unittest.TestCase):
    options = ['uid=%d,gid=%d,log=info' % (OWNER, OWNER)]

    def setUp(self):
        self.mount = Mount(*self.options)
        os.chmod(self.mount.dir, 0o755)
        self.kdamond, = self.mount.kdamonds(1)

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)

    def stage(self, pid, operations='vaddr'):
        self.kdamond.target(pid, operations=operations)
        self.kdamond.attrs(update=200000)
        self.kdamond.stat_scheme()

    def run_as(self, command, script, *arguments):
        """What SCRIPT, which is in the kdamond's directory, wrote."""
        done = subprocess.run([*command, 'sh', '-c', 'cd "$1"; ' + script, 'sh', self.kdamond.path,
                               *(str(a) for a in arguments)],
                              capture_output=True, text=True, check=False)
        return done.stdout.split()

    def on_as(self, command):
        """Whether a process of COMMAND's credentials turns it on."""
        taken = self.run_as(command, 'echo on > state && echo taken') == ['taken']
        if taken:
            self.kdamond.state('off')
        return taken


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


class Executing(Rights):
    """A process that takes as long as it likes to execute a program holds a lock that /proc takes."""

    CODE = ('import os, sys\n'
            'fd = os.open(sys.argv[1], os.O_RDONLY)\n'        # closed by the execution
            'print("ready", flush=True)\n'
            'sys.stdin.readline()\n'
            'os.execv("/bin/sleep", ["sleep", "1000"])\n')

    def serve(self, fuse):
        """A file, the closing of which is not answered before the test is over."""
        answers = {26: struct.pack('<IIIIHHIIHHI', 7, 31, 0, 0, 0, 0, 4096, 1, 1, 0, 0) + bytes(24),
                   3: bytes(16) + struct.pack('<6Q10I', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o100644, 1, 0, 0,
                                              0, 4096, 0), 14: bytes(16)}
        while True:
            try:
                request = os.read(fuse, 1 << 17)
            except OSError:
                return
            code, unique = struct.unpack_from('<IQ', request, 4)
            if code == 25:
                self.stalled.set()
                self.over.wait()
            answer = answers.get(code, b'')
            error = 0 if code in answers else -errno.ENOSYS
            with contextlib.suppress(OSError):
                os.write(fuse, struct.pack('<IiQ', 16 + len(answer), error, unique) + answer)

    @contextlib.contextmanager
    def executing(self):
        """A process that will execute a program, for as long as the block goes on, when it is told."""
        self.stalled, self.over = threading.Event(), threading.Event()
        with tempfile.NamedTemporaryFile() as file:
            fuse = os.open('/dev/fuse', os.O_RDWR)
            data = 'fd=%d,rootmode=100644,user_id=0,group_id=0,allow_other' % fuse
            if LIBC.mount(b'test', file.name.encode(), b'fuse', 0, data.encode()):
                raise OSError(ctypes.get_errno(), 'mount')
            server = threading.Thread(target=self.serve, args=[fuse])
            server.start()
            process = subprocess.Popen([*as_user(OWNER), sys.executable, '-c', self.CODE, file.name],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                process.stdout.readline()
                yield process
            finally:
                self.over.set()
                process.kill()
                process.wait()
                process.stdin.close()
                process.stdout.close()
                LIBC.umount2(file.name.encode(), 2)
                server.join()
                os.close(fuse)

    def begin(self, process):
        process.stdin.write('\n')
        process.stdin.flush()
        self.assertTrue(self.stalled.wait(5))
        # Debian's 6.1 closes files before it takes the lock: there, nobody waits.
        opens = subprocess.Popen(['head', '-c', '1', '/proc/%d/maps' % process.pid],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            opens.wait(3)
            self.skipTest('MISSING: a kernel that holds a lock while an execution closes files')
        except subprocess.TimeoutExpired:
            pass
        finally:
            opens.kill()
            opens.wait()

    def test_nobody_who_reads_its_number_waits(self):
        """Who reads is of a pid namespace that the process is not named in."""
        with self.executing() as process:
            write(self.mount.dir + '/damon/target_ids', process.pid)
            self.begin(process)
            reader = subprocess.Popen(['unshare', '--pid', '--fork', 'cat',
                                       self.mount.dir + '/damon/target_ids'], stdout=subprocess.PIPE)
            try:
                self.assertEqual(reader.communicate(timeout=5)[0], b'0\n')
            finally:
                self.over.set()
                reader.wait()

    def test_off_comes_through(self):
        """Its kdamond is left behind, with the command that it had, and may not come back."""
        kdamonds = os.path.dirname(self.kdamond.path)
        with self.executing() as process:
            self.stage(process.pid)
            self.kdamond.state('on')
            thread = '/proc/%d/task/%d' % (self.mount.process.pid, self.kdamond.pid())
            self.begin(process)
            # It looks for the process's mappings, and stands still.
            time.sleep(1.5)
            asks = subprocess.Popen(['bash', '-c', 'echo update_schemes_stats > %s/state'
                                     % self.kdamond.path], stderr=subprocess.PIPE, text=True)
            try:
                time.sleep(0.2)
                self.assertIsNone(asks.poll(), 'it does not stand still')
                began = time.monotonic()
                self.kdamond.state('off')
                self.assertLess(time.monotonic() - began, 3)
                self.assertIn('canceled', asks.communicate(timeout=5)[1].lower())
            finally:
                if asks.poll() is None:
                    self.over.set()
                asks.wait()
            self.assertEqual(self.kdamond.state(), 'off')
            self.assertEqual(self.kdamond.pid(), -1)
            self.assertIn('left behind', self.mount.logged())
            self.assertTrue(os.path.exists(thread))
            # What it was is free: for another process, and to go.
            with running(*as_user(OWNER), 'sleep', '1000') as other:
                self.stage(other.pid)
                self.kdamond.state('on')
                self.assertEqual(self.kdamond.state(), 'on')
                self.kdamond.state('off')
            write(kdamonds + '/nr_kdamonds', 0)
            self.over.set()
            self.assertTrue(until(lambda: not os.path.exists(thread), 10))
        write(kdamonds + '/nr_kdamonds', 1)

    def test_off_answers_a_commit_that_waits(self):
        kdamonds = os.path.dirname(self.kdamond.path)
        with self.executing() as process, running('sleep', '1000') as other:
            self.stage(other.pid)
            self.kdamond.state('on')
            write(self.kdamond.context + '/targets/0/pid_target', process.pid)
            self.begin(process)
            commit = subprocess.Popen(['bash', '-c', 'echo commit > %s/state' % self.kdamond.path],
                                      stderr=subprocess.PIPE, text=True)
            try:
                time.sleep(0.5)
                self.assertIsNone(commit.poll())
                self.kdamond.state('off')
                self.assertIn('canceled', commit.communicate(timeout=5)[1].lower())
                write(kdamonds + '/nr_kdamonds', 0)
            finally:
                self.over.set()
                commit.wait()
        write(kdamonds + '/nr_kdamonds', 1)

    def test_it_is_busy_while_it_is_turned_on(self):
        with self.executing() as process:
            self.stage(process.pid)
            self.begin(process)
            on = subprocess.Popen(['sh', '-c', 'echo on > %s/state' % self.kdamond.path],
                                  stderr=subprocess.DEVNULL)
            try:
                time.sleep(0.5)
                self.assertIsNone(on.poll())
                for command in 'on', 'off', 'commit', 'update_schemes_stats':
                    with self.assertRaises(OSError) as caught:
                        self.kdamond.state(command)
                    self.assertEqual(caught.exception.errno, errno.EBUSY)
            finally:
                self.over.set()
                on.wait()

    def test_nobody_waits_for_kdamond_pid(self):
        """There is no kdamond while its process is being opened."""
        damon = self.mount.dir + '/damon/'
        with self.executing() as process:
            write(damon + 'target_ids', process.pid)
            self.begin(process)
            on = subprocess.Popen(['sh', '-c', 'echo on > %smonitor_on' % damon],
                                  stderr=subprocess.DEVNULL)
            try:
                time.sleep(0.5)
                self.assertIsNone(on.poll())
                self.assertEqual(read(damon + 'kdamond_pid'), 'none')
            finally:
                self.over.set()
                on.wait()

    def test_it_does_not_cost_any_number_of_threads(self):
        """Each write that names it waits, in a thread that is made for it."""
        script = ('cd "$1"; for i in $(seq 40); do echo c$i > mk_contexts; done; '
                  'for i in $(seq 40); do echo "$2" > c$i/target_ids & done; wait')
        with self.executing() as process:
            self.begin(process)
            threads = '/proc/%d/task' % self.mount.process.pid
            before = len(os.listdir(threads))
            writers = subprocess.Popen([*as_user(OWNER), 'sh', '-c', script, 'sh',
                                        self.mount.dir + '/damon', str(process.pid)],
                                       stderr=subprocess.DEVNULL)
            try:
                self.assertTrue(until(lambda: len(os.listdir(threads)) > before + 10, 60))
                time.sleep(1)
                self.assertLessEqual(len(os.listdir(threads)), before + 16)
                self.assertIn('more kdamonds', self.mount.logged())
            finally:
                self.over.set()
                process.kill()
                writers.wait()
        self.assertTrue(until(lambda: len(os.listdir(threads)) == before, 5))


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


class Privileges(unittest.TestCase):
    """What a running daemon may do, by method; docs/security.md has the table."""
    OTHERS = {'SYS_PTRACE', 'DAC_READ_SEARCH', 'DAC_OVERRIDE'}
    CALLERS = {'SETUID', 'SETGID'}
    ACTING = {'SYS_ADMIN', 'SYS_NICE'}
    BPF = {'BPF', 'PERFMON'}
    TELLS_WRITERS = {'SYS_PTRACE', 'DAC_READ_SEARCH'}
    NUMBERS = {'DAC_OVERRIDE': 1, 'DAC_READ_SEARCH': 2, 'SETGID': 6, 'SETUID': 7, 'SYS_PTRACE': 19,
               'SYS_ADMIN': 21, 'SYS_NICE': 23, 'PERFMON': 38, 'BPF': 39}
    PERMITTED = {'auto': OTHERS | CALLERS | ACTING | BPF, 'young': OTHERS | CALLERS | ACTING | BPF,
                 'referenced': OTHERS | CALLERS | ACTING, 'simulated': OTHERS | CALLERS}

    @classmethod
    def names(cls, mask):
        return {name for name, bit in cls.NUMBERS.items() if int(mask, 16) >> bit & 1} | \
            {'%d' % bit for bit in range(64)
             if int(mask, 16) >> bit & 1 and bit not in cls.NUMBERS.values()}

    @staticmethod
    def status(pid):
        return dict(line.split(':\t', 1) for line in read('/proc/%d/status' % pid).split('\n')
                    if ':\t' in line)

    def check(self, what, pid, permitted, effective):
        status = self.status(pid)
        row = [what, ' '.join(sorted(self.names(status['CapEff']))),
               ' '.join(sorted(self.names(status['CapPrm']))), status['CapBnd'],
               status['NoNewPrivs'], status['Seccomp']]
        print(' | '.join(row))
        own = self.names(self.status(os.getpid())['CapPrm'])
        self.assertEqual(self.names(status['CapPrm']), permitted & own, what)
        self.assertEqual(self.names(status['CapEff']), effective & own, what)
        self.assertEqual(int(status['CapBnd'], 16), 0, what)
        self.assertEqual(int(status['CapInh'], 16) | int(status['CapAmb'], 16), 0, what)
        self.assertEqual(status['NoNewPrivs'], '1', what)
        if not SANITIZED:
            self.assertEqual(status['Seccomp'], '2', what)
            # Who may not be dumped belongs to root.
            self.assertEqual(os.stat('/proc/%d/environ' % pid).st_uid, 0)
        limits = read('/proc/%d/limits' % pid)
        self.assertRegex(limits, r'Max core file size +0 +0 ')

    def test_by_method(self):
        print('\nwhat | CapEff | CapPrm | CapBnd | NoNewPrivs | Seccomp')
        with tempfile.NamedTemporaryFile('w', suffix='.script') as script:
            script.write('map 0x10000000 1M\nmap 0x30000000 1M\nmap 0x7f0000000000 1M\n')
            script.flush()
            for method, permitted in self.PERMITTED.items():
                option = method + ':' + script.name if method == 'simulated' else method
                with Mount('method=' + option) as mount, running('sleep', '1000') as process:
                    self.check(method, mount.process.pid, permitted, self.TELLS_WRITERS)
                    kdamond, = mount.kdamonds(1)
                    kdamond.target(process.pid)
                    kdamond.state('on')
                    # In the name of root, who has all of them; nobody's ids are taken on.
                    self.check(method + ', kdamond', kdamond.pid(), permitted,
                               permitted - self.CALLERS)
                    kdamond.state('off')

    def test_a_kdamond_of_somebody_else(self):
        """It has what the methods need for themselves, and the owner's identity."""
        with Mount('uid=%d,gid=%d' % (OWNER, OWNER)) as mount, \
                running(*as_user(OWNER), 'sleep', '1000') as process:
            os.chmod(mount.dir, 0o755)
            kdamond, = mount.kdamonds(1)
            kdamond.target(process.pid)
            subprocess.run([*as_user(OWNER), 'sh', '-c', 'echo on > %s/state' % kdamond.path],
                           check=True)
            self.check('kdamond of uid %d' % OWNER, kdamond.pid(), self.PERMITTED['auto'],
                       self.BPF | {'SYS_NICE'})
            # Nobody but root may signal it.
            self.assertEqual(self.status(kdamond.pid())['Uid'].split(),
                             ['0', str(OWNER), '0', str(OWNER)])
            kdamond.state('off')


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
