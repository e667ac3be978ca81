# SPDX-License-Identifier: GPL-2.0-or-later
"""damon/, the debugfs tree, through the real mount: sessions of its documents, rules of its spec."""
import errno
import os
import subprocess
import time
import unittest

from damon import MIB, Mount, Workload, read, tries, write

ABIS = {'6.1': 'monitor_on', '6.12': 'monitor_on_DEPRECATED'}
SCHEME = '4096 8192 0 5 10 20 5 10 1073741824 1000 0 0 100 1 5000000 600 500 300'
EVERYTHING = '0 18446744073709551615 0 4294967295 0 4294967295 5 0 0 0 0 0 0 0 0 0 0 0'


def sleeper():
    return subprocess.Popen(['sleep', '1000'])


def end(process):
    process.kill()
    process.wait()


class Debugfs(unittest.TestCase):
    """With a mount of each ABI in turn; self.damon is the directory, self.on its monitor_on."""
    abi = '6.12'

    def setUp(self):
        self.mount = Mount('abi=' + self.abi)
        self.damon = self.mount.dir + '/damon'
        self.on = self.path(ABIS[self.abi])

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)

    def path(self, name):
        return self.damon + '/' + name

    def refused(self, number, name, text):
        with self.assertRaises(OSError) as caught:
            write(os.path.join(self.damon, name), text)
        self.assertEqual(errno.errorcode[caught.exception.errno], errno.errorcode[number])

    def shell(self, script, interpreter='bash', **env):
        """What a shell in damon/ prints."""
        done = subprocess.run([interpreter, '-c', script], cwd=self.damon, capture_output=True, text=True,
                              env={**os.environ, **env}, check=False)
        return done.stdout + done.stderr

    def wait_for(self, text, seconds=10):
        deadline = time.monotonic() + seconds
        while read(self.on) != text and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(read(self.on), text)


class Documents(Debugfs):
    """The example sessions of the documents by which users know the interface, with live pids."""
    abi = '6.1'

    def setUp(self):
        super().setUp()
        self.a, self.b = sleeper(), sleeper()

    def tearDown(self):
        end(self.a)
        end(self.b)
        super().tearDown()

    def test_attributes(self):
        self.assertEqual(self.shell('echo 5000 100000 1000000 10 1000 > attrs; cat attrs'),
                         '5000 100000 1000000 10 1000\n')

    def test_target_ids(self):
        pids = '%d %d' % (self.a.pid, self.b.pid)
        self.assertEqual(self.shell('echo $PIDS > target_ids; cat target_ids', PIDS=pids),
                         pids + '\n')
        self.assertEqual(self.shell('echo paddr > target_ids; cat target_ids'), '42\n')

    def test_initial_regions(self):
        write(self.path('target_ids'), '%d %d' % (self.a.pid, self.b.pid))
        example = 'echo "0 1 100\n0 100 200\n1 20 40\n1 50 100" > init_regions'
        self.assertEqual(self.shell(example, interpreter='sh'), '')
        self.assertEqual(self.shell('cat init_regions'), '0 1 100\n0 100 200\n1 20 40\n1 50 100\n')
        # The echo of bash writes each line by itself, and only the first one goes: also in the kernel.
        self.assertIn('Invalid argument', self.shell(example))
        self.assertEqual(self.shell('cat init_regions'), '0 1 100\n')

    def test_schemes(self):
        shown = self.shell('''
            scheme="4096 8192 0 5 10 20 2"
            scheme+=" 10 $((1024*1024*1024)) 1000"
            scheme+=" 0 0 100"
            scheme+=" 1 5000000 600 500 300"
            echo "$scheme" > schemes; cat schemes''')
        self.assertEqual(shown, '4096 8192 0 5 10 20 2 10 1073741824 1000 0 0 100 1 5000000 600 500 300'
                                ' 0 0 0 0 0\n')

    def test_on_and_off(self):
        write(self.path('target_ids'), self.a.pid)
        shown = self.shell('cat monitor_on kdamond_pid; echo on > monitor_on; cat monitor_on kdamond_pid;'
                           'echo off > monitor_on; cat monitor_on kdamond_pid').split()
        self.assertEqual(shown[:3] + shown[4:], ['off', 'none', 'on', 'off', 'none'])
        self.assertGreater(int(shown[3]), 0)

    def test_contexts(self):
        self.assertIn('No such file', self.shell('ls foo'))
        self.assertEqual(self.shell('echo foo > mk_contexts; ls foo').split(),
                         ['attrs', 'init_regions', 'kdamond_pid', 'schemes', 'target_ids'])
        self.assertIn('No such file', self.shell('echo foo > rm_contexts; ls foo'))

    def test_busy_while_on(self):
        write(self.path('target_ids'), self.a.pid)
        write(self.on, 'on')
        for name, text in (('attrs', '1 2 3 4 5'), ('target_ids', '\n'), ('init_regions', '\n'),
                           ('schemes', '\n'), ('mk_contexts', 'x'), ('rm_contexts', 'x'),
                           ('monitor_on', 'on')):
            self.refused(errno.EBUSY, name, text)
        write(self.on, 'off')


