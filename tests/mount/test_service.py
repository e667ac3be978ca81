# SPDX-License-Identifier: GPL-2.0-or-later
"""A service: -o fdstore, and what a service manager is told.  The manager here does what systemd's documents say of it."""
import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from damon import DAMONFS, Workload, children_of, read, until, write


class Manager:
    """Starts a service, and has its store of descriptors."""

    def __init__(self, *options, flags=('-f',)):
        self.dir = tempfile.mkdtemp(prefix='damonfs-test-')
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = self.dir + '.notify'
        self.socket.bind(self.address)
        self.store = {}                     # descriptors by name
        self.options, self.flags = ('log=info', 'sandbox=trap', *options), flags
        self.log = tempfile.TemporaryFile('w+')
        self.process = None

    def start(self, *options, extra=(), before=''):
        """Starts it, after BEFORE in its process, with what is in the store, and with descriptors of other names."""
        fds = [(name, fd) for name, fd in self.store.items()] + [('other', fd) for fd in extra]
        env = dict(os.environ, NOTIFY_SOCKET=self.address, LISTEN_FDS=str(len(fds)),
                   LISTEN_FDNAMES=':'.join(name for name, _ in fds))
        command = [DAMONFS, *self.flags, '-o', ','.join(self.options + options), self.dir]
        # By a shell, which moves them to where they belong, and whose pid it keeps.
        script = before + 'LISTEN_PID=$$ exec "$@" ' + ' '.join(
            ['%d<&%d' % (3 + i, fd) for i, (_, fd) in enumerate(fds)] + ['%d<&-' % fd for fd in {fd for _, fd in fds}])
        self.process = subprocess.Popen(['bash', '-c', script, 'sh', *command], env=env, stderr=self.log,
                                        pass_fds=[fd for _, fd in fds])
        return self.wait_for('READY=1')

    def wait_for(self, *lines):
        """Handles what it says, until it says one of LINES.  Return: whether it did."""
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            if self.take() & set(lines):
                return True
        return False

    def take(self):
        text, fds, _, _ = socket.recv_fds(self.socket, 4096, 8)
        said = set(text.decode().split('\n'))
        names = [line.partition('=')[2] for line in said if line.startswith('FDNAME=')]
        if 'FDSTORE=1' in said:
            # Not into where the next one's are to be.
            self.store[names[0]] = os.dup2(fds[0], 50 + len(self.store))
        if 'FDSTOREREMOVE=1' in said:
            for fd in filter(None, [self.store.pop(names[0], None)]):
                os.close(fd)
        for fd in fds:
            os.close(fd)
        return said

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(20)
        while select.select([self.socket], [], [], 0)[0]:
            self.take()
        return status

    def forget(self):
        for fd in self.store.values():
            os.close(fd)
        self.store.clear()

    def logged(self):
        self.log.seek(0)
        return self.log.read()

    def close(self):
        if self.process.poll() is None:
            self.stop()
        self.forget()
        while os.path.ismount(self.dir) or not os.path.isdir(self.dir):
            subprocess.run(['umount', '-l', self.dir], check=True)
        self.socket.close()
        os.unlink(self.address)
        os.rmdir(self.dir)
        self.log.close()


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to mount')
class Service(unittest.TestCase):
    def setUp(self):
        self.manager = Manager('fdstore')
        self.addCleanup(self.manager.close)
        self.kdamonds = self.manager.dir + '/admin/kdamonds'

    def test_it_is_restarted(self):
        """By its manager, or after its keeper was killed: nobody notices but by a pause."""
        with Workload() as w:
            self.assertTrue(self.manager.start(), self.manager.logged())
            self.assertEqual(sorted(self.manager.store), ['damonfs-fuse', 'damonfs-memory'])
            write(self.kdamonds + '/nr_kdamonds', 2)
            write(self.kdamonds + '/0/contexts/nr_contexts', 1)
            context = self.kdamonds + '/0/contexts/0'
            write(context + '/operations', 'vaddr')
            write(context + '/targets/nr_targets', 1)
            write(context + '/targets/0/pid_target', w.pid)
            write(self.kdamonds + '/0/state', 'on')
            fd, inode = os.open(context + '/operations', os.O_RDONLY), os.stat(context).st_ino
            failed, nr, going = [], [0], True

            def client():
                while going:
                    try:
                        assert read(self.kdamonds + '/nr_kdamonds') == '2'
                        nr[0] += 1
                    except (OSError, AssertionError) as e:
                        failed.append(e)
                        return
            thread = threading.Thread(target=client)
            thread.start()
            try:
                for number in signal.SIGTERM, signal.SIGKILL, signal.SIGTERM:
                    before = nr[0]
                    self.assertEqual(self.manager.stop(number), 0 if number == signal.SIGTERM else -number)
                    self.assertTrue(self.manager.start(), self.manager.logged())
                    self.assertEqual(len(self.manager.store), 2)
                    self.assertEqual(os.pread(fd, 100, 0), b'vaddr\n')
                    self.assertEqual(os.stat(context).st_ino, inode)
                    self.assertEqual(read(self.kdamonds + '/0/state'), 'on')
                    self.assertTrue(until(lambda: nr[0] > before + 10, 10))  # pylint: disable=cell-var-from-loop
            finally:
                going = False
                self.manager.stop(signal.SIGCONT) if self.manager.process.poll() is not None else None
                thread.join(20)
            os.close(fd)
            self.assertEqual(failed, [])

    def test_its_daemons_are_told_to_end_too(self):
        """By a manager that tells all of its processes: KillMode=control-group."""
        damon = self.manager.dir + '/damon/'
        with Workload() as w:
            self.assertTrue(self.manager.start('abi=6.12'), self.manager.logged())
            write(damon + 'target_ids', w.pid)
            write(damon + 'monitor_on_DEPRECATED', 'on')
            for pid in children_of(self.manager.process.pid):
                os.kill(pid, signal.SIGTERM)
            self.assertTrue(until(lambda: self.manager.process.poll() is not None, 10))
            self.assertEqual(self.manager.stop(), 0)
            self.assertTrue(self.manager.start('abi=6.12'), self.manager.logged())
            self.assertEqual(read(damon + 'monitor_on_DEPRECATED'), 'on', self.manager.logged())
            self.assertEqual(read(damon + 'target_ids'), str(w.pid))

    def test_it_is_stopped_as_it_begins(self):
        """It leaves the mount as it is; if that is of no use to it, it does not go on with another one."""
        self.assertTrue(self.manager.start(), self.manager.logged())
        write(self.kdamonds + '/nr_kdamonds', 2)
        self.assertEqual(self.manager.stop(), 0)
        self.start_and_stop()
        self.assertEqual(self.manager.stop(), 0)
        self.assertTrue(self.manager.start(), self.manager.logged())
        self.assertEqual(read(self.kdamonds + '/nr_kdamonds'), '2')
        self.assertEqual(self.manager.stop(), 0)
        self.start_and_stop('abi=6.1')
        # It depends on what the keeper saw first: the signal, or that its daemon had failed.
        self.assertIn(self.manager.stop(), (0, 1))
        self.assertTrue(self.manager.start(), self.manager.logged())
        self.assertEqual(read(self.kdamonds + '/nr_kdamonds'), '0')

    def start_and_stop(self, *options):
        """The signal waits until the keeper looks for it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            self.assertFalse(self.manager.start(*options, before='kill -TERM $$; '))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def test_it_is_stopped(self):
        """Then its manager lets go of the descriptors, and the mount of the next one is new."""
        self.assertTrue(self.manager.start(), self.manager.logged())
        write(self.kdamonds + '/nr_kdamonds', 2)
        self.assertEqual(self.manager.stop(), 0)
        self.manager.forget()
        self.assertTrue(self.manager.start(), self.manager.logged())
        self.assertEqual(read(self.kdamonds + '/nr_kdamonds'), '0')

    def test_somebody_unmounts_it(self):
        """It ends, and nothing of it is stored any more."""
        self.assertTrue(self.manager.start(), self.manager.logged())
        subprocess.run(['umount', self.manager.dir], check=True)
        self.assertTrue(until(lambda: self.manager.process.poll() is not None, 10))
        self.assertEqual(self.manager.stop(signal.SIGCONT), 0)
        self.assertEqual(self.manager.store, {})

    def test_what_is_left_is_of_no_use(self):
        """Other files, other memory or none, a mount that is gone: it begins anew, in the same place."""
        for spoil in self.other_files, self.other_memory, self.no_memory, self.unmounted:
            self.assertTrue(self.manager.start(), self.manager.logged())
            write(self.kdamonds + '/nr_kdamonds', 2)
            self.assertEqual(self.manager.stop(), 0)
            options = spoil()
            self.assertTrue(self.manager.start(*options), self.manager.logged())
            self.assertIn('begins anew', self.manager.logged())
            self.assertEqual(read(self.kdamonds + '/nr_kdamonds'), '0')
            self.assertEqual(self.manager.stop(), 0)
            self.manager.forget()

    def test_it_is_not_stored_any_more(self):
        """The unit was changed: the mount of before does not wait for answers."""
        self.assertTrue(self.manager.start(), self.manager.logged())
        write(self.kdamonds + '/nr_kdamonds', 2)
        self.assertEqual(self.manager.stop(), 0)
        for options in ('survive',), ():
            self.manager.options = self.manager.options[:2] + options
            self.assertTrue(self.manager.start(), self.manager.logged())
            self.assertEqual(self.manager.store, {})
            self.assertEqual(read(self.kdamonds + '/nr_kdamonds'), '0')
            self.assertEqual(self.manager.stop(), 0)
            self.assertFalse(os.path.ismount(self.manager.dir))
            self.manager.options = self.manager.options[:2] + ('fdstore',)
            self.assertTrue(self.manager.start(), self.manager.logged())
            self.assertEqual(self.manager.stop(), 0)

    def other_files(self):
        return 'abi=6.1',

    def other_memory(self):
        with open('/dev/null', 'rb') as null:
            os.dup2(null.fileno(), self.manager.store['damonfs-memory'])
        return ()

    def no_memory(self):
        os.close(self.manager.store.pop('damonfs-memory'))
        return ()

    def unmounted(self):
        subprocess.run(['umount', '-l', self.manager.dir], check=True)
        return ()

    def test_other_descriptors(self):
        """What it was given besides does not stay open."""
        reading, writing = os.pipe()
        self.assertTrue(self.manager.start(extra=(writing, writing)), self.manager.logged())
        os.close(writing)
        self.assertEqual(select.select([reading], [], [], 5)[0], [reading])
        os.close(reading)

    def test_mistakes(self):
        for flags, says in ((), '-o fdstore needs -f'), (('-f',), 'the service manager: there is none'):
            with tempfile.TemporaryDirectory() as place:
                done = subprocess.run([DAMONFS, *flags, '-o', 'fdstore', place], capture_output=True, text=True, check=False,
                                      env={k: v for k, v in os.environ.items() if k != 'NOTIFY_SOCKET'}, timeout=30)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(says, done.stderr)
                self.assertFalse(os.path.ismount(place))
        self.assertTrue(self.manager.start())

    def test_any_mount_says_when_it_is_ready(self):
        for options in (), ('survive',):
            manager = Manager(*options)
            with contextlib.closing(manager):
                self.assertTrue(manager.start(), manager.logged())
                self.assertEqual(read(manager.dir + '/admin/kdamonds/nr_kdamonds'), '0')
                self.assertEqual(manager.stop(), 0)
                self.assertEqual(manager.store, {})
        self.assertTrue(self.manager.start())
