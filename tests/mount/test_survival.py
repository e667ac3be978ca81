# SPDX-License-Identifier: GPL-2.0-or-later
"""-o survive: the daemon is killed, and whoever uses the mount goes on."""
import contextlib
import ctypes
import errno
import os
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from damon import (DAMONFS, LIBC, Kdamond, MIB, ModuleFiles, Mount, SANITIZED, Workload, children_of, error_of,
                   hot_regions, overlap, read, until, write)

# Measured or named anew: not configuration.
MEASURED = re.compile(r'/(stats/(?!max_)|quotas/effective_bytes|tried_regions(/|$)|pid$|kdamond_pid$|(nr|bytes)_[a-z_]*'
                      r'_(regions|exceeds)$|damon_stat/)(?<!nr_regions)')


# A shell in a bind mount of the directory that follows, in a mount namespace of its own.
BOUND = ('unshare', '-m', 'sh', '-c', 'mount --bind "$0" /mnt && cd /mnt && exec sh')


def configuration(base):
    """The contents and modes of all files that are not measured."""
    files = {}
    for place, _, names in os.walk(base):
        for name in names:
            path = os.path.join(place, name)
            if not MEASURED.search(path):
                with contextlib.suppress(OSError):          # write-only
                    files[path] = (os.lstat(path).st_mode, os.lstat(path).st_ino, read(path))
    return files


def found(kdamond, workload):
    """Whether the 32 MiB of hot memory are what KDAMOND sees as hot."""
    hot = hot_regions(kdamond.snapshot())
    size = sum(end - start for start, end, _, _ in hot)
    return overlap(hot, workload.hot_start, workload.hot_end) > 30 * MIB and size < 36 * MIB


