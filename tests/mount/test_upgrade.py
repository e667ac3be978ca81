# SPDX-License-Identifier: GPL-2.0-or-later
"""damonfs upgrade: a mount goes on by another version of the program, and nobody notices."""
import errno
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from damon import (DAMONFS, EMULATED, SANITIZED, Mount, Workload, children_of, error_of, read, until,
                   write)
from test_status import status
from test_survival import Survivor, configuration


class Upgradable(Survivor):
    """A mount by a copy of the program, which can be replaced."""
    name = 'damonfs'

    def start(self, options, env):
        self.place = tempfile.mkdtemp(prefix='damonfs-test-')
        self.program = os.path.join(self.place, self.name)
        shutil.copy(DAMONFS, self.program)
        return subprocess.Popen([self.program, '-f', *options, self.dir], stderr=self.log, env=env)

    def close(self, *arguments):
        ended = super().close(*arguments)
        shutil.rmtree(self.place)
        return ended

    def replace(self, old, new):
        """Installs a program in which the text OLD is NEW, as packages do."""
        with open(DAMONFS, 'rb') as f:
            content = f.read()
        assert content.count(b'\0' + old + b'\0') and len(old) == len(new)
        with open(self.program + '.new', 'wb') as f:
            f.write(content.replace(b'\0' + old + b'\0', b'\0' + new + b'\0'))
        os.chmod(self.program + '.new', 0o755)
        os.rename(self.program + '.new', self.program)

    def replace_version(self, new):
        """Only its first number can differ: the linker may use the end of the text for others."""
        self.replace(b'0.1.0', new.encode())

    def upgrade(self):
        return subprocess.run([DAMONFS, 'upgrade', self.dir], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)


class Client(threading.Thread):
    """Calls WORK all the time; what it raises is in failures."""

    def __init__(self, work, pause):
        super().__init__()
        self.work, self.pause = work, pause
        self.failures, self.operations, self.longest = [], 0, 0
        self.stop = threading.Event()

    def run(self):
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                self.work()
            except (OSError, AssertionError) as e:
                # One command at a time, as in the kernel.
                if getattr(e, 'errno', None) != errno.EBUSY:
                    self.failures.append(e)
            self.operations += 1
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(self.pause)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


