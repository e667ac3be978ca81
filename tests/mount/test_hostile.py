# SPDX-License-Identifier: GPL-2.0-or-later
"""What users, and those who start damonfs, can do to it and to each other: nothing of this."""
import contextlib
import ctypes
import errno
import fcntl
import os
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from damon import BUILD, DAMONFS, Mount, Workload, read, until, write
from test_events import has_events, tracefs

SEED = int(os.environ.get('DAMONFS_SEED', '20240607'))
USER = 65534
AS_USER = ['setpriv', '--reuid', str(USER), '--regid', str(USER), '--clear-groups', '--']
MOST = 524288           # directories in a list
SYS_GETDENTS64 = 217
FLOOD = os.path.abspath(os.path.join(BUILD, 'tests/flood'))

LIBC = ctypes.CDLL(None, use_errno=True)


def is_sanitized():
    with open(DAMONFS, 'rb') as f:
        return b'__asan_init' in f.read() or b'__tsan_init' in f.read()


def error_of(call):
    """The errno that CALL raises; 0 for none."""
    try:
        call()
    except OSError as e:
        return e.errno
    return 0


def as_user(script, *arguments):
    """The exit status and output of SCRIPT, run by an ordinary user."""
    done = subprocess.run([*AS_USER, 'sh', '-c', script, 'sh', *arguments], capture_output=True,
                          text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def mount(source, target, kind, options=''):
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), 0, options.encode()):
        raise OSError(ctypes.get_errno(), 'mount')


def mounts():
    """[(mount point, type)]"""
    with open('/proc/self/mounts') as f:
        return [tuple(line.split()[1:3]) for line in f]


class LimitedMount(Mount):
    """A damonfs with little address space."""

    def start(self, options, env):
        return subprocess.Popen(['prlimit', '--as=500000000', DAMONFS, '-f', *options, self.dir],
                                stderr=self.log, env=env)


@unittest.skipIf(is_sanitized(), 'MISSING: address space, of which sanitizers take more than there is')
class OutOfMemory(unittest.TestCase):
    def test_it_is_an_answer_and_not_the_end(self):
        with LimitedMount() as mount_:
            kdamond, = mount_.kdamonds(1)
            kdamond.target(os.getpid())
            write(kdamond.context + '/schemes/nr_schemes', 8)
            paths = ['%s/schemes/%d/filters/nr_filters' % (kdamond.context, i) for i in range(8)]
            errors = [error_of(lambda p=path: write(p, MOST)) for path in paths]
            self.assertEqual(errors[0], 0)
            self.assertEqual(errors[-1], errno.ENOMEM)
            self.assertLessEqual(set(errors), {0, errno.ENOMEM})
            self.assertIsNone(mount_.process.poll(), mount_.logged())
            # Each has all of them or, as in the kernel, none.
            for path, error in zip(paths, errors):
                self.assertEqual(read(path), '0' if error else str(MOST))
            # Others answer, and once there is memory again it goes on.
            self.assertEqual(kdamond.state(), 'off')
            self.assertIn('nr_kdamonds', os.listdir(mount_.admin + '/kdamonds'))
            write(paths[0], 0)
            write(kdamond.context + '/operations', 'fvaddr')
            write(paths[-1], 1000)
            self.assertEqual(len(os.listdir(os.path.dirname(paths[-1]))), 1001)
            self.assertEqual(mount_.close(), 0)

    def test_a_directory_that_cannot_be_listed(self):
        with LimitedMount() as mount_:
            kdamond, = mount_.kdamonds(1)
            write(kdamond.path + '/contexts/nr_contexts', 1)
            targets = kdamond.context + '/targets'
            write(targets + '/nr_targets', MOST)
            held = []
            for _ in range(40):
                fd = os.open(targets, os.O_RDONLY)
                held.append(fd)
                error = error_of(lambda f=fd: getdents(f))
                if error:
                    break
            self.assertEqual(error, errno.ENOMEM)
            self.assertEqual(read(targets + '/nr_targets'), str(MOST))
            for fd in held:
                os.close(fd)
            self.assertEqual(len(os.listdir(targets)), MOST + 1)
            self.assertEqual(mount_.close(), 0)


def getdents(fd, size=32768):
    """[(ino, offset, name)] of the next entries."""
    buffer = ctypes.create_string_buffer(size)
    length = LIBC.syscall(SYS_GETDENTS64, fd, buffer, size)
    if length < 0:
        raise OSError(ctypes.get_errno(), 'getdents')
    entries, at = [], 0
    while at < length:
        ino, offset, record = struct.unpack_from('QqH', buffer, at)
        entries.append((ino, offset, buffer.raw[at + 19:at + record].split(b'\0')[0].decode(
            'latin-1')))
        at += record
    return entries