def is_alive(pid):
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def daemons(place):
    """The pids of the children of the keeper of PLACE."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError):
            if read('/proc/%s/comm' % pid) == 'damonfs:keeper' and place in read('/proc/%s/cmdline' % pid):
                found += children_of(int(pid))
    return found


class Survivor(Mount):
    """A mount with a keeper, which is its process."""

    def __init__(self, *options):
        super().__init__('survive', 'log=info', *options)

    def daemon(self):
        """The daemon now; there may be none for a moment."""
        while True:
            children = children_of(self.process.pid)
            if children:
                return children[0]
            time.sleep(0.001)

    def kill(self, number=signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.daemon(), number)


class Survival(unittest.TestCase):
    def setUp(self):
        self.mount = Survivor()
        self.kdamond, = self.mount.kdamonds(1)

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0, self.mount.logged())

    def kill_with(self, workload):
        """Kills the daemon, and WORKLOAD without its notice."""
        daemon = self.mount.daemon()
        os.kill(daemon, signal.SIGSTOP)
        workload.close()
        os.kill(daemon, signal.SIGKILL)

    def test_nothing_that_was_written_is_lost(self):
        write(self.mount.admin + '/kdamonds/nr_kdamonds', 3)
        self.kdamond.target(os.getpid(), os.getppid())
        self.kdamond.regions((4096, 8192), (16384, 65536))
        self.kdamond.set(schemes__nr_schemes=2, monitoring_attrs__intervals__sample_us=1234)
        self.kdamond.set_scheme(action='cold', ops_filters__nr_filters=2, core_filters__nr_filters=1, quotas__goals__nr_goals=1,
                                watermarks__metric='free_mem_rate', apply_interval_us=77)
        self.kdamond.set_scheme(ops_filters__1__type='anon', ops_filters__1__allow='Y',
                                ops_filters__0__memcg_path='/a b\n', quotas__goals__0__target_value=42)
        write(self.kdamond.path + '/refresh_ms', 5000)
        os.chmod(self.kdamond.path + '/state', 0o666)
        os.chown(self.kdamond.context, 1, 2)
        parameter = self.mount.dir + '/modules/damon_reclaim/parameters/min_age'
        write(parameter, 123456)
        before = configuration(self.mount.dir)
        for _ in range(3):
            self.mount.kill()
            self.assertEqual(configuration(self.mount.dir), before)
        self.assertNotIn('could not be restored', self.mount.logged())
        self.assertEqual(os.lstat(self.kdamond.context).st_uid, 1)
        # New directories get numbers that nobody had.
        write(self.mount.admin + '/kdamonds/nr_kdamonds', 3)
        old = {inode for _, inode, _ in before.values()}
        self.assertFalse({inode for path, (_, inode, _) in configuration(self.mount.admin).items()
                          if not path.endswith('nr_kdamonds')} & old)

    def test_what_is_open_stays_open(self):
        self.kdamond.target(os.getpid())
        self.kdamond.stat_scheme()
        operations = os.open(self.kdamond.context + '/operations', os.O_RDWR)
        state = os.open(self.kdamond.path + '/state', os.O_RDWR)
        listing = os.open(self.kdamond.context, os.O_RDONLY)
        gone = os.open(self.kdamond.scheme + '/action', os.O_RDWR)
        write(self.kdamond.context + '/schemes/nr_schemes', 1)
        shell = subprocess.Popen(['sh'], cwd=self.kdamond.context, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 text=True)
        bound = subprocess.Popen([*BOUND, self.mount.admin], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # It has mounted.
        bound.stdin.write('echo mounted\n')
        bound.stdin.flush()
        self.assertEqual(bound.stdout.readline(), 'mounted\n')
        self.mount.kill()
        self.assertEqual(os.pread(operations, 100, 0), b'vaddr\n')
        self.assertEqual(os.write(operations, b'paddr'), 5)
        self.assertEqual(os.pread(operations, 100, 0), b'paddr\n')
        self.assertEqual(os.write(operations, b'vaddr'), 5)
        self.assertIn('schemes', os.listdir(listing))
        self.assertEqual(error_of(lambda: os.pread(gone, 100, 0)), errno.ENODEV)
        self.assertEqual(os.pread(state, 100, 0), b'off\n')
        self.assertEqual(os.write(state, b'on'), 2)
        self.assertEqual(os.pread(state, 100, 0), b'on\n')
        out, _ = shell.communicate('cat operations && ls -d schemes/0')
        self.assertEqual(out, 'vaddr\nschemes/0\n')
        out, _ = bound.communicate('cat kdamonds/0/state')
        self.assertEqual(out, 'on\n')
        for fd in operations, state, listing, gone:
            os.close(fd)

    def test_what_is_read_is_read_on(self):
        """Not in the text that the file has since: two halves of two answers are none."""
        number = os.path.join(self.mount.admin, 'kdamonds/nr_kdamonds')
        for text, room in (('1', 4096), ('2', 1)):
            write(number, text)
            fd = os.open(number, os.O_RDONLY)
            self.addCleanup(os.close, fd)
            self.assertEqual(os.read(fd, room), (text + '\n')[:room].encode())
            write(number, '10')
            self.mount.kill()
            self.assertEqual(os.read(fd, room), (text + '\n')[room:].encode())
            self.assertEqual(os.read(fd, room), b'')
            self.assertEqual(os.pread(fd, 4096, 0), b'10\n')

    def test_what_was_committed_is_on_again(self):
        """Not what was written since."""
        with Workload() as w:
            self.kdamond.target(w.pid)
            self.kdamond.stat_scheme()
            self.kdamond.state('on')
            self.kdamond.set_scheme(access_pattern__sz__max=0)
            self.mount.kill()
            self.assertEqual(self.kdamond.state(), 'on')
            self.assertTrue(until(lambda: self.kdamond.stat('nr_tried'), 5))
            self.assertEqual(read(self.kdamond.scheme + '/access_pattern/sz/max'), '0')
            self.kdamond.state('commit')
            self.mount.kill()
            self.assertEqual(self.kdamond.state(), 'on')
            time.sleep(0.5)
            self.assertEqual(self.kdamond.stat('nr_tried'), 0)
            self.kdamond.state('off')
            self.mount.kill()
            self.assertEqual(self.kdamond.state(), 'off')

    def test_one_that_cannot_go_on_is_off(self):
        w = Workload()
        self.kdamond.target(w.pid)
        self.kdamond.state('on')
        self.kill_with(w)
        self.assertEqual(self.kdamond.state(), 'off')
        self.assertIn('a kdamond that was on stays off (No such process)', self.mount.logged())

    def test_it_goes_on_with_the_targets_that_are_left(self):
        with Workload() as left:
            gone = Workload()
            self.kdamond.target(gone.pid, left.pid)
            self.kdamond.stat_scheme()
            self.kdamond.state('on')
            self.kill_with(gone)
            self.assertEqual(self.kdamond.state(), 'on')
            self.assertTrue(until(lambda: overlap(self.kdamond.snapshot(), left.start, left.end), 5))

    def test_numbers_of_what_was_measured_are_not_used_again(self):
        with Workload() as w:
            self.kdamond.target(w.pid)
            self.kdamond.stat_scheme()
            self.kdamond.state('on')
            self.assertTrue(until(self.kdamond.snapshot, 5))
            tried = self.kdamond.scheme + '/tried_regions/'
            first = next(name for name in os.listdir(tried) if name.isdigit())
            fd = os.open('%s%s/start' % (tried, first), os.O_RDONLY)
            self.mount.kill()
            self.assertEqual(os.pread(fd, 100, 0).decode().strip(), read('%s%s/start' % (tried, first)))
            self.kdamond.state('update_schemes_tried_regions')
            self.mount.kill()
            write(self.kdamond.context + '/targets/0/regions/nr_regions', 500)
            self.assertEqual(error_of(lambda: os.pread(fd, 100, 0)), errno.ENODEV)
            os.close(fd)

    def test_tried_regions_stay(self):
        """As they were shown, of two schemes; also if there is a new journal, and once the kdamond is off."""
        with Workload() as w:
            self.kdamond.target(w.pid)
            self.kdamond.stat_scheme()
            write(self.kdamond.context + '/schemes/nr_schemes', 2)
            for scheme in '01':
                for name in ('sz', 'nr_accesses', 'age'):
                    write('%s/schemes/%s/access_pattern/%s/max' % (self.kdamond.context, scheme, name), 2 ** 64 - 1)
            self.kdamond.state('on')
            self.assertTrue(until(self.kdamond.snapshot, 5))
            os.chmod(self.kdamond.scheme + '/tried_regions/total_bytes', 0o444)
            first = next(name for name in os.listdir(self.kdamond.scheme + '/tried_regions') if name.isdigit())
            os.chmod('%s/tried_regions/%s/age' % (self.kdamond.scheme, first), 0o444)

            def shown():
                places = ['%s/schemes/%s/tried_regions' % (self.kdamond.context, scheme) for scheme in '01']
                return {path: (os.lstat(path).st_ino, os.lstat(path).st_mode, read(path))
                        for place in places for top, _, names in os.walk(place)
                        for path in (os.path.join(top, name) for name in names)}
            before = shown()
            self.assertGreater(len(before), 2 * 5 * 2)
            self.mount.kill()
            self.assertEqual(shown(), before)
            self.mount.kill()
            self.assertEqual(shown(), before)
            self.kdamond.state('off')
            self.mount.kill()
            self.assertEqual(shown(), before)
            self.kdamond.state('on')
            self.kdamond.state('update_schemes_tried_bytes')
            total = read(self.kdamond.scheme + '/tried_regions/total_bytes')
            self.mount.kill()
            self.assertEqual(os.listdir(self.kdamond.scheme + '/tried_regions'), ['total_bytes'])
            self.assertEqual(read(self.kdamond.scheme + '/tried_regions/total_bytes'), total)
            self.kdamond.state('clear_schemes_tried_regions')
            self.mount.kill()
            self.assertEqual(read(self.kdamond.scheme + '/tried_regions/total_bytes'), '0')

    def test_what_was_emptied_stays_empty(self):
        self.kdamond.target(os.getpid(), os.getpid())
        self.assertEqual(error_of(lambda: write(self.kdamond.context + '/targets/nr_targets', 600000)), errno.ENOMEM)
        self.assertEqual(read(self.kdamond.context + '/targets/nr_targets'), '0')
        self.mount.kill()
        self.assertEqual(read(self.kdamond.context + '/targets/nr_targets'), '0')

    def test_without_targets(self):
        self.kdamond.target(operations='paddr')
        if error_of(lambda: self.kdamond.state('on')):
            self.skipTest('MISSING: a method for physical memory')
        self.mount.kill()
        self.assertEqual(self.kdamond.state(), 'on')

    def test_turned_on_or_not(self):
        """Killed during `on': it is on if that was answered."""
        with Workload() as w:
            self.kdamond.target(w.pid)
            for wait in (0, 0.002, 0.005, 0.01, 0.02, 0.05):
                answers = []

                def command():
                    state = os.open(self.kdamond.path + '/state', os.O_WRONLY)
                    answers.append(LIBC.write(state, b'on', 2))
                    os.close(state)

                turning = threading.Thread(target=command)
                turning.start()
                time.sleep(wait)
                self.mount.kill()
                turning.join()
                self.assertEqual(self.kdamond.state(), 'on' if answers == [2] else 'off')
                if answers == [2]:
                    self.kdamond.state('off')

    def test_nothing_piles_up(self):
        state = os.open(self.kdamond.path + '/state', os.O_WRONLY)

        def descriptors():
            self.mount.kill()
            self.kdamond.state()
            return len(os.listdir('/proc/%d/fd' % self.mount.daemon()))

        before = descriptors()
        for _ in range(4):
            for _ in range(20):
                os.close(os.open(self.kdamond.path + '/state', os.O_WRONLY))
            after = descriptors()
        self.assertLess(after, before + 3)
        os.close(state)

    def test_what_does_not_fit_is_not_turned_on_again(self):
        """Too many directories for the journal: it cannot tell what was turned off since."""
        with Workload() as w:
            write(self.mount.admin + '/kdamonds/nr_kdamonds', 2)
            other = Kdamond(self.mount.admin + '/kdamonds/1')
            for kdamond in self.kdamond, other:
                kdamond.target(w.pid)
            other.state('on')
            write(self.kdamond.context + '/schemes/nr_schemes', 60000)
            other.state('off')
            self.mount.kill()
            self.assertEqual(other.state(), 'off', self.mount.logged())
            write(self.mount.admin + '/kdamonds/nr_kdamonds', 0)

    def test_hot_memory_is_found_again(self):
        with Workload('--size', '256M', '--hot', '32M', '--at', '96M') as w:
            self.kdamond.target(w.pid)
            # A sanitizer reserves terabytes around it.
            self.kdamond.attrs()
            self.kdamond.regions((w.start, w.end))
            self.kdamond.stat_scheme()
            self.kdamond.state('on')

            self.assertTrue(until(lambda: found(self.kdamond, w), 60))
            self.mount.kill()
            self.assertEqual(self.kdamond.state(), 'on')
            self.assertTrue(until(lambda: found(self.kdamond, w), 60 if SANITIZED else 5))

    def test_it_goes_on_with_what_was_reported(self):
        """Of regions that were reported, it knows at once what is hot, and how old they are; also after two deaths."""
        def age(regions, start, end):
            """Of the mean byte; regions that are merged have the mean age of both."""
            return sum(overlap([r], start, end) * r[3] for r in regions) / (end - start)

        with Workload('--size', '256M', '--hot', '32M', '--at', '96M') as w:
            self.kdamond.target(w.pid)
            self.kdamond.attrs(aggr=200000)
            self.kdamond.regions((w.start, w.end))
            self.kdamond.stat_scheme()
            self.kdamond.state('on')
            self.assertTrue(until(lambda: found(self.kdamond, w) and
                                  age(self.kdamond.snapshot(), w.start, w.hot_start) > 20, 60))
            before = self.kdamond.snapshot()
            for deaths in 1, 1, 2:
                for _ in range(deaths):
                    self.mount.kill()
                    self.assertEqual(self.kdamond.state(), 'on')
                now = self.kdamond.snapshot()
                # A region that is found anew is 0 aggregations old, and all memory is one.
                self.assertGreater(age(now, w.start, w.hot_start), 0.6 * age(before, w.start, w.hot_start))
                # Its regions are updated when that is due, as they would have been.
                self.assertEqual(overlap(now, w.start, w.end), sum(r[1] - r[0] for r in now))
                hot = [r for r in now if r[2] > 20]
                self.assertGreater(overlap(hot, w.hot_start, w.hot_end), 25 * MIB, now)
                before = now

    def test_it_goes_on_whatever_named_the_target(self):
        """The id of a thread; or a pid that a target had too, which was removed."""
        kdamonds = self.mount.kdamonds(2)
        script = ('import threading, time\n'
                  'def say(): print(threading.get_native_id(), flush=True); time.sleep(1000)\n'
                  'threading.Thread(target=say).start()')
        process = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, text=True)
        for cleanup in process.wait, process.kill, process.stdout.close:
            self.addCleanup(cleanup)
        kdamonds[0].target(int(process.stdout.readline()))
        kdamonds[1].target(process.pid, process.pid)
        for kdamond in kdamonds:
            kdamond.attrs(aggr=50000)
            kdamond.stat_scheme()
            kdamond.state('on')
        write(kdamonds[1].context + '/targets/0/obsolete_target', 'Y')
        kdamonds[1].state('commit')
        ages = [lambda k=k: max(age for _, _, _, age in k.snapshot()) for k in kdamonds]
        for oldest in ages:
            self.assertTrue(until(lambda: oldest() > 30, 30))
        self.mount.kill()
        for oldest in ages:
            self.assertGreater(oldest(), 30)

    def test_a_held_write_is_answered(self):
        with Workload() as w:
            self.kdamond.target(w.pid)
            # The command waits for the end of an aggregation.
            self.kdamond.attrs(sample=100000, aggr=3000000)
            self.kdamond.stat_scheme()
            self.kdamond.state('on')
            answers = []

            def command():
                # Python would try again.
                state = os.open(self.kdamond.path + '/state', os.O_WRONLY)
                answers.append((LIBC.write(state, b'update_schemes_tried_regions', 28), ctypes.get_errno()))
                os.close(state)

            waiting = threading.Thread(target=command)
            waiting.start()
            time.sleep(0.5)
            self.assertFalse(answers)
            self.mount.kill()
            waiting.join(10)
            self.assertEqual(answers, [(-1, errno.EINTR)])
            self.assertEqual(self.kdamond.state(), 'on')

    def test_killed_at_random_instants(self):
        """Nobody who uses it sees more than a pause; an interrupted command may be EINTR."""
        rng = random.Random(7)
        failures, stop = [], threading.Event()
        done = [0, 0]
        path = self.kdamond.context + '/monitoring_attrs/intervals/update_us'

        def configure():
            while not stop.is_set():
                done[0] += 1
                try:
                    write(path, done[0])
                    if read(path) != str(done[0]):
                        failures.append('wrote %d, read %s' % (done[0], read(path)))
                except OSError as e:
                    failures.append('configuring: %s' % e)

        def command():
            while not stop.is_set():
                try:
                    self.kdamond.state('commit')
                    done[1] += 1
                except OSError as e:
                    if e.errno != errno.EINTR:
                        failures.append('commit: %s' % e)

        with Workload() as w:
            self.kdamond.target(w.pid)
            self.kdamond.state('on')
            threads = [threading.Thread(target=work) for work in (configure, command)]
            for thread in threads:
                thread.start()
            for _ in range(10):
                time.sleep(rng.uniform(0.2, 1))
                self.mount.kill()
            stop.set()
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])
            self.assertGreater(min(done), 10)
            self.assertEqual(self.kdamond.state(), 'on')

    def test_what_the_keeper_costs(self):
        with open('/proc/%d/smaps_rollup' % self.mount.process.pid) as f:
            private = sum(int(line.split()[1]) for line in f if line.startswith('Private'))
        print('the keeper: %d KiB of its own' % private)
        if not SANITIZED:
            self.assertLess(private, 1024)


class OtherTrees(unittest.TestCase):
    """modules/ and damon/; a script is played, so that no memory is watched."""
    abi = '7.2'

    def setUp(self):
        with tempfile.NamedTemporaryFile('w', suffix='.script', delete=False) as script:
            script.write('map 0x10000000 64M\naccess 0x10000000 8M 100%\n')
        self.addCleanup(os.unlink, script.name)
        self.mount = Survivor('method=simulated:' + script.name, 'abi=' + self.abi)

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0, self.mount.logged())


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for whom all of memory is watched')
class Modules(ModuleFiles, OtherTrees):
    REGION = {'monitor_region_start': 0x10000000, 'monitor_region_end': 0x14000000, 'wmarks_high': 1000,
              'wmarks_mid': 999, 'wmarks_low': 0}
    # With these, a scheme is tried on what is there, or is not.
    TRIED = {'reclaim': ({'min_age': 100000}, {'min_age': 2 ** 60}, 'nr_reclaim_tried_regions'),
             'lru_sort': ({'cold_min_age': 100000, 'hot_thres_access_freq': 0},
                          {'cold_min_age': 2 ** 60, 'hot_thres_access_freq': 2000}, 'nr_lru_sort_tried_cold_regions')}

    def test_on_again_by_what_was_committed(self):
        for module, (tried, untried, counter) in self.TRIED.items():
            self.set(module, **self.REGION, **tried)
            self.set(module, enabled='Y')
            self.set(module, **untried)
            before = configuration(self.mount.dir + '/modules')
            self.mount.kill()
            self.assertEqual(self.get(module, 'enabled'), 'Y', self.mount.logged())
            self.assertEqual(configuration(self.mount.dir + '/modules'), before)
            self.assertTrue(until(lambda: int(self.get(module, counter)), 10))
            self.set(module, commit_inputs='Y')
            self.mount.kill()
            self.assertEqual(self.get(module, 'enabled'), 'Y', self.mount.logged())
            time.sleep(0.5)
            self.assertEqual(self.get(module, counter), '0')
            # Others are kept off.
            self.assertEqual(error_of(lambda: self.set('stat', enabled='Y')), errno.EBUSY)
            kdamond, = self.mount.kdamonds(1)
            kdamond.target(os.getpid())
            self.assertEqual(error_of(lambda: kdamond.state('on')), errno.EBUSY)
            self.set(module, enabled='N')
            self.mount.kill()
            self.assertEqual(self.get(module, 'enabled'), 'N')
        self.assertNotIn('stays off', self.mount.logged())

    def test_stat(self):
        self.set('stat', enabled='Y')
        self.mount.kill()
        self.assertEqual(self.get('stat', 'enabled'), 'Y', self.mount.logged())
        self.assertTrue(until(lambda: int(self.get('stat', 'aggr_interval_us')), 10))
        self.set('stat', enabled='N')
        self.mount.kill()
        self.assertEqual(self.get('stat', 'enabled'), 'N')

    def test_what_it_filled_in_stays(self):
        self.set('reclaim', min_age=2 ** 60, enabled='Y')
        region = [self.get('reclaim', 'monitor_region_' + end) for end in ('start', 'end')]
        self.assertNotEqual(region[1], '0')
        self.mount.kill()
        self.assertEqual([self.get('reclaim', 'monitor_region_' + end) for end in ('start', 'end')], region)


class Debugfs(OtherTrees):
    abi = '6.12'
    EVERYTHING = '0 18446744073709551615 0 4294967295 0 4294967295 5 0 0 0 0 0 0 0 0 0 0 0'
    ON = 'monitor_on_DEPRECATED'

    def setUp(self):
        super().setUp()
        self.damon = self.mount.dir + '/damon/'

    def set(self, **values):
        for name, value in values.items():
            write(self.damon + name.replace('__', '/'), value)

    def on(self):
        return read(self.damon + self.ON)

    def kept(self):
        """What goes on: not how often schemes were applied."""
        files = configuration(self.damon)
        return {path: (mode, inode, re.sub(r'( \d+){5}$', '', text, flags=re.M) if path.endswith('schemes') else text)
                for path, (mode, inode, text) in files.items()}

    def test_what_was_written(self):
        # Whoever started the tests may be one that we may not watch.
        other = subprocess.Popen(['sleep', '1000'])
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        self.set(mk_contexts='foo', attrs='1000 2000 3000 20 30')
        self.set(mk_contexts='bar')
        self.set(mk_contexts='baz')
        self.set(rm_contexts='bar', target_ids='%d %d' % (os.getpid(), other.pid), schemes=self.EVERYTHING,
                 foo__target_ids='paddr\n', foo__init_regions='0 4096 8192\n0 8192 16384',
                 baz__target_ids=os.getpid())
        # An unknown metric is shown as a negative number.
        self.set(foo__schemes='0 9 0 9 0 9 5 1 2 3 4 5 6 4294967290 7 9 8 7\n' + self.EVERYTHING)
        os.chmod(self.damon + 'foo/attrs', 0o640)
        before = self.kept()
        self.assertIn('-6', before[self.damon + 'foo/schemes'][2])
        for _ in range(2):
            self.mount.kill()
            self.assertEqual(self.kept(), before)
        # What a write that fails empties is empty; names and numbers are free or taken as before.
        self.assertEqual(error_of(lambda: self.set(foo__init_regions='0 1 2 x')), 0)
        self.assertEqual(error_of(lambda: self.set(foo__init_regions='0 5 3')), errno.EINVAL)
        self.assertEqual(error_of(lambda: self.set(mk_contexts='foo')), errno.EEXIST)
        self.set(mk_contexts='bar', rm_contexts='baz')
        self.assertNotIn(os.stat(self.damon + 'bar').st_ino, [inode for _, inode, _ in before.values()])
        before = self.kept()
        self.assertEqual(before[self.damon + 'foo/init_regions'][2], '')
        self.mount.kill()
        self.assertEqual(self.kept(), before)
        self.assertNotIn('could not be restored', self.mount.logged())

    def test_on_again(self):
        with Workload() as w:
            self.set(mk_contexts='foo')
            for name in '', 'foo__':
                self.set(**{name + 'target_ids': w.pid, name + 'init_regions': '0 268435456 335544320',
                            name + 'schemes': self.EVERYTHING})
            self.set(**{self.ON: 'on'})
            before = self.kept()
            for _ in range(2):
                self.mount.kill()
                self.assertEqual(self.on(), 'on', self.mount.logged())
                self.assertEqual(self.kept(), before)
                self.assertTrue(until(lambda: all(int(read(self.damon + name + 'schemes').split()[18])
                                                  for name in ('', 'foo/')), 10))
                for name in '', 'foo/':
                    self.assertIn('kdamond', read('/proc/%s/comm' % read(self.damon + name + 'kdamond_pid')))
            self.assertEqual(error_of(lambda: self.set(mk_contexts='bar')), errno.EBUSY)
            kdamond, = self.mount.kdamonds(1)
            kdamond.target(w.pid)
            self.assertEqual(error_of(lambda: kdamond.state('on')), errno.EBUSY)
            self.set(**{self.ON: 'off'})
            self.mount.kill()
            self.assertEqual(self.on(), 'off')
            # As in the kernel, processes are forgotten then.
            self.assertEqual((read(self.damon + 'target_ids'), read(self.damon + 'foo/target_ids')), ('', ''))
            self.assertEqual(read(self.damon + 'foo/kdamond_pid'), 'none')
            self.set(target_ids=w.pid, foo__target_ids=w.pid)
            self.mount.kill()
            # They were named before.
            self.set(**{self.ON: 'on'})
            self.assertEqual(self.on(), 'on')
            self.set(**{self.ON: 'off'})
        self.assertNotIn('stays off', self.mount.logged())

    def test_of_a_process_that_ended(self):
        with Workload() as w:
            self.set(target_ids=w.pid)
            self.set(**{self.ON: 'on'})
            daemon = self.mount.daemon()
            os.kill(daemon, signal.SIGSTOP)
            w.close()
            os.kill(daemon, signal.SIGKILL)
            self.assertEqual(self.on(), 'off')
            self.assertIn('stays off (No such process)', self.mount.logged())
            self.assertEqual(error_of(lambda: self.set(**{self.ON: 'on'})), errno.ESRCH)
            self.assertEqual(self.on(), 'off')


class Deaths(unittest.TestCase):
    def gone(self, mount_):
        """Whether damonfs gave up and took the mount away."""
        self.assertEqual(mount_.process.wait(20), 1, mount_.logged())
        self.assertTrue(until(lambda: not os.path.ismount(mount_.dir), 5))

    def test_three_of_its_own(self):
        mount_ = Survivor()
        try:
            for _ in range(3):
                read(mount_.admin + '/kdamonds/nr_kdamonds')
                mount_.kill(signal.SIGABRT)
            self.gone(mount_)
            self.assertIn('stays down', mount_.logged())
        finally:
            mount_.close()

    def test_before_it_serves(self):
        """Whoever started it in the background is not left waiting."""
        for wait in (0, 0.005, 0.02, 0.05):
            with tempfile.TemporaryDirectory() as place:
                with subprocess.Popen([DAMONFS, '-o', 'survive', place]) as process:
                    self.assertTrue(until(lambda: daemons(place), 10))
                    time.sleep(wait)
                    for pid in daemons(place):
                        os.kill(pid, signal.SIGKILL)
                    self.assertEqual(process.wait(20), 0)
                self.assertEqual(read(place + '/admin/kdamonds/nr_kdamonds'), '0')
                self.assertEqual(LIBC.umount2(place.encode(), 0), 0)

    def test_it_ends_when_it_is_told_to(self):
        """Also if the daemon is killed while it ends, or is dead already."""
        for first, second in ((signal.SIGTERM, signal.SIGKILL), (signal.SIGKILL, signal.SIGTERM)):
            mount_ = Survivor()
            daemon = mount_.daemon()
            os.kill(mount_.process.pid, signal.SIGSTOP)
            for number in first, second:
                os.kill(mount_.process.pid if number == signal.SIGTERM else daemon, number)
            os.kill(mount_.process.pid, signal.SIGCONT)
            self.assertEqual(mount_.process.wait(10), 0)
            self.assertFalse(os.path.ismount(mount_.dir))
            mount_.close()

    def test_where_it_cannot_mount(self):
        with tempfile.NamedTemporaryFile() as file:
            done = subprocess.run([DAMONFS, '-f', '-o', 'survive', file.name], stderr=subprocess.PIPE, text=True,
                                  check=False, timeout=20)
            self.assertEqual(done.returncode, 1)
            self.assertIn('cannot mount damonfs on ' + file.name, done.stderr)

    def test_started_by_who_ignores_children(self):
        with tempfile.TemporaryDirectory() as place:
            with subprocess.Popen(['sh', '-c', 'trap "" CHLD; exec "$0" -f -o survive "$1"', DAMONFS, place]) as keeper:
                self.assertTrue(until(lambda: os.path.ismount(place), 10))
                os.kill(children_of(keeper.pid)[0], signal.SIGKILL)
                self.assertEqual(read(place + '/admin/kdamonds/nr_kdamonds'), '0')
                keeper.terminate()
                self.assertEqual(keeper.wait(10), 0)

    def test_the_one_that_stands_by(self):
        mount_ = Survivor()
        try:
            for number in signal.SIGTERM, signal.SIGKILL:
                self.assertTrue(until(lambda: len(children_of(mount_.process.pid)) == 2, 10))
                active, standby = children_of(mount_.process.pid)
                # Blocked until it stands by.
                time.sleep(0.5)
                os.kill(standby, number)
                self.assertTrue(until(lambda: standby not in children_of(mount_.process.pid), 10))
                os.kill(active, signal.SIGKILL)
                self.assertEqual(read(mount_.admin + '/kdamonds/nr_kdamonds'), '0')
        finally:
            self.assertEqual(mount_.close(), 0, mount_.logged())

    def test_another_one_stands_by(self):
        """But one that ends again and again is not started again and again."""
        mount_ = Survivor()
        try:
            for _ in range(2):
                self.assertTrue(until(lambda: len(children_of(mount_.process.pid)) == 2, 10))
                active, standby = children_of(mount_.process.pid)
                os.kill(standby, signal.SIGKILL)
                self.assertTrue(until(lambda: standby not in children_of(mount_.process.pid), 10))
            time.sleep(1)
            self.assertEqual(children_of(mount_.process.pid), [active])
            self.assertEqual(mount_.logged().count('another one does'), 1)
        finally:
            self.assertEqual(mount_.close(), 0, mount_.logged())

    def test_the_keeper(self):
        mount_ = Survivor()
        daemon = mount_.daemon()
        try:
            mount_.process.kill()
            mount_.process.wait()
            self.assertTrue(until(lambda: not os.path.ismount(mount_.dir), 10))
            self.assertTrue(until(lambda: not is_alive(daemon), 5))
        finally:
            mount_.close()

    def test_unmounted_by_somebody_else(self):
        mount_ = Survivor()
        self.assertEqual(LIBC.umount2(mount_.dir.encode(), 0), 0)
        self.assertEqual(mount_.process.wait(10), 0)
        mount_.close()

    def test_in_the_background(self):
        """Whoever started it is not held up, also by what it leaves open."""
        with tempfile.TemporaryDirectory() as place:
            with subprocess.Popen([DAMONFS, '-o', 'survive', place], stdout=subprocess.PIPE) as process:
                try:
                    self.assertEqual(process.wait(20), 0)
                    self.assertTrue(os.path.ismount(place))
                    self.assertTrue(select.select([process.stdout], [], [], 5)[0], 'it keeps standard output')
                finally:
                    self.assertEqual(LIBC.umount2(place.encode(), 0), 0)
