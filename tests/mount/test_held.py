# SPDX-License-Identifier: GPL-2.0-or-later
"""Who holds up damonfs in the kernel, or keeps it busy: all others go on, and it ends when it is told to."""
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import unittest

from damon import BUILD, LIBC, SYS_GETDENTS64, Mount, Workload, read, until, write
from users import OWNER, as_user

FLOOD = os.path.abspath(os.path.join(BUILD, 'tests/flood'))
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207

# Reads the directory argv[1] into memory that does not come: a page that nobody ever brings, or one of
# the file argv[2], of which the file system is stopped meanwhile.
HOLD = """if True:
    import ctypes, fcntl, os, struct, sys, time
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    directory = os.open(sys.argv[1], os.O_RDONLY)
    if len(sys.argv) > 2:
        file = os.open(sys.argv[2], os.O_RDONLY)
        address = libc.mmap(None, 4096, 3, 2, file, ctypes.c_long(0))
    else:
        faults = libc.syscall(323, 0)
        fcntl.ioctl(faults, 0xc018aa3f, struct.pack('QQQ', 0xaa, 0, 0))
        address = libc.mmap(None, 4096, 3, 0x22, -1, ctypes.c_long(0))
        fcntl.ioctl(faults, 0xc020aa00, struct.pack('QQQQ', address, 4096, 1, 0))
    print('ready', flush=True)
    sys.stdin.readline()
    libc.syscall(217, directory, ctypes.c_void_p(address), 4096)
    print('it came', ctypes.get_errno(), flush=True)
    time.sleep(1000)
"""


def allows_faults():
    fd = LIBC.syscall(323, 0)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to hold up a thread of damonfs')
