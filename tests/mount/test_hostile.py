# SPDX-License-Identifier: GPL-2.0-or-later
"""What users, and those who start damonfs, can do to it and to each other: nothing of this."""
import contextlib
import errno
import fcntl
import os
import random
import re
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from damon import DAMONFS, Mount, error_of, getdents, mount, read, until, write
from test_events import has_events, tracefs
from users import OWNER, as_user

SEED = int(os.environ.get('DAMONFS_SEED', '20240607'))
MOST = 524288           # directories in a list


def is_sanitized():
    with open(DAMONFS, 'rb') as f:
        return b'__asan_init' in f.read() or b'__tsan_init' in f.read()


def run_as_user(script, *arguments):
    """The exit status and output of SCRIPT, run by an ordinary user."""
    done = subprocess.run([*as_user(OWNER), 'sh', '-c', script, 'sh', *arguments], capture_output=True,
                          text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


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


class Offsets(unittest.TestCase):
    def setUp(self):
        self.mount = Mount('uid=%d' % OWNER)
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
                       'chown %d $1/0/state' % OWNER, 'truncate -s 0 $1/0/state', 'touch $1/0/state',
                       'mkdir $1/5', 'ls $1/1', 'ls -d $1/1/contexts', 'cd $1/1',
                       'test -r $1/0/state', 'test -w $1/0/state', 'test -x $1/1'):
            status, said = run_as_user(script, self.list)
            self.assertNotEqual(status, 0, (script, said))
        self.assertEqual(read(self.list + '/nr_kdamonds'), '2')
        self.assertEqual(os.stat(self.list + '/0/state').st_uid, 0)

    def test_what_they_allow(self):
        self.assertEqual(run_as_user('ls $1 | wc -l', self.list), (0, '3\n'))
        # Groups and owners count.
        os.chown(self.list + '/0/state', OWNER, 0)
        self.assertEqual(run_as_user('cat $1/0/state && test -w $1/0/state', self.list), (0, 'off\n'))
        os.chown(self.list + '/0/pid', 0, 777)
        os.chmod(self.list + '/0/pid', 0o040)
        done = subprocess.run(['setpriv', '--reuid', str(OWNER), '--regid', str(OWNER), '--groups',
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
            os.chown(path, OWNER, OWNER)
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
        with Mount('uid=%d,gid=%d,log=info' % (OWNER, OWNER)) as mount_:
            os.chmod(mount_.dir, 0o755)
            kdamond, = mount_.kdamonds(1)
            kdamond.target(os.getpid())
            # They may not watch us.
            status, said = run_as_user('cd $1; for i in $(seq 500); do echo on > state && exit 1; '
                                   'done 2> /dev/null; exit 0', kdamond.path)
            self.assertEqual(status, 0, said)
            lines = mount_.logged().split('\n')
            self.assertIn('may not', '\n'.join(lines))
            self.assertLess(len(lines), 200)
            self.assertEqual(mount_.close(signal.SIGQUIT), 0)


if __name__ == '__main__':
    unittest.main()