class Rules(Debugfs):
    def test_a_descriptor_takes_one_command(self):
        fd = os.open(self.path('attrs'), os.O_RDWR)
        with self.assertRaises(OSError) as caught:
            os.write(fd, b'1 2 3')
        self.assertEqual(caught.exception.errno, errno.EINVAL)
        # One that failed may be tried again.
        self.assertEqual(os.write(fd, b'1 2 3 4 5\n'), 10)
        with self.assertRaises(OSError):
            os.write(fd, b'1 2 3 4 6\n')
        os.close(fd)
        fd = os.open(self.path('attrs'), os.O_RDWR)
        self.assertEqual(os.read(fd, 100), b'1 2 3 4 5\n')
        with self.assertRaises(OSError):
            os.write(fd, b'1 2 3 4 6\n')
        self.assertEqual(os.read(fd, 100), b'')
        os.close(fd)

    def test_appending_is_writing(self):
        for i in range(3):
            fd = os.open(self.path('attrs'), os.O_WRONLY | os.O_APPEND)
            os.write(fd, b'1 2 3 4 %d\n' % (5 + i))
            with self.assertRaises(OSError):
                os.write(fd, b'1 2 3 4 9\n')
            os.close(fd)
            self.assertEqual(os.stat(self.path('attrs')).st_size, 0)
        self.assertEqual(read(self.path('attrs')), '1 2 3 4 7')

    def test_no_seeking(self):
        fd = os.open(self.path('schemes'), os.O_RDWR)
        for call in (lambda: os.lseek(fd, 0, os.SEEK_SET), lambda: os.pread(fd, 1, 0),
                     lambda: os.pwrite(fd, b'\n', 0)):
            with self.assertRaises(OSError) as caught:
                call()
            self.assertEqual(caught.exception.errno, errno.ESPIPE)
        os.close(fd)

    def test_directions_that_a_file_has_not(self):
        for name in ('mk_contexts', 'rm_contexts'):
            fd = os.open(self.path(name), os.O_RDWR)
            with self.assertRaises(OSError) as caught:
                os.read(fd, 10)
            self.assertEqual(caught.exception.errno, errno.EINVAL)
            os.close(fd)
        for name in ('kdamond_pid', 'DEPRECATED'):
            self.refused(errno.EINVAL, name, 'x')
        self.assertIn('\n', open(self.path('DEPRECATED')).read())

    def test_an_open_file_of_a_context_that_went(self):
        write(self.path('mk_contexts'), 'foo')
        fd = os.open(self.path('foo/attrs'), os.O_RDWR)
        write(self.path('rm_contexts'), 'foo')
        for call in (lambda: os.read(fd, 10), lambda: os.write(fd, b'1 2 3 4 5')):
            with self.assertRaises(OSError) as caught:
                call()
            self.assertEqual(caught.exception.errno, errno.EIO)
        os.close(fd)
        self.assertNotIn('foo', os.listdir(self.damon))
        self.assertEqual(os.stat(self.damon).st_nlink, 2)

    def test_large_writes(self):
        scheme = SCHEME.encode() + b'\n'
        # One piece.
        text = b' ' * (1 << 20) + scheme
        self.assertEqual(write(self.path('schemes'), text[-(1 << 20):]), 1 << 20)
        self.assertEqual(len(read(self.path('schemes')).split('\n')), 1)
        # Three pieces; numbers are cut where one ends, and the whole counts.
        lines = b'0 %d %d\n'
        process = sleeper()
        write(self.path('target_ids'), process.pid)
        text = b''.join(lines % (10 * i + 1000000000, 10 * i + 1000000005) for i in range(100000))
        self.assertGreater(len(text), 2 << 20)
        self.assertEqual(write(self.path('init_regions'), text), len(text))
        with open(self.path('init_regions'), 'rb') as f:
            self.assertEqual(f.read(), text)
        # Too much is refused, if not as early as the kernel does.
        fd = os.open(self.path('attrs'), os.O_WRONLY)
        at = 0
        with self.assertRaises(OSError) as caught:
            while True:
                at += os.write(fd, (b'1 2 3 4 5 ' + b' ' * (4 << 20))[at:])
        self.assertEqual(caught.exception.errno, errno.ENOMEM)
        os.close(fd)
        end(process)

    def test_lines_of_bash_are_writes(self):
        self.assertIn('Invalid argument', self.shell('echo "%s\n%s" > schemes' % (SCHEME, SCHEME)))
        self.assertEqual(len(read(self.path('schemes')).split('\n')), 1)
        self.assertEqual(self.shell('printf "%s\n%s\n" "$S" "$S" | dd of=schemes bs=4096 status=none',
                                    S=SCHEME), '')
        self.assertEqual(len(read(self.path('schemes')).split('\n')), 2)

    def test_pids_are_those_of_the_reader(self):
        """In a pid namespace of its own, a shell names processes, and sees no others."""
        outside = sleeper()
        script = '''mount -t proc proc /proc
            sleep 1000 & echo $! > target_ids; cat target_ids; read line; cat target_ids
            kill $!; wait $!; cat target_ids'''
        process = subprocess.Popen(['unshare', '-pmf', '--kill-child', 'bash', '-c', script],
                                   cwd=self.damon, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        inner = int(process.stdout.readline())
        self.assertLess(inner, 100)
        seen = int(read(self.path('target_ids')))
        self.assertGreater(seen, 100)
        with open('/proc/%d/status' % seen) as f:
            self.assertIn('NSpid:\t%d\t%d\n' % (seen, inner), f.read())
        write(self.path('target_ids'), '%d %d' % (seen, outside.pid))
        process.stdin.write('\n')
        process.stdin.flush()
        # The same by its name there, and one that is not there at all.
        self.assertEqual(process.stdout.readline(), '%d 0\n' % inner)
        process.stdin.close()
        process.wait()
        process.stdout.close()
        # They are named as they were written, also when they are gone.
        self.assertEqual(read(self.path('target_ids')), '%d %d' % (seen, outside.pid))
        end(outside)


class Running(Debugfs):
    def setUp(self):
        super().setUp()
        self.processes = [sleeper() for _ in range(3)]
        write(self.path('target_ids'), self.processes[0].pid)

    def tearDown(self):
        for process in self.processes:
            end(process)
        super().tearDown()

    def context(self, name, process):
        write(self.path('mk_contexts'), name)
        write(self.path(name + '/target_ids'), process.pid)

    def test_every_context_runs(self):
        self.context('foo', self.processes[1])
        self.context('bar', self.processes[2])
        write(self.on, 'on')
        pids = [read(self.path(name + 'kdamond_pid')) for name in ('', 'foo/', 'bar/')]
        self.assertEqual(len(set(pids)), 3)
        names = []
        for pid in pids:
            with open('/proc/%s/comm' % pid) as f:
                names.append(f.read().strip())
        self.assertEqual(names, ['kdamond.0', 'kdamond.1', 'kdamond.2'])
        write(self.on, 'off')
        self.assertEqual(read(self.on), 'off')
        for name in ('', 'foo/', 'bar/'):
            self.assertEqual(read(self.path(name + 'kdamond_pid')), 'none')
            self.assertEqual(open(self.path(name + 'target_ids')).read(), '\n')
        self.refused(errno.EINVAL, self.on, 'on')
        self.refused(errno.EPERM, self.on, 'off')

    def test_a_context_without_targets_forbids_on(self):
        write(self.path('mk_contexts'), 'foo')
        self.refused(errno.EINVAL, self.on, 'on')
        self.assertEqual(read(self.on), 'off')
        write(self.path('foo/target_ids'), 'paddr')
        write(self.on, 'on')
        write(self.on, 'off')
        # Physical memory goes on to be the target, without regions.
        self.assertEqual(read(self.path('foo/target_ids')), '42')

    def test_one_that_ended_by_itself_stops_off(self):
        self.context('foo', self.processes[1])
        self.context('bar', self.processes[2])
        write(self.path('attrs'), '5000 100000 100000 10 1000')
        write(self.path('foo/attrs'), '5000 100000 100000 10 1000')
        write(self.on, 'on')
        end(self.processes[1])
        deadline = time.monotonic() + 10
        while read(self.path('foo/kdamond_pid')) != 'none' and time.monotonic() < deadline:
            time.sleep(0.02)
        # The first is stopped, the second is not running, the third is left alone.
        self.refused(errno.EPERM, self.on, 'off')
        self.assertEqual(read(self.path('kdamond_pid')), 'none')
        self.assertEqual(read(self.path('foo/kdamond_pid')), 'none')
        self.assertNotEqual(read(self.path('bar/kdamond_pid')), 'none')
        self.assertEqual(read(self.on), 'on')
        self.refused(errno.EBUSY, 'rm_contexts', 'foo')
        end(self.processes[2])
        self.wait_for('off', 70)
        write(self.path('rm_contexts'), 'foo')

    def test_it_ends_with_its_targets(self):
        write(self.path('attrs'), '5000 100000 100000 10 1000')
        write(self.on, 'on')
        end(self.processes[0])
        self.wait_for('off')
        self.assertEqual(open(self.path('target_ids')).read(), '\n')
        self.assertEqual(read(self.path('attrs')), '5000 100000 100000 10 1000')

    def test_a_dead_target_can_be_started(self):
        end(self.processes[0])
        self.assertEqual(read(self.path('target_ids')), str(self.processes[0].pid))
        write(self.on, 'on')
        self.wait_for('off')

    def test_paddr_keeps_its_target_and_loses_its_regions(self):
        write(self.path('target_ids'), 'paddr\n')
        write(self.path('init_regions'), '0 %d %d' % (1 << 50, (1 << 50) + 4096))  # where there is no memory
        write(self.on, 'on')
        self.refused_read(errno.EBUSY, 'init_regions')
        write(self.on, 'off')
        self.assertEqual(read(self.path('target_ids')), '42')
        self.assertEqual(read(self.path('init_regions')), '')

    def refused_read(self, number, name):
        with self.assertRaises(OSError) as caught:
            read(self.path(name))
        self.assertEqual(caught.exception.errno, number)

    def test_both_interfaces_exclude_each_other(self):
        kdamond, = self.mount.kdamonds(1)
        kdamond.target(self.processes[1].pid)
        write(self.on, 'on')
        self.refused(errno.EBUSY, kdamond.path + '/state', 'on')
        write(self.on, 'off')
        kdamond.state('on')
        self.assertEqual(read(self.on), 'on')
        self.refused(errno.EINVAL, self.on, 'on')
        write(self.path('target_ids'), self.processes[2].pid)
        self.refused(errno.EBUSY, self.on, 'on')
        self.refused(errno.EPERM, self.on, 'off')
        self.refused(errno.EBUSY, 'mk_contexts', 'foo')
        kdamond.state('off')
        write(self.on, 'on')
        write(self.on, 'off')

    def test_it_ends_with_the_daemon(self):
        """A SIGTERM ends kdamonds of both trees; tearDown looks at the exit status."""
        write(self.on, 'on')

    def test_what_is_refused_while_on(self):
        write(self.path('schemes'), SCHEME)
        write(self.on, 'on')
        # What cannot be read is told before that it is busy, a bad value after it.
        self.refused(errno.EINVAL, 'attrs', '1 2 3')
        self.refused(errno.EBUSY, 'attrs', '1 2 3 2 5')
        self.refused(errno.EBUSY, 'target_ids', 'x y')
        self.refused(errno.ENOMEM, 'target_ids', '999999999')
        self.refused(errno.EINVAL, 'schemes', SCHEME.replace(' 5 10 1073741824', ' 6 10 1073741824'))
        self.refused(errno.EBUSY, 'schemes', '\n')
        self.assertIn(SCHEME, read(self.path('schemes')))
        # What is wrong with an `on' of the other tree is told before that it is busy, too.
        kdamond, = self.mount.kdamonds(1)
        kdamond.target(999999999)
        for pid, error in (999999999, errno.EINVAL), (os.getpid(), errno.EBUSY):
            write(kdamond.context + '/targets/0/pid_target', pid)
            with self.assertRaises(OSError) as caught:
                kdamond.state('on')
            self.assertEqual(caught.exception.errno, error)
        write(self.on, 'off')


class Watching(Debugfs):
    @tries(3)
    def test_schemes_count_and_go_on_counting(self):
        """A real process: the bytes that a scheme for hot memory tried are those that are hot."""
        with Workload('--size', '256M', '--hot', '32M', '--at', '96M') as workload:
            hot = EVERYTHING.split()
            hot[2] = '5'
            write(self.path('schemes'), EVERYTHING + '\n' + ' '.join(hot))
            counts = []
            for _ in range(2):
                write(self.path('target_ids'), workload.pid)
                write(self.on, 'on')
                time.sleep(5)
                first = self.counters()
                time.sleep(2)
                second = self.counters()
                write(self.on, 'off')
                counts += [first, second, self.counters()]
                each = [(b[1] - a[1]) for a, b in zip(first, second)]
                rounds = each[1] / (32 * MIB)
                self.assertAlmostEqual(rounds, 20, delta=6)
                # All of the process is more than its heap.
                self.assertGreater(each[0] / rounds, 256 * MIB)
            for before, after in zip(counts, counts[1:]):
                self.assertGreaterEqual(after[0][0], before[0][0])
                self.assertEqual(after[0][2:], [0, 0, 0])
            # Writing them again begins anew.
            write(self.path('schemes'), EVERYTHING)
            self.assertEqual(self.counters(), [[0] * 5])

    def counters(self):
        return [[int(word) for word in line.split()[18:]]
                for line in read(self.path('schemes')).split('\n')]