class Upgrade(unittest.TestCase):
    options = ['method=simulated:/dev/null']

    def setUp(self):
        self.mount = Upgradable(*self.options)
        self.kdamond, = self.mount.kdamonds(1)
        self.workload = Workload('--size', '4M', '--hot', '1M', '--at', '1M')
        self.addCleanup(self.workload.close)

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0, self.mount.logged())

    def turn_on(self):
        self.kdamond.target(self.workload.pid)
        self.kdamond.attrs(sample=5000, aggr=100000)
        self.kdamond.regions((4096, 40960))
        self.kdamond.stat_scheme()
        self.kdamond.state('on')

    def collect(self):
        """A command that is held until the next aggregation."""
        self.kdamond.state('update_schemes_tried_regions')

    def test_to_another_version_without_a_failed_operation(self):
        self.turn_on()
        fd = os.open(self.kdamond.context + '/operations', os.O_RDONLY)
        before = configuration(self.mount.admin)
        quota = self.kdamond.scheme + '/quotas/ms'
        numbers = iter(range(1, 10 ** 9))

        def configure():
            number = str(next(numbers))
            write(quota, number)
            self.assertEqual(read(quota), number)

        clients = [Client(configure, 0.0005), Client(lambda: self.kdamond.state('commit'), 0.001),
                   Client(self.collect, 0.001)]
        with clients[0], clients[1], clients[2]:
            for version in ('1.1.0', '2.1.0', '9.1.0'):
                time.sleep(0.5)
                self.mount.replace_version(version)
                said = self.mount.upgrade()
                self.assertEqual((said.returncode, said.stderr), (0, ''), self.mount.logged())
                self.assertIn('damonfs ' + version, said.stdout)
                self.assertEqual(self.kdamond.state(), 'on', self.mount.logged())
                # Another one by the same program takes over from one that is killed.
                self.mount.kill()
                self.assertEqual(status(self.mount.dir)['version'], version)
        for client in clients:
            self.assertEqual([repr(e) for e in client.failures if 'Interrupted' not in str(e)], [])
            self.assertGreater(client.operations, 20)
        # A kill interrupts a command that is under way; an upgrade does not.
        self.assertLessEqual(sum(len(client.failures) for client in clients), 2 * 3)
        write(quota, 0)
        self.assertEqual(configuration(self.mount.admin), before)
        self.assertEqual(os.pread(fd, 100, 0), b'vaddr\n')
        os.close(fd)

    def test_commands_are_not_interrupted(self):
        self.turn_on()
        with Client(self.collect, 0) as collects, Client(lambda: self.kdamond.state('commit'), 0) as commits:
            for _ in range(4):
                time.sleep(0.3)
                self.assertEqual(self.mount.upgrade().returncode, 0, self.mount.logged())
        self.assertEqual((collects.failures, commits.failures), ([], []))

    def refused(self, *words):
        """The program that is there now does not take over, and all goes on by the old one."""
        self.turn_on()
        before = status(self.mount.dir)['pid']
        os.kill(self.mount.process.pid, signal.SIGUSR2)
        self.assertTrue(until(lambda: 'the old one goes on' in self.mount.logged(), 20), self.mount.logged())
        for word in words:
            self.assertIn(word, self.mount.logged())
        self.assertEqual((status(self.mount.dir)['pid'], self.kdamond.state()), (before, 'on'))
        # Another one of the old program stands by again.
        self.assertTrue(until(lambda: len(children_of(self.mount.process.pid)) == 2, 10))
        self.mount.kill()
        self.assertEqual(self.kdamond.state(), 'on', self.mount.logged())
        self.assertEqual(status(self.mount.dir)['restarts'], 1)

    def test_a_program_that_cannot_is_refused(self):
        shutil.copy('/bin/false', self.mount.program + '.new')
        os.rename(self.mount.program + '.new', self.mount.program)
        self.refused()

    def test_a_program_that_is_not_there_is_refused(self):
        os.unlink(self.mount.program)
        self.refused('No such file')

    def test_a_program_that_was_removed_after_an_upgrade_is_not_missed(self):
        self.turn_on()
        self.assertEqual(self.mount.upgrade().returncode, 0, self.mount.logged())
        os.unlink(self.mount.program)
        for restarts in range(2, 6):
            self.mount.kill()
            self.assertTrue(until(lambda: status(self.mount.dir)['restarts'] == restarts, 10), self.mount.logged())
            self.assertEqual(self.kdamond.state(), 'on', self.mount.logged())

    def test_a_program_with_other_files_is_refused(self):
        self.mount.replace(b'avail_operations', b'avail_operationz')
        self.refused('Protocol error')

    def test_what_is_installed_later_is_not_executed_before_it_is_asked_for(self):
        self.turn_on()
        self.mount.replace_version('1.1.0')
        self.assertEqual(self.mount.upgrade().returncode, 0, self.mount.logged())
        self.mount.replace(b'avail_operations', b'avail_operationz')
        for _ in range(3):
            self.assertTrue(until(lambda: len(children_of(self.mount.process.pid)) == 2, 10))
            self.mount.kill()
            self.assertEqual((status(self.mount.dir)['version'], self.kdamond.state()), ('1.1.0', 'on'))
        self.assertEqual(read('/proc/%d/comm' % self.mount.daemon()), 'damonfs')

    def test_one_that_dies_soon_gives_way_to_the_old_one(self):
        self.turn_on()
        for version, old in (('1.1.0', '0.1.0'), ('2.1.0', '0.1.0'), ('3.1.0', '0.1.0')):
            self.mount.replace_version(version)
            self.assertEqual(self.mount.upgrade().returncode, 0, self.mount.logged())
            self.assertEqual(status(self.mount.dir)['version'], version)
            # By somebody else: that is not its own doing.
            self.mount.kill()
            self.assertEqual(status(self.mount.dir)['version'], version)
            self.mount.kill(signal.SIGABRT)
            self.assertTrue(until(lambda: status(self.mount.dir)['version'] == old, 10), self.mount.logged())
            self.assertEqual(self.kdamond.state(), 'on', self.mount.logged())
            # Three deaths of its own within ten seconds would be too many.
            time.sleep(5)

    def test_killed_and_upgraded_at_once(self):
        self.turn_on()
        for i in range(10):
            os.kill(self.mount.process.pid, signal.SIGUSR2)
            time.sleep(0.02 * i)
            self.mount.kill()
            self.assertEqual(self.kdamond.state(), 'on', self.mount.logged())
            time.sleep(0.3)

    def start_of_one_that_hangs(self):
        """An upgrade to a program that never gets ready; its process."""
        before = children_of(self.mount.process.pid)
        os.kill(self.mount.process.pid, signal.SIGUSR2)
        while True:
            for pid in children_of(self.mount.process.pid):
                if pid not in before:
                    os.kill(pid, signal.SIGSTOP)
                    return pid

    def test_one_that_is_not_ready_does_not_take_over_from_one_that_is_killed(self):
        self.turn_on()
        self.assertTrue(until(lambda: len(children_of(self.mount.process.pid)) == 2, 10))
        hangs = self.start_of_one_that_hangs()
        self.mount.kill()
        self.assertTrue(until(lambda: hangs not in children_of(self.mount.process.pid), 10), self.mount.logged())
        self.assertEqual(self.kdamond.state(), 'on', self.mount.logged())

    @unittest.skipIf(SANITIZED or EMULATED, 'it takes half a minute')
    def test_one_that_never_gets_ready_is_given_up(self):
        self.assertTrue(until(lambda: len(children_of(self.mount.process.pid)) == 2, 10))
        before = status(self.mount.dir)['pid']
        hangs = self.start_of_one_that_hangs()
        self.assertTrue(until(lambda: 'the old one goes on' in self.mount.logged(), 40), self.mount.logged())
        self.assertNotIn(hangs, children_of(self.mount.process.pid))
        self.assertEqual(status(self.mount.dir)['pid'], before)
        self.assertEqual(self.mount.upgrade().returncode, 0, self.mount.logged())

    def test_a_daemon_that_is_asked_by_another_hands_over(self):
        self.turn_on()
        for _ in range(3):
            before = status(self.mount.dir)['pid']
            os.kill(before, signal.SIGUSR2)
            self.assertTrue(until(lambda: status(self.mount.dir)['pid'] != before, 10), self.mount.logged())
            self.assertEqual(self.kdamond.state(), 'on', self.mount.logged())

    def test_ends_in_the_middle(self):
        os.kill(self.mount.process.pid, signal.SIGUSR2)
        os.kill(self.mount.process.pid, signal.SIGUSR2)
        time.sleep(0.01)
        self.assertEqual(self.mount.close(), 0, self.mount.logged())
        self.mount = Upgradable()
        self.assertTrue(os.path.ismount(self.mount.dir))

    def test_where_relative_words_led(self):
        place = tempfile.mkdtemp(prefix='damonfs-test-')
        self.addCleanup(shutil.rmtree, place)
        os.mkdir(place + '/mnt')
        shutil.copy(DAMONFS, place)
        with open(place + '/a,b', 'w') as f:
            f.write('map 0x10000000 1M\n')
        process = subprocess.Popen(['./damonfs', '-f', '-o', 'survive,log=error', '-omethod=simulated:a\\,b',
                                    'mnt'], cwd=place)
        self.assertTrue(until(lambda: os.path.ismount(place + '/mnt'), 10))
        before = status(place + '/mnt')
        self.assertEqual(subprocess.run([DAMONFS, 'upgrade', place + '/mnt'], stdout=subprocess.DEVNULL).returncode, 0)
        after = status(place + '/mnt')
        self.assertEqual((before['method'], before['abi']), (after['method'], after['abi']))
        self.assertEqual(after['method'], 'simulated:%s/a,b' % place)
        self.assertNotEqual(before['pid'], after['pid'])
        process.terminate()
        self.assertEqual(process.wait(20), 0)

    def test_what_the_keeper_hands_over_is_for_daemons_only(self):
        for words in ([], ['x'], ['1,2,3', '/'], ['999,998,997,996,1,1', '/'], ['0,0,0,0,1,1', '/']):
            ended = subprocess.run([DAMONFS, 'successor', *words], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.assertEqual(ended.returncode, 1, words)


class Renamed(Upgradable):
    """By a program file of another name."""
    name = 'other'


class AnyName(unittest.TestCase):
    def test_it_is_known_by_its_type(self):
        with Renamed('method=simulated:/dev/null') as mount:
            line, = (text for text in read('/proc/self/mountinfo').splitlines() if ' %s ' % mount.dir in text)
            self.assertIn(' - fuse.damonfs damonfs ', line)
            before = status(mount.dir)['pid']
            self.assertEqual(mount.upgrade().returncode, 0, mount.logged())
            self.assertNotEqual(status(mount.dir)['pid'], before)
        self.assertFalse(os.path.ismount(mount.dir))


class NoMount(unittest.TestCase):
    def test_it_says_so(self):
        for command in ('status', 'upgrade'):
            said = subprocess.run(['unshare', '-m', 'sh', '-c', 'umount -a -t fuse.damonfs; exec "$0" "$1"', DAMONFS,
                                   command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertEqual((said.returncode, said.stdout), (0, 'no damonfs is mounted here\n'), said.stderr)


class WithoutKeeper(unittest.TestCase):
    def test_it_says_what_to_do(self):
        with Mount('log=error') as mount:
            said = subprocess.run([DAMONFS, 'upgrade', mount.dir], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True)
            self.assertEqual(said.returncode, 1)
            self.assertIn('mount with -o survive', said.stderr)
            self.assertEqual(error_of(lambda: write(mount.admin + '/kdamonds/nr_kdamonds', 1)), 0)