class HeldUp(unittest.TestCase):
    """A kdamond that does not end, as if somebody held up the kernel under it."""

    def test_it_ends_without(self):
        # What only its stack holds is no leak, but LeakSanitizer does not know the stack of a process.
        held = Mount('log=info', env={**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'})
        kdamond, = held.kdamonds(1)
        kdamond.target(os.getpid())
        kdamond.state('on')
        tid = int(read(kdamond.path + '/pid'))
        for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
            self.assertEqual(LIBC.ptrace(request, tid, None, None), 0, ctypes.get_errno())
        os.waitpid(tid, 0x40000000)                             # __WALL
        held.process.send_signal(signal.SIGTERM)
        try:
            self.assertTrue(until(lambda: not os.path.ismount(held.dir), 10))
            self.assertIn('ends without it', held.logged())
            self.assertEqual(held.process.wait(10), 0)
        finally:
            held.process.kill()
            # It is a zombie until its tracer has seen it.
            os.waitpid(tid, 0x40000000)
            held.close()


class Busy(unittest.TestCase):
    """An ordinary user sees to it that there always is a request."""

    def test_it_ends_when_it_is_told_to(self):
        with Mount('uid=%d,gid=%d' % (OWNER, OWNER)) as mount_:
            os.chmod(mount_.dir, 0o755)
            # The kernel keeps nothing about what can be removed.
            kdamond, = mount_.kdamonds(1)
            process = subprocess.Popen([*as_user(OWNER), FLOOD, kdamond.path + '/state', '512'],
                                       start_new_session=True, stderr=subprocess.DEVNULL)
            try:
                time.sleep(2)
                self.assertIsNone(process.poll())
                began = time.monotonic()
                mount_.process.send_signal(signal.SIGTERM)
                self.assertTrue(until(lambda: mount_.process.poll() is not None, 10))
                self.assertLess(time.monotonic() - began, 5)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self.assertEqual(mount_.close(), 0)


class Held(unittest.TestCase):
    """Somebody's getdents holds the lock of a directory in the kernel for as long as they like."""
    PATIENCE = 2

    @contextlib.contextmanager
    def holding(self, *words, before=lambda: None, after=lambda: None):
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(process.stdout.readline(), 'ready\n')
            before()
            process.stdin.write('go\n')
            process.stdin.flush()
            time.sleep(0.3)
            with open('/proc/%d/syscall' % process.pid) as f:
                self.assertEqual(f.read().split()[0], str(SYS_GETDENTS64))
            yield
        finally:
            process.kill()
            after()
            process.communicate()

    # Before Linux 6.10, opening with O_CREAT, as the shell does, waits for the lock on any file system.
    PUT = 'put() { echo "$1" | dd of="$2" conv=nocreat status=none; }\n'

    def shell(self, what, script, *arguments):
        process = subprocess.Popen(['sh', '-c', self.PUT + script, 'sh', *arguments])
        try:
            self.assertEqual(process.wait(self.PATIENCE), 0, what)
        except subprocess.TimeoutExpired:
            # It may be where no signal gets it out.
            process.kill()
            self.fail('%s waits for somebody else' % what)

    def go_on(self, kdamonds, pid):
        """Directories go and come, a kdamond is turned on and off, all is read."""
        self.shell('nr_kdamonds', 'put 0 $1/nr_kdamonds; put 2 $1/nr_kdamonds', kdamonds)
        self.shell('configuring', 'cd $1/0; put 1 contexts/nr_contexts; cd contexts/0; '
                   'put 1 targets/nr_targets; put $2 targets/0/pid_target; '
                   'put 1 schemes/nr_schemes', kdamonds, str(pid))
        self.shell('on', 'put on $1/0/state', kdamonds)
        self.shell('reading', 'test $(cat $1/0/state) = on && ls $1/0/contexts/0 > /dev/null',
                   kdamonds)
        self.shell('tried regions', 'put update_schemes_tried_regions $1/0/state', kdamonds)
        self.shell('off', 'put off $1/0/state', kdamonds)
        self.shell('nr_schemes', 'put 0 $1/0/contexts/0/schemes/nr_schemes', kdamonds)

    def attack(self, mount_, hold):
        """HOLD(directory) holds it."""
        kdamonds = mount_.admin + '/kdamonds'
        with Workload() as w:
            self.go_on(kdamonds, w.pid)
            with hold(kdamonds):
                self.go_on(kdamonds, w.pid)
            for below in ('0', '0/contexts/0', '0/contexts/0/schemes'):
                with hold('%s/%s' % (kdamonds, below)):
                    self.go_on(kdamonds, w.pid)
            self.shell('on', 'put 1 $1/0/contexts/0/schemes/nr_schemes; put on $1/0/state',
                       kdamonds)
            with hold(kdamonds):
                mount_.process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    mount_.process.wait(self.PATIENCE)
                self.assertEqual(mount_.process.poll(), 0, 'its end waits for somebody else')
                self.assertFalse(os.path.ismount(mount_.dir))

    @unittest.skipUnless(allows_faults(), 'MISSING: userfaultfd(2)')
    def test_by_a_page_that_does_not_come(self):
        with Mount('log=error') as mount_:
            self.attack(mount_, lambda path: self.holding(sys.executable, '-c', HOLD, path))

    @unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to be several users')
    def test_by_a_file_system_that_does_not_answer(self):
        """An ordinary user needs a FUSE file system of their own, here another damonfs."""
        with Mount('log=error,uid=%d' % OWNER) as stuck, Mount('log=error,allow_other') as mount_:
            for place in stuck.dir, mount_.dir:
                os.chmod(place, 0o755)
            # Each time another file, of which nothing is in memory.
            write(stuck.admin + '/kdamonds/nr_kdamonds', 9)
            files = ['%s/kdamonds/%d/pid' % (stuck.admin, i) for i in range(9)]
            self.attack(mount_, lambda path: self.holding(
                *as_user(OWNER), sys.executable, '-c', HOLD, path, files.pop(),
                before=lambda: stuck.process.send_signal(signal.SIGSTOP),
                after=lambda: stuck.process.send_signal(signal.SIGCONT)))
