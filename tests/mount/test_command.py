# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: mounts, their ends, and damonfs exec."""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from damon import DAMONFS, Mount, read, until, write


def run(*words, **rest):
    return subprocess.run([DAMONFS, *words], capture_output=True, text=True, timeout=30,
                          check=False, **rest)


def is_running(pid):
    """Not one that nobody has waited for yet."""
    try:
        return read('/proc/%s/stat' % pid).rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


class CommandLine(unittest.TestCase):
    def test_help_and_version(self):
        for option in ('-h', '--help'):
            done = run(option)
            self.assertEqual(done.returncode, 0)
            self.assertIn('method=', done.stdout)
        for option in ('-V', '--version'):
            done = run(option)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout, r'^damonfs version \d')

    def test_help_of_each_command(self):
        for command in 'check', 'exec', 'lend', 'status', 'upgrade':
            for option in '-h', '--help':
                done = run(command, option)
                self.assertEqual((done.returncode, done.stderr), (0, ''), command)
                self.assertRegex(done.stdout, r'\AUsage: damonfs %s .*\n\n\w' % command)
            done = run(command, '--nosuch')
            self.assertNotEqual((done.returncode, done.stderr), (0, ''), command)
            self.assertEqual(done.stdout, '', command)

    def test_mistakes_are_errors(self):
        with tempfile.TemporaryDirectory() as place:
            for words in (['-o', 'nosuch', place], ['-o', 'abi=5.0', place],
                          ['-o', 'method=magic', place], ['-o', 'log=loud', place],
                          ['-o', 'method=simulated:/no/such/script', place], ['--nosuch', place],
                          ['/no/such/place'], []):
                done = run('-f', *words)
                self.assertNotEqual(done.returncode, 0, words)
                self.assertNotEqual(done.stderr, '', words)
                self.assertFalse(os.path.ismount(place), words)

    def test_mistakes_are_told_to_whoever_started_it(self):
        """Also those that only the kernel, or what it mounts on, finds: before it is in the background."""
        with tempfile.TemporaryDirectory() as place, tempfile.NamedTemporaryFile() as file:
            for words in ([file.name], ['/dev/fd/0'], ['/dev/fd/1000'], ['/dev/fd/x'],
                          ['-o', 'max_read=x', place], ['-o', 'max_read=-1', place],
                          ['-o', 'blksize=1024', place], ['-o', 'context=x', place],
                          *(['-o', '%s=%s' % (what, text), place] for what in ('uid', 'gid')
                            for text in ('', '-1', '4294967295', '99999999999', '1x', ' 1',
                                         'no such name'))):
                done = run(*words, stdin=subprocess.DEVNULL)
                self.assertEqual(done.returncode, 1, words)
                self.assertRegex(done.stderr, '^(damonfs|fuse): ', words)
                self.assertFalse(os.path.ismount(words[-1]), words)

    def test_options_that_work(self):
        for option in ('max_read=4096', 'max_read=8', 'uid=daemon,gid=daemon', 'uid=1,gid=1', 'ro',
                       'noatime', 'allow_root', 'subtype=other', 'fsname=a b'):
            with tempfile.TemporaryDirectory() as place:
                done = run('-o', option, place)
                self.assertEqual((done.returncode, done.stderr), (0, ''), option)
                self.assertEqual(read(place + '/admin/kdamonds/nr_kdamonds'), '0')
                if option.startswith('uid='):
                    st = os.stat(place + '/admin')
                    self.assertEqual((st.st_uid, st.st_gid), (1, 1))
                subprocess.run(['umount', place], check=True)

    def test_small_reads(self):
        with Mount('max_read=4096') as mount:
            write(mount.dir + '/damon/target_ids', os.getpid())
            text = ''.join('0 %d %d\n' % (10 * i, 10 * i + 5) for i in range(1, 2000))
            write(mount.dir + '/damon/init_regions', text)
            self.assertEqual(read(mount.dir + '/damon/init_regions') + '\n', text)

    def test_who_does_not_wait_for_it_has_none(self):
        """Whoever started it is killed before it serves: nothing is left."""
        with tempfile.TemporaryDirectory() as place:
            for _ in range(20):
                process = subprocess.Popen([DAMONFS, '-o', 'log=error', place])
                time.sleep(0.002)
                process.kill()
                process.wait()
                time.sleep(0.1)
                # It was in time, or there is nothing.
                if os.path.ismount(place):
                    os.listdir(place)
                    subprocess.run(['umount', place], check=True)

    def test_in_the_background_until_unmounted(self):
        with tempfile.TemporaryDirectory() as place:
            done = run('-o', 'fsname=mine,abi=6.1', place)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open('/proc/mounts') as f:
                mounts = [line.split() for line in f]
            self.assertIn(['mine', place, 'fuse.damonfs'], [m[:3] for m in mounts])
            write(place + '/admin/kdamonds/nr_kdamonds', 1)
            self.assertEqual(read(place + '/admin/kdamonds/0/state'), 'off')
            self.assertEqual(subprocess.run(['fusermount3', '-u', place], check=False).returncode, 0)
            self.assertFalse(os.path.ismount(place))

    def test_signals_stop_kdamonds_and_unmount(self):
        sleeper = subprocess.Popen(['sleep', '1000'])
        self.addCleanup(sleeper.wait)
        self.addCleanup(sleeper.kill)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            mount = Mount()
            kdamond, = mount.kdamonds(1)
            kdamond.target(sleeper.pid)
            kdamond.attrs(sample=10000000, aggr=100000000)
            kdamond.state('on')
            self.assertEqual(mount.close(number), 0)
            self.assertIn('unmounting', mount.logged())

    def test_what_a_dead_damonfs_left_is_cleaned_up(self):
        first = Mount()
        first.process.kill()
        first.process.wait()
        with self.assertRaises(OSError):
            os.listdir(first.dir)
        process = subprocess.Popen([DAMONFS, '-f', first.dir], stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                if os.path.exists(first.dir + '/admin'):
                    break
            except OSError:
                pass
            time.sleep(0.02)
        self.assertEqual(read(first.dir + '/admin/kdamonds/nr_kdamonds'), '0')
        process.terminate()
        self.assertEqual(process.wait(10), 0)
        self.assertIn('stale mount left by a dead damonfs', process.stderr.read())
        process.stderr.close()
        os.rmdir(first.dir)


class Quickstart(unittest.TestCase):
    HERE = os.path.dirname(os.path.abspath(__file__))
    PROGRAM = os.path.join(HERE, '../../quickstart')

    def setUp(self):
        # Others may be running.
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.environment = dict(os.environ, TMPDIR=place.name)

    def mounts(self):
        with open('/proc/mounts') as f:
            return {line.split()[1] for line in f if ' fuse.damonfs ' in line and
                    line.split()[1].startswith(self.environment['TMPDIR'])}

    def test_it_finds_the_hot_memory_and_leaves_nothing_behind(self):
        done = subprocess.run([self.PROGRAM], capture_output=True, text=True, timeout=300,
                              check=False, env=self.environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        # However many regions it is in.
        hot = [(int(start, 16), int(end, 16)) for start, end in
               re.findall(r'^ +(\w+) - (\w+) .* #{15,} ', done.stdout, re.M)]
        truth = int(re.search(r'hot: 32 MiB from (\w+) on', done.stdout)[1], 16)
        inside = sum(max(0, min(end, truth + (32 << 20)) - max(start, truth))
                     for start, end in hot)
        self.assertGreater(inside, 28 << 20, done.stdout)
        self.assertLess(sum(end - start for start, end in hot), 36 << 20, done.stdout)
        self.assertIn('To go on', done.stdout)
        self.assertEqual(self.mounts(), set())

    def test_it_watches_a_process_and_ends_on_ctrl_c(self):
        # Whoever runs the tests in the background has it ignored.
        process = subprocess.Popen([self.PROGRAM, str(os.getpid())], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True,
                                   env=self.environment,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        end = time.monotonic() + 300
        while not self.mounts() and time.monotonic() < end:
            time.sleep(0.1)
        self.assertNotEqual(self.mounts(), set())
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(20), 130)
        self.assertEqual(self.mounts(), set())


class Hot(unittest.TestCase):
    PROGRAM = os.path.join(Quickstart.HERE, '../../packaging/hot')

    def refused(self, pid, place):
        done = subprocess.run([self.PROGRAM, str(pid), '1', place], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ''))
        return done.stderr

    def test_it_says_why_it_cannot(self):
        with Mount() as mount:
            kdamonds = mount.dir + '/admin/kdamonds/nr_kdamonds'
            # No pid is that large.
            self.assertEqual(self.refused(1 << 22, mount.dir),
                             'hot: process 4194304 cannot be watched: damonfs check 4194304 says why\n')
            self.assertEqual(read(kdamonds), '0')
            write(kdamonds, 1)
            self.assertIn('somebody uses', self.refused(os.getpid(), mount.dir))
            self.assertEqual(read(kdamonds), '1')
        with tempfile.TemporaryDirectory() as place:
            self.assertEqual(self.refused(1, place), 'hot: no damonfs is mounted at %s\n' % place)


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for a mount namespace')
class Exec(unittest.TestCase):
    TREE = '/sys/kernel/mm/damon'
    EXEC = 'exec', '-o', 'sandbox=trap'

    def exec(self, *words, **rest):
        return run(*self.EXEC, *words, **rest)

    def outside(self):
        return os.stat('/sys/kernel/mm').st_dev, sorted(os.listdir('/sys/kernel/mm'))

    def test_the_tree_stands_for_the_kernels(self):
        before = self.outside()
        done = self.exec('--', 'sh', '-c',
                   'stat -f -c %%T %s; cat %s/admin/kdamonds/nr_kdamonds; '
                   'cat /sys/kernel/mm/transparent_hugepage/enabled' % (self.TREE, self.TREE))
        self.assertEqual(done.stdout.split('\n')[:2], ['fuseblk', '0'], done.stderr)
        self.assertIn('never', done.stdout)
        self.assertEqual(done.stderr, '')
        self.assertEqual(self.outside(), before)

    def test_its_copy_in_memory_cannot_be_changed(self):
        done = self.exec('--', sys.executable, '-c', """if True:
            import fcntl, os
            exe = '/proc/%d/exe' % os.getppid()
            assert 'memfd' in os.readlink(exe)
            with open(exe) as file:
                print(fcntl.fcntl(file, fcntl.F_GET_SEALS))""")
        self.assertEqual(done.stdout, '15\n', done.stderr)

    def test_who_outlives_it_does_not_meet_the_kernels(self):
        """Whatever ended it; there is nothing where its trees were."""
        for number in signal.SIGTERM, signal.SIGKILL:
            with tempfile.NamedTemporaryFile('r') as file:
                process = subprocess.Popen(
                    [DAMONFS, *self.EXEC, '--', 'sh', '-c',
                     'setsid sh -c "sleep 2; cd /sys/kernel; ls mm/damon debug/damon; echo end" > %s 2>&1 '
                     '& echo begun; exec sleep 20' % file.name], stdout=subprocess.PIPE, text=True)
                self.assertEqual(process.stdout.readline(), 'begun\n')
                process.send_signal(number)
                process.stdout.close()
                process.wait(10)
                end = time.monotonic() + 10
                while 'end\n' not in file.read() and time.monotonic() < end:
                    time.sleep(0.1)
                    file.seek(0)
                file.seek(0)
                seen = file.read()
                self.assertIn('end\n', seen)
                for name in 'admin', 'kdamonds', 'attrs', 'monitor_on':
                    self.assertNotIn(name, seen)

    def test_exit_statuses(self):
        for script, status in (('exit 7', 7), ('kill -9 $$', 137), ('true', 0)):
            self.assertEqual(self.exec('sh', '-c', script).returncode, status)
        self.assertEqual(self.exec('--', '/no/such/program').returncode, 127)
        self.assertEqual(self.exec('--', '/etc/passwd').returncode, 126)
        self.assertEqual(self.exec('--nosuch').returncode, 125)
        for option in 'nosuch', 'ro,auto_unmount':
            self.assertEqual(self.exec('-o', option, 'true').returncode, 125)

    def test_without_a_command_it_is_a_shell(self):
        for shell in '/bin/sh', '/bin/bash', '':
            done = subprocess.run([DAMONFS, *self.EXEC], input='stat -f -c %%T %s; exit 6\n' % self.TREE,
                                  env=dict(os.environ, SHELL=shell), capture_output=True, text=True,
                                  check=False)
            self.assertEqual((done.returncode, done.stdout), (6, 'fuseblk\n'), done.stderr)
            self.assertIn('damonfs: in this shell', done.stderr)

    def test_options_and_their_tree(self):
        done = self.exec('-o', 'abi=6.1', '--', 'sh', '-c',
                   'cd %s/admin/kdamonds && echo 1 > nr_kdamonds && '
                   'echo 1 > 0/contexts/nr_contexts && '
                   'echo 1 > 0/contexts/0/schemes/nr_schemes && ls 0/contexts/0/schemes/0' %
                   self.TREE)
        self.assertNotIn('filters', done.stdout)
        self.assertIn('action', done.stdout)

    def test_a_kernel_without_the_directory(self):
        """A stand-in for one: /sys/kernel/mm without damon, with a file and a link in it."""
        script = ('mount -t tmpfs none /sys/kernel/mm && cd /sys/kernel/mm && mkdir sub && '
                  'echo text > sub/file && echo top > file && ln -s sub link && cd / && '
                  '%s exec -- sh -c "cat /sys/kernel/mm/file /sys/kernel/mm/link/file '
                  '%s/admin/kdamonds/nr_kdamonds; ls /sys/kernel/mm"' % (DAMONFS, self.TREE))
        done = subprocess.run(['unshare', '-m', 'sh', '-c', script], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.stdout.split(), ['top', 'text', '0', 'damon', 'file', 'link', 'sub'],
                         done.stderr)

    def test_at_a_mount_that_is_there(self):
        with Mount() as mount:
            done = run('exec', '--at', mount.dir, '--', 'sh', '-c',
                       'echo 3 > %s/admin/kdamonds/nr_kdamonds; exit 5' % self.TREE)
            self.assertEqual(done.returncode, 5, done.stderr)
            self.assertEqual(read(mount.admin + '/kdamonds/nr_kdamonds'), '3')
        self.assertEqual(run('exec', '--at', '/tmp', 'true').returncode, 125)

    def test_nothing_is_left_behind(self):
        process = subprocess.Popen([DAMONFS, *self.EXEC, 'sleep', '1000'])
        time.sleep(0.5)
        children = subprocess.run(['pgrep', '-P', str(process.pid)], capture_output=True, text=True,
                                  check=False).stdout.split()
        process.terminate()
        self.assertEqual(process.wait(10), 128 + signal.SIGTERM)
        self.assertNotEqual(children, [])
        for child in children:
            self.assertTrue(until(lambda: not is_running(child), 2), child)


class ExecSurvives(Exec):
    """The same with a keeper; and its daemon is killed."""
    EXEC = *Exec.EXEC, '-o', 'survive'

    def test_the_daemon_is_killed(self):
        script = """if True:
            import os, signal, time
            keeper, = (pid for pid in os.popen('pgrep -P %d' % os.getppid()).read().split()
                       if open('/proc/%s/comm' % pid).read() == 'damonfs:keeper\\n')
            os.chdir('/sys/kernel/mm/damon/admin/kdamonds')
            with open('nr_kdamonds', 'w') as file:
                file.write('3')
            for _ in range(2):
                os.kill(int(os.popen('pgrep -P ' + keeper).read().split()[0]), signal.SIGKILL)
                print(open('nr_kdamonds').read().strip(), sorted(os.listdir('.')))
            """
        done = self.exec(sys.executable, '-c', script)
        self.assertEqual(done.stdout, "3 ['0', '1', '2', 'nr_kdamonds']\n" * 2, done.stderr)
        self.assertEqual(done.returncode, 0)

    def test_the_keeper_is_killed(self):
        """The command goes on without the mount."""
        done = self.exec('sh', '-c', 'kill -9 $(pgrep -P $PPID damonfs:keeper); sleep 1; '
                        'cat %s/admin/kdamonds/nr_kdamonds; exit 4' % self.TREE)
        self.assertEqual((done.returncode, done.stdout), (4, ''))

    def test_a_terminal_does_not_end_it(self):
        """Ctrl-C is for the command."""
        done = self.exec('sh', '-c', 'trap "" INT; kill -INT 0; sleep 0.3; cat %s/admin/kdamonds/nr_kdamonds' % self.TREE,
                        start_new_session=True)
        self.assertEqual((done.returncode, done.stdout), (0, '0\n'), done.stderr)

    def test_a_service_manager_hears_of_the_command(self):
        """Not that the mount is ready; nor does it get that."""
        with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(place + '/notify')
            env = dict(os.environ, NOTIFY_SOCKET=place + '/notify')
            done = self.exec('sh', '-c', 'echo $NOTIFY_SOCKET', env=env)
            self.assertEqual((done.returncode, done.stdout), (0, place + '/notify\n'), done.stderr)
            done = run(*Exec.EXEC, '-o', 'fdstore', 'true', env=env)
            self.assertEqual(done.returncode, 125)
            self.assertIn('there is none', done.stderr)
            self.assertRaises(BlockingIOError, manager.recv, 4096, socket.MSG_DONTWAIT)

    def test_who_mounts_is_told(self):
        """By the keeper, which has nothing to serve: this is not /dev/fuse."""
        done = subprocess.run(['unshare', '-m', 'sh', '-c', 'mount --bind /dev/null /dev/fuse && exec "$@"', 'sh',
                               DAMONFS, *self.EXEC, 'true'], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 125)
        self.assertRegex(done.stderr, 'cannot mount damonfs on .*\n$')
