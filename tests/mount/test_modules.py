# SPDX-License-Identifier: GPL-2.0-or-later
"""DAMON's modules: damon_reclaim, damon_lru_sort and damon_stat, on frames of a process of our own."""
import contextlib
import errno
import os
import stat
import subprocess
import tempfile
import time
import unittest

from damon import DAMONFS, EMULATED, MIB, PAGE, RESTS, ModuleFiles, Mount, Workload, error_of, page_flags, read, until
from test_paddr import KPF_ACTIVE, frames_of
from users import OWNER, as_user

SLOWER = 10 if EMULATED else 1
MODULES = ('damon_reclaim', 'damon_lru_sort', 'damon_stat')
ALWAYS = {'wmarks_high': 1000, 'wmarks_mid': 999, 'wmarks_low': 0, 'wmarks_interval': 100000}


class Modules(ModuleFiles, unittest.TestCase):
    METHOD = os.environ.get('DAMONFS_PADDR_METHOD', 'young')
    abi = '7.0'

    def setUp(self):
        self.mount = Mount('log=info', 'abi=' + self.abi, 'method=' + self.METHOD)

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)

    def refuses(self, module, name, value):
        return error_of(lambda: self.set(module, **{name: value}))

    @contextlib.contextmanager
    def frames(self, *arguments):
        """A workload, and the longest run of its frames outside of what is hot."""
        with Workload(*arguments, *RESTS) as workload:
            runs = frames_of(workload, workload.start, workload.hot_start)
            start, end = max(runs, key=lambda r: r[1] - r[0])
            if end - start < 16 * PAGE:
                self.skipTest('MISSING: memory in one piece, physical memory is in too small ones')
            try:
                yield workload, start, end
            finally:
                for module in MODULES:
                    with contextlib.suppress(OSError):
                        self.set(module[6:], enabled='N')


