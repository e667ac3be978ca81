# SPDX-License-Identifier: GPL-2.0-or-later
"""damonfs status: what a mount says of itself, and to whom."""
import contextlib
import errno
import fcntl
import json
import os
import subprocess
import tempfile
import time
import unittest

from damon import DAMONFS, HAVE_YOUNG, Mount, UnprivilegedMount, Workload, error_of, read, until, write
from impostor import Impostor
from test_survival import Survivor

STATUS = 0x4401     # _IO('D', 1)


def run(*words):
    return subprocess.run([DAMONFS, 'status', *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def status(place):
    return json.loads(run('--json', place).stdout)[0]


def the_first(place):
    """The first kdamond, once it has told of itself."""
    until(lambda: 'targets' in status(place)['kdamonds'][0], 10)
    return status(place)['kdamonds'][0]


class Status(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.mount = stack.enter_context(Mount('log=error', 'method=simulated:/dev/null'))
        self.workload = stack.enter_context(Workload('--size', '4M', '--hot', '1M', '--at', '1M'))

    def turn_on(self, *pids):
        kdamond, = self.mount.kdamonds(1)
        kdamond.target(*pids)
        kdamond.attrs(sample=5000, aggr=100000)
        kdamond.regions((4096, 40960))
        kdamond.state('on')
        return kdamond

    def test_what_it_says_is_so(self):
        kdamond = self.turn_on(self.workload.pid)
        before = time.monotonic()
        self.assertTrue(until(lambda: the_first(self.mount.dir)['samples'] > 300, 10))
        said, mount = the_first(self.mount.dir), status(self.mount.dir)
        self.assertEqual((mount['pid'], mount['abi'], mount['method'], mount['restarts'], mount['survives']),
                         (self.mount.process.pid, '7.0', 'simulated:/dev/null', 0, False))
        self.assertLess(abs(mount['memory_bytes'] - self.resident()), 4 << 20)
        self.assertEqual((said['place'], said['state'], said['name'], said['pid']),
                         ('admin/kdamonds/0', 'on', 'kdamond.0', kdamond.pid()))
        self.assertEqual((said['sample_us'], said['aggr_us']), (5000, 100000))
        elapsed = (time.monotonic() - before + 1) / 0.005
        self.assertLess(said['samples'], elapsed + 400)
        target, = said['targets']
        self.assertEqual((target['pid'], target['state'], target['method'], target['why']),
                         (self.workload.pid, 'watched', 'simulated', ''))
        self.assertTrue(1 <= target['regions'] <= 9, target)

    def resident(self):
        return int(read('/proc/%d/statm' % self.mount.process.pid).split()[1]) * os.sysconf('SC_PAGESIZE')

    def test_a_target_that_ends_is_gone(self):
        with Workload('--size', '4M', '--hot', '1M', '--at', '1M') as other:
            self.turn_on(self.workload.pid, other.pid)
            self.assertEqual([t['state'] for t in the_first(self.mount.dir)['targets']], ['watched'] * 2)
        self.assertTrue(until(lambda: [t['state'] for t in the_first(self.mount.dir)['targets']] ==
                              ['watched', 'gone'], 10))

    def test_a_kdamond_that_is_off_is_not_there(self):
        kdamond = self.turn_on(self.workload.pid)
        kdamond.state('off')
        self.assertEqual(status(self.mount.dir)['kdamonds'], [])

    def test_what_does_not_fit_one_read_is_whole(self):
        for kdamond in self.mount.kdamonds(40):
            kdamond.target(self.workload.pid)
            kdamond.state('on')
        self.assertEqual([k['place'] for k in status(self.mount.dir)['kdamonds']],
                         ['admin/kdamonds/%d' % i for i in range(40)])

    def test_for_people(self):
        self.turn_on(self.workload.pid)
        the_first(self.mount.dir)
        for place in (self.mount.dir, self.mount.admin, self.mount.admin + '/kdamonds'):
            said = run(place)
            self.assertEqual((said.returncode, said.stderr), (0, ''))
            self.assertIn('%s: damonfs' % place, said.stdout)
            self.assertIn('pid %d: watched by simulated' % self.workload.pid, said.stdout)
        self.assertIn('%s: damonfs' % self.mount.dir, run().stdout)

    def test_what_is_no_mount(self):
        said = run('/etc')
        self.assertEqual((said.returncode, said.stdout), (1, ''))
        self.assertIn('no damonfs is mounted there', said.stderr)
        self.assertEqual(run('--nothing').returncode, 1)

    def test_only_who_may_write_is_told(self):
        file = self.mount.admin + '/kdamonds/nr_kdamonds'
        os.chmod(file, 0o644)
        os.chmod(self.mount.dir, 0o755)
        said = subprocess.run(['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', DAMONFS,
                               'status', self.mount.dir], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual((said.returncode, said.stdout), (1, ''))
        for name, flags in ((file, os.O_RDONLY), (file, os.O_WRONLY),
                            (self.mount.dir + '/damon/attrs', os.O_RDWR), (self.mount.admin, os.O_RDONLY)):
            fd = os.open(name, flags)
            self.assertEqual(error_of(lambda: fcntl.ioctl(fd, STATUS)), errno.ENOTTY, name)
            os.close(fd)
        self.assertEqual(read(file), '0')

    def test_the_file_stays_what_it_is_for_others(self):
        file = self.mount.admin + '/kdamonds/nr_kdamonds'
        ours, other = (os.open(file, os.O_RDWR) for _ in range(2))
        self.assertEqual(error_of(lambda: fcntl.ioctl(ours, STATUS + 1)), errno.ENOTTY)
        fcntl.ioctl(ours, STATUS)
        self.assertEqual(os.pread(ours, 1, 0), b'{')
        self.assertEqual(os.pread(other, 100, 0), b'0\n')
        os.write(ours, b'2')
        self.assertEqual(os.pread(other, 100, 0), b'2\n')
        os.close(ours)
        os.close(other)


def says(**what):
    return json.dumps({'pid': 1, 'keeper': 0, 'version': '1', **what}).encode()


class Impostors(unittest.TestCase):
    """Mounts are anybody's, and so are their paths: what they say harms nobody who asks."""

    def run_at(self, mount, *words, **options):
        return subprocess.run([DAMONFS, *words, mount.dir], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              **options)

    def other(self):
        """A process, and a group of them, that nobody may hit."""
        process = subprocess.Popen(['sleep', '1000'], start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_no_process_but_a_keeper_gets_a_signal(self):
        other = self.other()
        for keeper in (other.pid, -other.pid, 1 << 22):
            with Impostor(says(keeper=keeper)) as mount:
                said = self.run_at(mount, 'upgrade')
            self.assertEqual(said.returncode, 1)
            self.assertIn(b'names no keeper', said.stderr)
        self.assertIsNone(other.poll())

    def test_a_link_is_not_followed(self):
        with tempfile.NamedTemporaryFile() as f, Impostor(link=f.name.encode()) as mount:
            self.assertIn(b'symbolic link', self.run_at(mount, 'status').stderr)

    def test_one_that_never_ends_is_too_long(self):
        with Impostor(b' ' * 4096, endless=True) as mount:
            self.assertIn(b'too large', self.run_at(mount, 'status', timeout=60).stderr)

    def test_nothing_is_a_command_to_a_terminal(self):
        for text in ('\x1b[2J', '\x9b2J', '\x7f', 'a\nb'):
            with Impostor(says(version=text, method=text, keeper=0)) as mount:
                said = self.run_at(mount, 'status').stdout.decode()
                json_said = self.run_at(mount, 'status', '--json').stdout
            self.assertNotIn(text, said)
            self.assertEqual(said.count('\n'), 3)
            self.assertTrue(json_said.isascii())
            self.assertEqual(json.loads(json_said)[0]['method'], text)

    def test_paths_of_any_bytes(self):
        with Impostor(says(), name=b'damonfs-test-\xff\x1b-') as mount:
            said = self.run_at(mount, 'status')
            self.assertEqual((said.returncode, said.stderr), (0, b''))
            self.assertNotIn(b'\x1b', said.stdout)
            self.assertIn('damonfs-test-?', json.loads(self.run_at(mount, 'status', '--json').stdout)[0]['mountpoint'])

    def test_a_script_of_any_bytes(self):
        with tempfile.NamedTemporaryFile(prefix=b'script-\xff') as script:
            with Mount('log=error', b'method=simulated:' + script.name) as mount:
                said = self.run_at(mount, 'status')
        self.assertEqual((said.returncode, said.stderr), (0, b''))
        self.assertIn(b'simulated:/tmp/script-?', said.stdout)


class Reasons(unittest.TestCase):
    def test_why_not_by_a_better_method(self):
        with UnprivilegedMount(['bpf', 'perfmon', 'sys_admin'], 'log=error') as mount, Workload() as workload:
            kdamond, = mount.kdamonds(1)
            kdamond.target(workload.pid)
            if error_of(lambda: kdamond.state('on')):
                self.skipTest('no method works here without BPF')
            target, = the_first(mount.dir)['targets']
        self.assertEqual((target['pid'], target['state']), (workload.pid, 'watched'))
        self.assertIn(target['method'], ('softdirty', 'referenced'))
        # A privilege is told before what only another kernel would have.
        self.assertRegex(target['why'], '^not by %s: ' % ('idle' if os.path.exists('/sys/kernel/mm/page_idle') or
                                                          not HAVE_YOUNG else 'young'))


    @unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to see page frames')
    def test_physical_memory_is_watched_by_a_method_for_processes(self):
        with Mount('method=referenced', 'log=error') as mount:
            kdamond, = mount.kdamonds(1)
            kdamond.target(0, operations='paddr')
            kdamond.regions((1 << 20, 2 << 20))
            kdamond.state('on')
            target, = the_first(mount.dir)['targets']
            self.assertEqual((target['pid'], target['state'], target['method']), (0, 'watched', 'referenced'))


class Restarts(unittest.TestCase):
    def test_restarts_are_counted(self):
        with Survivor('method=simulated:/dev/null') as mount:
            for i in range(3):
                said = status(mount.dir)
                self.assertEqual((said['restarts'], said['survives']), (i, True))
                mount.kill()
            self.assertTrue(until(lambda: status(mount.dir)['restarts'] == 3, 10))
            self.assertLess(status(mount.dir)['serves_s'], status(mount.dir)['mounted_s'])
            write(mount.admin + '/kdamonds/nr_kdamonds', 1)