class Offsets(unittest.TestCase):
    def setUp(self):
        self.mount = Mount('uid=%d' % USER)
        self.addCleanup(self.mount.close)
        self.list = self.mount.admin + '/kdamonds'
        write(self.list + '/nr_kdamonds', 500)

    def test_any_position_in_a_directory(self):
        """It shows entries that there are, or the end."""
        fd = os.open(self.list, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        real, entries = [], getdents(fd)
        while entries:
            real += entries
            entries = getdents(fd)
        self.assertEqual(len(real), 503)
        rng = random.Random(SEED)
        places = list(range(0, 40000, 7)) + [2 ** n + k for n in range(63) for k in (-1, 0, 1)] + \
            [rng.getrandbits(63) for _ in range(1000)] + [e[1] for e in real]
        for place in places:
            try:
                os.lseek(fd, place, os.SEEK_SET)
            except OSError:
                continue
            entries = getdents(fd)
            self.assertLessEqual(set(entries), set(real), 'at %d' % place)
        # A position that was told is where it goes on.
        for i in (0, 1, 77, 500, 502):
            os.lseek(fd, real[i][1], os.SEEK_SET)
            self.assertEqual(getdents(fd)[:1], real[i + 1:i + 2])
        self.assertIsNone(self.mount.process.poll())

    def test_one_descriptor_for_several(self):
        """Each thread moves it about; names come out whole, and nothing else."""
        fd = os.open(self.list, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        allowed = {'.', '..', 'nr_kdamonds'} | {str(i) for i in range(500)}
        strange, stop = [], threading.Event()

        def seek_and_read(seed):
            rng = random.Random(seed)
            while not stop.is_set():
                os.lseek(fd, rng.choice([0, 0, rng.randrange(600), rng.getrandbits(40)]), 0)
                for _ in range(3):
                    strange.extend(e for e in getdents(fd, 4096) if e[2] not in allowed)

        threads = [threading.Thread(target=seek_and_read, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for i in range(30):
            write(self.list + '/nr_kdamonds', 500 if i % 2 else 100)
        stop.set()
        for thread in threads:
            thread.join(20)
            self.assertFalse(thread.is_alive())
        self.assertEqual(strange, [])

    def test_any_position_in_a_file(self):
        for path in (self.list + '/0/state', self.mount.dir + '/damon/attrs'):
            fd = os.open(path, os.O_RDONLY)
            whole = os.read(fd, 4096)
            places = [1, len(whole) - 1, len(whole), 4095, 4096, 2 ** 31, 2 ** 32 + 1, 2 ** 63 - 4097]
            for place in places:
                try:
                    os.lseek(fd, place, os.SEEK_SET)
                except OSError as e:
                    self.assertIn(e.errno, (errno.EINVAL, errno.ESPIPE))
                    continue
                self.assertEqual(os.read(fd, 4096), whole[place:])
            os.close(fd)


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


PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to hold up a thread of damonfs')
class HeldUp(unittest.TestCase):
    """A kdamond that does not end, as if somebody held up the kernel under it."""

    def test_it_ends_without(self):
        held = Mount('log=info')
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
        finally:
            # It is a zombie until its tracer has seen it, and the process is until then.
            held.process.kill()
            os.waitpid(tid, 0x40000000)
            held.close()


class Busy(unittest.TestCase):
    """An ordinary user sees to it that there always is a request."""

    def test_it_ends_when_it_is_told_to(self):
        with Mount('uid=%d,gid=%d' % (USER, USER)) as mount_:
            os.chmod(mount_.dir, 0o755)
            # The kernel keeps nothing about what can be removed.
            kdamond, = mount_.kdamonds(1)
            process = subprocess.Popen([*AS_USER, FLOOD, kdamond.path + '/state', '512'],
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
        with Mount('log=error,uid=%d' % USER) as stuck, Mount('log=error,allow_other') as mount_:
            for place in stuck.dir, mount_.dir:
                os.chmod(place, 0o755)
            # Each time another file, of which nothing is in memory.
            write(stuck.admin + '/kdamonds/nr_kdamonds', 9)
            files = ['%s/kdamonds/%d/pid' % (stuck.admin, i) for i in range(9)]
            self.attack(mount_, lambda path: self.holding(
                *AS_USER, sys.executable, '-c', HOLD, path, files.pop(),
                before=lambda: stuck.process.send_signal(signal.SIGSTOP),
                after=lambda: stuck.process.send_signal(signal.SIGCONT)))


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to be several users')
class Modes(unittest.TestCase):
    """They count also where who made the mount forgot to have the kernel check them."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='damonfs-test-')
        self.addCleanup(os.rmdir, self.dir)
        os.chmod(self.dir, 0o755)
        fuse = os.open('/dev/fuse', os.O_RDWR)
        mount('damonfs', self.dir, 'fuse.damonfs',
              'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % fuse)
        self.addCleanup(subprocess.run, ['umount', '-l', self.dir], check=False)
        self.process = subprocess.Popen([DAMONFS, '-f', '-o', 'log=error', '/dev/fd/%d' % fuse],
                                        pass_fds=[fuse])
        os.close(fuse)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.terminate)
        self.list = self.dir + '/admin/kdamonds'
        write(self.list + '/nr_kdamonds', 2)

    def test_what_they_forbid(self):
        os.chmod(self.list + '/1', 0o700)
        for script in ('echo 3 > $1/nr_kdamonds', 'cat $1/nr_kdamonds', 'echo on > $1/0/state',
                       'cat $1/0/state', 'cat $1/../../damon/attrs', 'chmod 666 $1/0/state',
                       'chown %d $1/0/state' % USER, 'truncate -s 0 $1/0/state', 'touch $1/0/state',
                       'mkdir $1/5', 'ls $1/1', 'ls -d $1/1/contexts', 'cd $1/1',
                       'test -r $1/0/state', 'test -w $1/0/state', 'test -x $1/1'):
            status, said = as_user(script, self.list)
            self.assertNotEqual(status, 0, (script, said))
        self.assertEqual(read(self.list + '/nr_kdamonds'), '2')
        self.assertEqual(os.stat(self.list + '/0/state').st_uid, 0)

    def test_what_they_allow(self):
        self.assertEqual(as_user('ls $1 | wc -l', self.list), (0, '3\n'))
        # Groups and owners count.
        os.chown(self.list + '/0/state', USER, 0)
        self.assertEqual(as_user('cat $1/0/state && test -w $1/0/state', self.list), (0, 'off\n'))
        os.chown(self.list + '/0/pid', 0, 777)
        os.chmod(self.list + '/0/pid', 0o040)
        done = subprocess.run(['setpriv', '--reuid', str(USER), '--regid', str(USER), '--groups',
                               '777', '--', 'cat', self.list + '/0/pid'], stdout=subprocess.PIPE,
                              check=False)
        self.assertEqual(done.stdout, b'-1\n')

    def test_names_come_and_go(self):
        """Also here: nobody takes names back from the kernel."""
        for i in range(50):
            write(self.list + '/nr_kdamonds', i % 3)
            self.assertEqual([os.path.isdir('%s/%d/contexts' % (self.list, k)) for k in range(3)],
                             [k < i % 3 for k in range(3)])
            self.assertEqual(os.stat(self.list).st_nlink, 2 + i % 3)


# Of a private mount namespace in which everybody may use FUSE, and a program has privileges.
LENT = """
mount -t tmpfs none $1 && cd $1 || exit 99
mknod -m 666 fuse c 10 229 && mount --bind fuse /dev/fuse || exit 99
cp $2 damonfs && chmod 755 damonfs || exit 99
%s || exit 99
mkdir -m 700 secret && mkdir -m 755 public && mkdir own && echo text > secret/file || exit 99
chown %d own; chmod 755 .
"""
SETCAP = 'setcap cap_sys_admin,cap_sys_ptrace,cap_sys_nice,cap_dac_read_search,cap_dac_override+ep damonfs'


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to be several users')
class LentPrivileges(unittest.TestCase):
    """A program file with setcap or a set-user-ID bit lends nobody more than better methods."""
    LEND = SETCAP

    def run_inside(self, script):
        """What SCRIPT wrote, in which $U runs what follows as an ordinary user."""
        with tempfile.TemporaryDirectory() as place:
            done = subprocess.run(
                ['unshare', '-m', 'sh', '-c', LENT % (self.LEND, USER) + 'U="%s"\n' %
                 ' '.join(AS_USER) + script, 'sh', place, DAMONFS],
                capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 99, done.stderr)
        return done.stdout

    def test_what_is_refused(self):
        for words in ('secret', 'public', 'secret/file', '-o allow_other own', '-o allow_root own',
                      '-o uid=0 own', '-o gid=0 own', '-o method=simulated:secret/file own',
                      '/dev/fd/0', 'exec true', '-f public'):
            out = self.run_inside('$U ./damonfs %s < fuse 2> said; echo status=$?; cat said; '
                                  'grep -c " $PWD/.* fuse" /proc/mounts' % words)
            self.assertRegex(out, r'^status=(1|125)\n', words)
            self.assertRegex(out, r'\n.*(denied|refused|privileges|no write access)', words)
            self.assertRegex(out, r'\n0\n$', words)

    def test_what_works(self):
        """A mount at a place of one's own, which nobody else may enter, and its end."""
        out = self.run_inside(
            '$U env PATH=/evil HOME=/evil ./damonfs -f -o log=error,method=referenced own & sleep 1\n'
            '$U sh -c "echo 1 > own/admin/kdamonds/nr_kdamonds; cat own/admin/kdamonds/nr_kdamonds"\n'
            'setpriv --reuid 1234 --clear-groups ls own > /dev/null 2>&1 || echo closed\n'
            'grep " $PWD/own " /proc/mounts | grep -c allow_other\n'
            'kill $!; wait $!; echo status=$?\n'
            'for i in 1 2 3 4 5; do grep -q " $PWD/own " /proc/mounts && sleep 0.2; done\n'
            'grep -c " $PWD/own " /proc/mounts\n')
        self.assertEqual(out, '1\nclosed\n0\nstatus=0\n0\n')

    def test_who_is_killed_leaves_no_mount(self):
        out = self.run_inside(
            '$U ./damonfs -f -o log=error,method=referenced own & sleep 1\n'
            'grep -c " $PWD/own " /proc/mounts; kill -9 $!; sleep 1\n'
            'grep -c " $PWD/own " /proc/mounts\n')
        self.assertEqual(out, '1\n0\n')


class LentByOwner(LentPrivileges):
    LEND = 'chmod u+s damonfs'


class NothingLent(LentPrivileges):
    """An ordinary user, whose mounts fusermount3 makes and takes away."""
    LEND = 'true'
    test_what_is_refused = None


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for mounts')
class Places(unittest.TestCase):
    def test_only_its_own_mount_is_taken_away(self):
        """Somebody makes its path lead elsewhere meanwhile."""
        with tempfile.TemporaryDirectory() as top:
            os.makedirs(top + '/a/m')
            os.makedirs(top + '/b/m')
            mount('none', top + '/b/m', 'tmpfs')
            process = subprocess.Popen([DAMONFS, '-f', '-o', 'log=error', top + '/a/m'])
            try:
                self.assertTrue(until(lambda: os.path.ismount(top + '/a/m'), 5))
                os.rename(top + '/a', top + '/c')
                os.symlink(top + '/b', top + '/a')
                process.terminate()
                self.assertEqual(process.wait(10), 0)
                left = [m for m in mounts() if m[0].startswith(top)]
                self.assertEqual(left, [(top + '/b/m', 'tmpfs')])
            finally:
                process.kill()
                process.wait()
                for place in 'b/m', 'c/m':
                    subprocess.run(['umount', '-l', top + '/' + place], check=False,
                                   stderr=subprocess.DEVNULL)

    def test_numbers_of_mounts_are_used_again(self):
        """One that was unmounted before it noticed does not take the next one for its own."""
        with Mount('log=error') as first:
            first.process.send_signal(signal.SIGSTOP)
            # umount(8) would ask it.
            self.assertEqual(LIBC.umount2(first.dir.encode(), 8), 0)
            with Mount('log=error') as second:
                first.process.send_signal(signal.SIGCONT)
                self.assertEqual(first.process.wait(5), 0)
                time.sleep(0.2)
                self.assertIsNone(second.process.poll())
                self.assertEqual(read(second.admin + '/kdamonds/nr_kdamonds'), '0')

    def test_whatever_privileges_it_keeps(self):
        """It takes its mount away, also where it has given up what that takes."""
        with tempfile.NamedTemporaryFile('w') as script:
            script.write('map 0x10000000 1M\n')
            script.flush()
            for method in ('simulated:' + script.name, 'referenced', 'auto'):
                with Mount('log=error,sandbox=trap,method=' + method) as mount_:
                    mount_.process.terminate()
                    self.assertEqual(mount_.process.wait(10), 0)
                    self.assertNotIn(mount_.dir, [m[0] for m in mounts()], method)

    def dead_mount(self, kind):
        place = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, place)
        fuse = os.open('/dev/fuse', os.O_RDWR)
        mount('other', place, kind, 'fd=%d,rootmode=40000,user_id=0,group_id=0' % fuse)
        os.close(fuse)
        self.addCleanup(subprocess.run, ['umount', '-l', place], check=False,
                        stderr=subprocess.DEVNULL)
        self.assertEqual(error_of(lambda: os.listdir(place)), errno.ENOTCONN)
        return place

    def test_dead_mounts_of_others_stay(self):
        place = self.dead_mount('fuse.other')
        done = subprocess.run([DAMONFS, place], capture_output=True, text=True, timeout=10,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertNotEqual(done.stderr, '')
        self.assertIn((place, 'fuse.other'), mounts())

    def test_a_stopped_one_is_not_dead(self):
        """It is covered, and comes back."""
        with Mount('log=error') as below:
            with subprocess.Popen([DAMONFS, '-f', '-o', 'log=error', below.dir]) as above:
                self.assertTrue(until(lambda: sum(m[0] == below.dir for m in mounts()) == 2, 5))
                above.terminate()
                self.assertEqual(above.wait(10), 0)
            self.assertEqual(sum(m[0] == below.dir for m in mounts()), 1)
            self.assertEqual(read(below.admin + '/kdamonds/nr_kdamonds'), '0')


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for a mount namespace')
class Surroundings(unittest.TestCase):
    FILE = '.damo.sysinfo'

    def run_exec(self, home, *words):
        return subprocess.run([DAMONFS, 'exec', *words], env=dict(os.environ, HOME=home),
                              capture_output=True, text=True, timeout=10, check=False)

    def test_what_may_be_in_home(self):
        with tempfile.TemporaryDirectory() as home:
            path = home + '/' + self.FILE
            os.mkfifo(path)
            self.assertEqual(self.run_exec(home, 'true').returncode, 0)
            os.unlink(path)
            # Somebody else's, and a link to what must not be covered.
            with open(path, 'w') as f:
                f.write('text')
            os.chown(path, USER, USER)
            self.assertEqual(self.run_exec(home, 'cat', path).stdout, 'text')
            os.unlink(path)
            with open(home + '/important', 'w') as f:
                f.write('text')
            os.symlink('important', path)
            self.assertEqual(self.run_exec(home, 'cat', path).stdout, 'text')
            os.unlink(path)
            # Our own, locked for good: damo works with it as it is.
            with open(path, 'w') as f:
                f.write('text')
                f.flush()
                fcntl.flock(f, fcntl.LOCK_EX)
                self.assertEqual(self.run_exec(home, 'cat', path).stdout, 'text')
                fcntl.flock(f, fcntl.LOCK_UN)
            self.assertEqual(self.run_exec(home, 'cat', path).stdout, '')
            with open(path) as f:
                self.assertEqual(f.read(), 'text')

    @unittest.skipUnless(has_events(), 'MISSING: root, tracefs, uprobes and perf')
    def test_events_of_other_pid_namespaces(self):
        def groups():
            with open(place + '/uprobe_events') as f:
                return set(re.findall(r'damonfs_\w+', f.read()))

        @contextlib.contextmanager
        def running(*words, number=signal.SIGTERM):
            """The groups of events that it makes."""
            before = groups()
            process = subprocess.Popen([*words, DAMONFS, 'exec', 'sleep', '1000'])
            try:
                self.assertTrue(until(lambda: groups() - before, 5))
                yield groups() - before
            finally:
                process.send_signal(number)
                process.wait()

        inside = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child']
        with tracefs() as place:
            with running() as ours:
                # Nobody in there can see that we live.
                subprocess.run([*inside, DAMONFS, 'exec', 'true'], check=True)
                self.assertLessEqual(ours, groups())
            self.assertTrue(until(lambda: not groups() & ours, 5))
            # A namespace that ended took its guard along; its events go with the next one outside.
            with running(*inside, number=signal.SIGKILL) as theirs:
                pass
            for _ in range(10):
                time.sleep(0.3)
                if groups() & theirs:
                    subprocess.run([DAMONFS, 'exec', 'true'], check=True)
            self.assertEqual(groups() & theirs, set())


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to be several users')
class Log(unittest.TestCase):
    def test_a_user_cannot_flood_it(self):
        with Mount('uid=%d,gid=%d,log=info' % (USER, USER)) as mount_:
            os.chmod(mount_.dir, 0o755)
            kdamond, = mount_.kdamonds(1)
            kdamond.target(os.getpid())
            # They may not watch us.
            status, said = as_user('cd $1; for i in $(seq 500); do echo on > state && exit 1; '
                                   'done 2> /dev/null; exit 0', kdamond.path)
            self.assertEqual(status, 0, said)
            lines = mount_.logged().split('\n')
            self.assertIn('may not', '\n'.join(lines))
            self.assertLess(len(lines), 200)
            self.assertEqual(mount_.close(signal.SIGQUIT), 0)


if __name__ == '__main__':
    unittest.main()