class Files(Modules):
    def test_defaults_and_modes(self):
        for module, name, mode, value in (
                ('reclaim', 'enabled', 0o600, 'N'), ('reclaim', 'commit_inputs', 0o600, 'N'),
                ('reclaim', 'min_age', 0o600, '120000000'), ('reclaim', 'quota_sz', 0o600, '134217728'),
                ('reclaim', 'kdamond_pid', 0o400, '-1'), ('reclaim', 'nr_quota_exceeds', 0o400, '0'),
                ('reclaim', 'wmarks_high', 0o600, '500'), ('lru_sort', 'wmarks_low', 0o600, '50'),
                ('lru_sort', 'hot_thres_access_freq', 0o600, '500'), ('lru_sort', 'active_mem_bp', 0o600, '0'),
                ('lru_sort', 'bytes_lru_sorted_hot_regions', 0o400, '0'), ('stat', 'enabled', 0o600, 'N'),
                ('stat', 'estimated_memory_bandwidth', 0o400, '0'),
                ('stat', 'memory_idle_ms_percentiles', 0o400, ','.join(['0'] * 101))):
            self.assertEqual(self.get(module, name), value, name)
            self.assertEqual(stat.S_IMODE(os.stat(self.path(module, name)).st_mode), mode, name)

    def test_what_is_taken(self):
        for text, value in (('0x10', '16'), ('010', '8'), ('+3', '3'), ('7\n', '7'), (str(2 ** 64 - 1),) * 2):
            self.set('reclaim', min_age=text)
            self.assertEqual(self.get('reclaim', 'min_age'), value)
        for text, error in (('-1', errno.EINVAL), ('x', errno.EINVAL), ('\n', errno.EINVAL), ('1 2', errno.EINVAL),
                            (str(2 ** 64), errno.ERANGE)):
            self.assertEqual(self.refuses('reclaim', 'min_age', text), error, text)
        self.assertEqual(self.refuses('reclaim', 'addr_unit', 0), errno.EINVAL)
        for text in ('-1', 'x', 'maybe', '+3'):
            self.assertEqual(self.refuses('reclaim', 'skip_anon', text), errno.EINVAL, text)
            self.assertEqual(self.refuses('reclaim', 'enabled', text), errno.EINVAL, text)
        self.set('reclaim', skip_anon='1 2')
        self.assertEqual(self.get('reclaim', 'skip_anon'), 'Y')

    def test_which_versions_have_them(self):
        for abi, missing, there in (
                ('6.1', ('stat/enabled', 'reclaim/skip_anon'), ('reclaim/enabled', 'lru_sort/enabled')),
                ('6.12', ('stat/enabled', 'reclaim/addr_unit'), ('reclaim/skip_anon',)),
                ('6.18', ('lru_sort/active_mem_bp',), ('stat/aggr_interval_us', 'reclaim/addr_unit')),
                ('7.2', (), ('stat/kdamond_pid', 'reclaim/autotune_monitoring_intervals'))):
            with Mount('abi=' + abi, 'log=error') as mount:
                for names, exist in ((missing, False), (there, True)):
                    for name in names:
                        module, file = name.split('/')
                        path = '%s/modules/damon_%s/parameters/%s' % (mount.dir, module, file)
                        self.assertEqual(os.path.exists(path), exist, (abi, name))


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for the numbers of frames')
class Runs(Modules):
    def monitor(self, module, start, end, **values):
        self.set(module, monitor_region_start=start, monitor_region_end=end, sample_interval=5000 * SLOWER,
                 aggr_interval=100000 * SLOWER, **{**ALWAYS, **values})

    def test_what_is_refused(self):
        with self.frames('--size', '32M', '--hot', '4M', '--at', '24M', '--kind', 'huge') as (_, start, end):
            for module in ('reclaim', 'lru_sort'):
                self.monitor(module, start, end)
                for name, bad in (('aggr_interval', 0), ('sample_interval', 200000 * SLOWER),
                                  ('min_nr_regions', 2), ('max_nr_regions', 9), ('monitor_region_start', end + 1)):
                    good = self.get(module, name)
                    self.set(module, **{name: bad})
                    self.assertEqual(self.refuses(module, 'enabled', 'Y'), errno.EINVAL, (module, name))
                    self.assertEqual(self.get(module, 'enabled'), 'N')
                    self.set(module, **{name: good})
            self.set('lru_sort', active_mem_bp=10002)
            self.assertEqual(self.refuses('lru_sort', 'enabled', 'Y'), errno.EINVAL)

    def test_one_at_a_time(self):
        with self.frames('--size', '32M', '--hot', '4M', '--at', '24M', '--kind', 'huge') as (workload, start, end):
            for module in ('reclaim', 'lru_sort'):
                self.monitor(module, start, end, min_age=2 ** 60) if module == 'reclaim' else \
                    self.monitor(module, start, end, cold_min_age=2 ** 60)
            kdamond, = self.mount.kdamonds(1)
            kdamond.target(workload.pid)
            for module, other in (('reclaim', 'lru_sort'), ('lru_sort', 'reclaim')):
                self.set(module, enabled='Y')
                self.set(module, enabled='Y')
                self.assertEqual(self.get(module, 'enabled'), 'Y')
                pid = int(self.get(module, 'kdamond_pid'))
                self.assertIn('kdamond', read('/proc/%d/comm' % pid))
                self.assertEqual(self.refuses(other, 'enabled', 'Y'), errno.EBUSY)
                self.assertEqual(self.get(other, 'enabled'), 'N')
                self.assertEqual(error_of(lambda: kdamond.state('on')), errno.EBUSY)
                self.set(module, enabled='N')
                self.set(module, enabled='N')
                self.assertEqual((self.get(module, 'enabled'), self.get(module, 'kdamond_pid')), ('N', '-1'))
            kdamond.state('on')
            for module in ('reclaim', 'lru_sort'):
                self.assertEqual(self.refuses(module, 'enabled', 'Y'), errno.EBUSY)
            kdamond.state('off')
            self.set('reclaim', enabled='Y')
            # It ends with the daemon, too.

    def test_lru_sort(self):
        with self.frames('--size', '32M', '--hot', '4M', '--at', '24M', '--kind', 'huge') as (workload, start, end):
            self.monitor('lru_sort', start, end, cold_min_age=100000 * SLOWER, quota_ms=1000)
            self.set('lru_sort', enabled='Y')
            self.assertTrue(until(lambda: int(self.get('lru_sort', 'bytes_lru_sorted_cold_regions')) >= end - start,
                                  20 * SLOWER), self.get('lru_sort', 'bytes_lru_sort_tried_cold_regions'))
            self.assertEqual(self.get('lru_sort', 'nr_lru_sort_tried_hot_regions'), '0')
            with open('/proc/kpageflags', 'rb', 0) as f:
                f.seek(start // PAGE * 8)
                self.assertFalse(int.from_bytes(f.read(8), 'little') >> KPF_ACTIVE & 1)
            # Counters stay, and go on.
            self.set('lru_sort', enabled='N')
            tried = int(self.get('lru_sort', 'nr_lru_sort_tried_cold_regions'))
            self.assertGreater(tried, 0)
            self.set('lru_sort', enabled='Y')
            self.assertTrue(until(lambda: int(self.get('lru_sort', 'nr_lru_sort_tried_cold_regions')) > tried,
                                  20 * SLOWER))
            self.set('lru_sort', enabled='N')
            self.assertTrue(page_flags(workload, workload.hot_start, workload.hot_start + PAGE))

    def test_reclaim_and_commit_inputs(self):
        with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, \
                self.frames('--kind', 'file', '--file', directory + '/memory', '--size', '64M', '--hot', '8M', '--at',
                            '48M') as (workload, start, end):
            subprocess.run(['sync', directory + '/memory'], check=True)

            def resident():
                return sum(min(e, end) - max(s, start) for s, e in
                           frames_of(workload, workload.start, workload.hot_start) if s < end and e > start)

            # What is in use, or not old enough, stays.
            self.monitor('reclaim', start, end, min_age=3600 * 1000000)
            self.set('reclaim', enabled='Y')
            time.sleep(SLOWER)
            self.assertEqual(resident(), end - start)
            self.assertEqual(self.get('reclaim', 'nr_reclaim_tried_regions'), '0')
            self.set('reclaim', min_age=100000 * SLOWER)
            time.sleep(SLOWER)
            self.assertEqual(resident(), end - start, 'parameters are read when they are committed')
            # Bad ones are not taken, which this version does not tell.
            self.set('reclaim', min_nr_regions=2, commit_inputs='Y')
            self.assertEqual((self.get('reclaim', 'enabled'), self.get('reclaim', 'commit_inputs')), ('Y', 'N'))
            self.set('reclaim', min_nr_regions=10, commit_inputs='Y')
            self.assertTrue(until(lambda: resident() < (end - start) / 2, 20 * SLOWER), resident())
            self.assertTrue(until(lambda: int(self.get('reclaim', 'bytes_reclaimed_regions')) > 0, 5 * SLOWER))
            self.set('reclaim', enabled='N')
            self.set('reclaim', commit_inputs='Y')
            self.assertEqual(self.get('reclaim', 'commit_inputs'), 'Y', 'it stays until it runs')

    def test_users_may_not(self):
        os.chmod(self.mount.dir, 0o755)
        path = self.path('reclaim', 'enabled')
        os.chown(path, OWNER, OWNER)
        done = subprocess.run([*as_user(OWNER), 'sh', '-c', 'echo Y > "$1"', 'sh', path], stderr=subprocess.PIPE,
                              text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.get('reclaim', 'enabled'), 'N')


class Newer(Modules):
    abi = '7.2'

    def test_commits_while_off(self):
        self.assertEqual(self.refuses('reclaim', 'commit_inputs', 'Y'), errno.ECANCELED)
        self.assertEqual(self.get('reclaim', 'commit_inputs'), 'N')


@unittest.skipUnless(EMULATED, 'MISSING: a machine of our own, whose memory is all watched (tests/vm)')
class AllOfMemory(Modules):
    METHOD = 'auto'

    def test_stat(self):
        with Workload('--size', '256M', '--hot', '64M', '--at', '64M', *RESTS):
            self.set('stat', enabled='Y')
            self.assertTrue(until(lambda: self.get('stat', 'estimated_memory_bandwidth') != '0', 60))
            percentiles = [int(n) for n in self.get('stat', 'memory_idle_ms_percentiles').split(',')]
            self.assertEqual(percentiles, sorted(percentiles))
            self.assertEqual(len(percentiles), 101)
            self.assertGreater(percentiles[100], 0)
            self.assertGreaterEqual(int(self.get('stat', 'aggr_interval_us')), 100000)
            self.set('stat', enabled='N')
            self.assertNotEqual(self.get('stat', 'estimated_memory_bandwidth'), '0', 'it stays')

    def test_default_region(self):
        self.set('reclaim', min_age=2 ** 60, enabled='Y')
        start, end = (int(self.get('reclaim', 'monitor_region_' + name)) for name in ('start', 'end'))
        self.assertGreater(end - start, 256 * MIB)
        with open('/proc/iomem') as f:
            self.assertTrue(any('%08x-%08x : System RAM' % (start, end) in line for line in f))
        self.set('reclaim', enabled='N')


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to make a mount namespace')
class Executing(unittest.TestCase):
    def run_in(self, script, *options):
        return subprocess.run([DAMONFS, 'exec', *options, '--', 'sh', '-c', script], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)

    def test_where_tools_look(self):
        done = self.run_in('cat /sys/module/damon_reclaim/parameters/quota_sz; ls /sys/module | wc -l; '
                           'cat /sys/module/damon_stat/parameters/enabled')
        self.assertEqual(done.returncode, 0, done.stderr)
        quota, modules, enabled = done.stdout.split()
        self.assertEqual((quota, enabled), ('134217728', 'N'))
        # The others are still there.
        self.assertGreaterEqual(int(modules), len(os.listdir('/sys/module')))


if __name__ == '__main__':
    unittest.main()
