# SPDX-License-Identifier: GPL-2.0-or-later
"""What Linux 7.1 and 7.2 added, by their documents: pause, goal tuners, the charge of failures, probes."""
import errno
import os
import stat
import subprocess
import sys
import time
import unittest

from damon import EMULATED, MIB, PAGE, RESTS, Mount, OneKdamond, Workload, error_of, memory_cgroup, read, until, write
from test_paddr import frames_of

SLOWER = 10 if EMULATED else 1
# Has 32 MiB of small pages where huge ones can be.
HOLDER = '''
import ctypes, mmap, sys
memory = mmap.mmap(-1, 34 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory[::4096] = bytes([1]) * (34 << 8)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
print(start + (2 << 20) - 1 & ~((2 << 20) - 1), flush=True)
sys.stdin.read()
'''
SMALL = ['--size', '32M', '--hot', '4M', '--at', '8M', *RESTS]


class Next(OneKdamond):
    options = ['log=info', 'abi=7.2']

    def watch(self, workload, least=10):
        self.kdamond.target(workload.pid)
        self.kdamond.attrs(sample=5000 * SLOWER, aggr=100000 * SLOWER, update=1000000 * SLOWER, least=least)
        self.kdamond.stat_scheme()


class Files(Next):
    def check(self, path, mode, fresh, good, bad):
        """BAD is what the file answers each of these texts."""
        path = '%s/%s' % (self.kdamond.context, path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), mode, path)
        self.assertEqual(read(path), fresh, path)
        for text in good:
            write(path, text)
            self.assertEqual(read(path), text, path)
        for text, error in bad.items():
            self.assertEqual(error_of(lambda: write(path, text)), error, (path, text))
            self.assertEqual(read(path), good[-1], path)

    def test_each(self):
        self.kdamond.target(os.getpid())
        self.kdamond.stat_scheme()
        probes = 'monitoring_attrs/probes/'
        quotas = 'schemes/0/quotas/'
        self.check(probes + 'nr_probes', 0o600, '0', ['1', '4'],
                   {'5': errno.EINVAL, '-1': errno.EINVAL, 'x': errno.EINVAL})
        self.check(probes + '3/filters/nr_filters', 0o600, '0', ['2'], {'-1': errno.EINVAL})
        for name in ('matching', 'allow'):
            self.check(probes + '3/filters/1/' + name, 0o600, 'N', ['Y', 'N'], {'x': errno.EINVAL})
        self.check(probes + '3/filters/1/type', 0o600, 'anon', ['memcg', 'anon'], {'young': errno.EINVAL})
        self.check(probes + '3/filters/1/path', 0o600, '', ['/a/b'], {})
        self.check('pause', 0o600, 'N', ['Y', 'N'], {'x': errno.EINVAL})
        self.check(quotas + 'goal_tuner', 0o600, 'consist', ['temporal', 'consist'], {'x': errno.EINVAL})
        for name in ('fail_charge_num', 'fail_charge_denom'):
            self.check(quotas + name, 0o600, '0', ['4294967295', '7'],
                       {'4294967296': errno.EINVAL, '-1': errno.EINVAL, 'x': errno.EINVAL})
        write(self.kdamond.scheme + '/action', 'collapse')
        write(quotas_of(self) + 'goals/nr_goals', 1)
        write(quotas_of(self) + 'goals/0/target_metric', 'node_eligible_mem_bp')

    def test_older_kernels_have_none(self):
        with Mount('abi=7.0', 'log=error') as mount:
            kdamond, = mount.kdamonds(1)
            kdamond.target(os.getpid())
            kdamond.stat_scheme()
            for path in ('pause', 'monitoring_attrs/probes', 'schemes/0/quotas/goal_tuner',
                         'schemes/0/quotas/fail_charge_num'):
                self.assertFalse(os.path.exists('%s/%s' % (kdamond.context, path)), path)
            self.assertEqual(error_of(lambda: write(kdamond.scheme + '/action', 'collapse')), errno.EINVAL)


def quotas_of(test):
    return test.kdamond.scheme + '/quotas/'


class State(Next):
    def test_off_again(self):
        with Workload(*SMALL) as workload:
            self.watch(workload)
            self.assertEqual(error_of(lambda: self.kdamond.state('off')), errno.EINVAL)
            self.kdamond.state('on')
            self.kdamond.state('off')
            self.kdamond.state('off')
            self.assertEqual(error_of(lambda: self.kdamond.state('update_schemes_stats')), errno.ECANCELED)

    def test_what_on_refuses(self):
        with Workload(*SMALL) as workload:
            self.watch(workload)
            mark = self.kdamond.context + '/targets/0/obsolete_target'
            write(mark, 'Y')
            self.assertEqual(error_of(lambda: self.kdamond.state('on')), errno.EINVAL)
            write(mark, 'N')
            self.kdamond.set_scheme(quotas__goals__nr_goals=1, quotas__goals__0__target_value=1,
                                    quotas__goals__0__target_metric='node_eligible_mem_bp')
            self.assertEqual(error_of(lambda: self.kdamond.state('on')), errno.EINVAL)
            self.kdamond.set_scheme(quotas__goals__0__target_metric='user_input')
            self.kdamond.set(monitoring_attrs__probes__nr_probes=1,
                             monitoring_attrs__probes__0__filters__nr_filters=1,
                             monitoring_attrs__probes__0__filters__0__type='memcg',
                             monitoring_attrs__probes__0__filters__0__path='/no/such/group')
            self.assertEqual(error_of(lambda: self.kdamond.state('on')), errno.EINVAL)
            self.kdamond.set(monitoring_attrs__probes__nr_probes=0)
            self.kdamond.state('on')

    def test_tried_regions_have_even_numbers(self):
        with Workload(*SMALL) as workload:
            self.watch(workload)
            self.kdamond.state('on')
            seen = len(self.kdamond.snapshot())
            names = sorted(int(n) for n in os.listdir(self.kdamond.scheme + '/tried_regions') if n.isdigit())
            self.assertEqual(names, list(range(0, 2 * seen, 2)))

    def test_the_least_number_of_regions_is_enforced(self):
        with Workload('--size', '64M', '--hot', '4M', '--at', '8M', '--access', 'none', *RESTS) as workload:
            self.watch(workload, least=100)
            self.kdamond.state('on')
            # All of it is alike, and is merged again and again.
            for _ in range(20):
                time.sleep(0.05 * SLOWER)
                regions = self.kdamond.snapshot()
                self.assertGreaterEqual(len(regions), 100)
                total = sum(r[1] - r[0] for r in regions)
                limit = (total // 100 + PAGE - 1) // PAGE * PAGE
                self.assertLessEqual(max(r[1] - r[0] for r in regions), limit)


class Pause(Next):
    def pause(self, flag):
        write(self.kdamond.context + '/pause', flag)
        self.kdamond.state('commit')

    def test_nothing_goes_on(self):
        with Workload(*SMALL) as workload:
            self.watch(workload)
            self.kdamond.state('on')
            self.assertTrue(until(lambda: max(r[3] for r in self.kdamond.snapshot()) > 5, 20 * SLOWER))
            age = max(r[3] for r in self.kdamond.snapshot())
            self.pause('Y')
            self.assertEqual(self.kdamond.state(), 'on')
            tried = self.kdamond.stat('nr_tried')
            began = time.monotonic()
            self.assertEqual(error_of(lambda: self.kdamond.state('update_schemes_tried_regions')),
                             errno.ECANCELED)
            self.assertLess(time.monotonic() - began, SLOWER)
            time.sleep(SLOWER)
            self.assertEqual(self.kdamond.stat('nr_tried'), tried)
            self.pause('N')
            # What was learnt is still known.
            self.assertGreaterEqual(max(r[3] for r in self.kdamond.snapshot()), age)
            self.assertGreater(self.kdamond.stat('nr_tried'), tried)
            self.pause('Y')
            self.kdamond.state('off')
            self.assertEqual(self.kdamond.state(), 'off')

    def test_from_the_start(self):
        with Workload(*SMALL) as workload:
            self.watch(workload)
            write(self.kdamond.context + '/pause', 'Y')
            self.kdamond.state('on')
            time.sleep(0.5 * SLOWER)
            self.assertEqual(self.kdamond.stat('nr_tried'), 0)
            self.pause('N')
            self.assertTrue(until(lambda: self.kdamond.stat('nr_tried') > 0, 5 * SLOWER))
            # Nor does it outlive its process.
            self.pause('Y')
            workload.process.kill()
            workload.process.wait()
            self.assertTrue(until(lambda: self.kdamond.state() == 'off', 5 * SLOWER))


class Quotas(Next):
    def effective(self):
        self.kdamond.state('update_schemes_effective_quotas')
        return int(read(quotas_of(self) + 'effective_bytes'))

    def test_temporal(self):
        with Workload(*SMALL) as workload:
            self.watch(workload)
            self.kdamond.set_scheme(quotas__bytes=8 * MIB, quotas__reset_interval_ms=100 * SLOWER,
                                    quotas__goal_tuner='temporal', quotas__goals__nr_goals=1,
                                    quotas__goals__0__target_value=10000, quotas__goals__0__current_value=1)
            self.kdamond.state('on')
            time.sleep(SLOWER)
            # Far from the goal, all that is allowed at once; having reached it, nothing.
            self.assertEqual(self.effective(), 8 * MIB)
            self.kdamond.set_scheme(quotas__goals__0__current_value=10000)
            self.kdamond.state('commit')
            self.assertTrue(until(lambda: self.effective() == 0, 5 * SLOWER))
            tried = self.kdamond.stat('nr_tried')
            time.sleep(SLOWER)
            self.assertEqual(self.kdamond.stat('nr_tried'), tried, 'an empty quota is a quota')
            self.assertGreater(self.kdamond.stat('qt_exceeds'), 0)
            # The other tuner starts at a byte from there.
            self.kdamond.set_scheme(quotas__goal_tuner='consist', quotas__goals__0__current_value=1)
            self.kdamond.state('commit')
            time.sleep(0.3 * SLOWER)
            self.assertLess(self.effective(), 8 * MIB)

    def tried_in_windows(self, workload, num, denom):
        """Bytes that `stat', which does nothing, tried in a window of 1 MiB that was used up, of 20."""
        self.watch(workload)
        self.kdamond.set_scheme(quotas__bytes=MIB, quotas__reset_interval_ms=100 * SLOWER,
                                quotas__fail_charge_num=num, quotas__fail_charge_denom=denom)
        self.kdamond.state('on')
        self.assertTrue(until(lambda: self.kdamond.stat('qt_exceeds') > 2, 10 * SLOWER))
        windows, tried = self.kdamond.stat('qt_exceeds'), self.kdamond.stat('sz_tried')
        self.assertTrue(until(lambda: self.kdamond.stat('qt_exceeds') >= windows + 20, 20 * SLOWER))
        tried, windows = self.kdamond.stat('sz_tried') - tried, self.kdamond.stat('qt_exceeds') - windows
        self.kdamond.state('off')
        return tried / windows

    def test_failures_are_charged_in_part(self):
        with Workload(*SMALL) as workload:
            self.assertAlmostEqual(self.tried_in_windows(workload, 1, 0) / MIB, 1, delta=0.3)
            self.assertAlmostEqual(self.tried_in_windows(workload, 1, 4) / MIB, 4, delta=1.2)
            self.assertAlmostEqual(self.tried_in_windows(workload, 2, 1) / MIB, 0.75, delta=0.3)

    def test_collapse(self):
        # As process_madvise does it: what is there becomes huge pages.
        with subprocess.Popen([sys.executable, '-c', HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            start = int(process.stdout.readline())
            self.kdamond.target(process.pid, operations='fvaddr')
            # As madvise(), it would stop at memory that cannot have huge pages.
            self.kdamond.regions((start, start + 32 * MIB))
            # Regions that are larger than a huge page.
            self.kdamond.attrs(least=3)
            self.kdamond.stat_scheme()
            self.kdamond.set_scheme(action='collapse')
            self.kdamond.state('on')

            def huge():
                with open('/proc/%d/smaps_rollup' % process.pid) as f:
                    return sum(int(line.split()[1]) for line in f if line.startswith('AnonHugePages:'))

            self.assertTrue(until(lambda: huge() >= 8 * 1024, 20 * SLOWER), huge())
            process.stdin.close()


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for the numbers of frames')
class Probes(Next):
    METHOD = os.environ.get('DAMONFS_PADDR_METHOD', 'young')

    @property
    def options(self):
        return ['log=info', 'abi=7.2', 'method=' + self.METHOD]

    def probe(self, number, *filters):
        base = '%s/monitoring_attrs/probes/%d/filters/' % (self.kdamond.context, number)
        write(base + 'nr_filters', len(filters))
        for i, values in enumerate(filters):
            for name, value in values.items():
                write('%s%d/%s' % (base, i, name), value)

    def hits(self):
        """The mean share of checks in which each probe hit, over all regions, by bytes."""
        self.kdamond.state('update_schemes_tried_regions')
        base = self.kdamond.scheme + '/tried_regions'
        sums, total = {}, 0
        for name in os.listdir(base):
            if not name.isdigit():
                continue
            size = int(read('%s/%s/end' % (base, name))) - int(read('%s/%s/start' % (base, name)))
            total += size
            for probe in os.listdir('%s/%s/probes' % (base, name)):
                hits = int(read('%s/%s/probes/%s/hits' % (base, name, probe)))
                sums[int(probe)] = sums.get(int(probe), 0) + hits / 20 * size
        return [sums[p] / total for p in sorted(sums)]

    def test_what_sampled_pages_are(self):
        with memory_cgroup() as (_, path), Workload('--kind', 'huge', *SMALL) as workload:
            self.kdamond.target(0, operations='paddr')
            self.kdamond.regions(*frames_of(workload, workload.start, workload.end))
            self.kdamond.attrs(sample=5000 * SLOWER, aggr=100000 * SLOWER)
            self.kdamond.stat_scheme()
            write(self.kdamond.context + '/monitoring_attrs/probes/nr_probes', 4)
            self.probe(0, {'type': 'anon', 'matching': 'Y', 'allow': 'Y'})
            self.probe(1, {'type': 'anon', 'matching': 'Y', 'allow': 'N'})
            self.probe(2, {'type': 'memcg', 'path': path, 'matching': 'Y', 'allow': 'Y'})
            self.kdamond.state('on')
            time.sleep(SLOWER)
            anonymous, others, grouped, any_page = self.hits()
            # The last sample of an aggregation may come after the snapshot.
            self.assertGreater(anonymous, 0.85)
            self.assertEqual(others, 0)
            self.assertEqual(grouped, 0, 'it is in another cgroup')
            self.assertGreater(any_page, 0.85)
            # A commit replaces the filters.
            write(self.kdamond.context + '/monitoring_attrs/probes/nr_probes', 2)
            self.probe(0, {'type': 'anon', 'matching': 'Y', 'allow': 'N'})
            self.kdamond.state('commit')
            time.sleep(SLOWER)
            self.assertEqual(self.hits()[0], 0)
            self.assertGreater(self.hits()[1], 0.85)
            self.kdamond.state('off')


if __name__ == '__main__':
    unittest.main()
