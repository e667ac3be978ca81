# SPDX-License-Identifier: GPL-2.0-or-later
"""What damo does: its sequences of operations by ourselves, and damo itself where $DAMO names one."""
import os
import re
import subprocess
import tempfile
import time
import unittest

from damon import DAMONFS, MIB, WORKLOAD, Mount, Workload, hot_regions, overlap, read, tries, until, write

MANY = 2 ** 64 - 1
DAMO = os.environ.get('DAMO')

# What damo stages, in its order: files below the context, without the monitored process.
STAGED = [
    ('operations', 'vaddr'),
    ('monitoring_attrs/intervals/sample_us', 5000),
    ('monitoring_attrs/intervals/aggr_us', 100000),
    ('monitoring_attrs/intervals/update_us', 1000000),
    ('monitoring_attrs/intervals/intervals_goal/access_bp', 0),
    ('monitoring_attrs/intervals/intervals_goal/aggrs', 0),
    ('monitoring_attrs/intervals/intervals_goal/min_sample_us', 0),
    ('monitoring_attrs/intervals/intervals_goal/max_sample_us', 0),
    ('monitoring_attrs/nr_regions/min', 10),
    ('monitoring_attrs/nr_regions/max', 1000),
    ('targets/nr_targets', 1),
]
# The largest that it writes: none may be refused.
SCHEME = [
    ('access_pattern/sz/min', 0),
    ('access_pattern/sz/max', MANY),
    ('access_pattern/nr_accesses/min', 0),
    ('access_pattern/nr_accesses/max', 3689348814741910528),
    ('access_pattern/age/min', 0),
    ('access_pattern/age/max', 184467440737095),
    ('action', 'stat'),
    ('dests/nr_dests', 0),
    ('quotas/ms', 0),
    ('quotas/bytes', 0),
    ('quotas/reset_interval_ms', MANY),
    ('quotas/weights/sz_permil', 0),
    ('quotas/weights/nr_accesses_permil', 0),
    ('quotas/weights/age_permil', 0),
    ('quotas/goals/nr_goals', 0),
    ('watermarks/metric', 'none'),
    ('watermarks/interval_us', 0),
    ('watermarks/high', 0),
    ('watermarks/mid', 0),
    ('watermarks/low', 0),
    ('target_nid', 0),
    ('core_filters/nr_filters', 0),
    ('ops_filters/nr_filters', 0),
    ('apply_interval_us', 0),
]


class Sequences(unittest.TestCase):
    def setUp(self):
        self.mount = Mount('log=info', 'abi=6.18')
        self.kdamonds = self.mount.admin + '/kdamonds/'
        self.context = self.kdamonds + '0/contexts/0/'

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)

    def stage(self, pid):
        if read(self.kdamonds + 'nr_kdamonds') != '1':
            write(self.kdamonds + 'nr_kdamonds', 1)
        write(self.kdamonds + '0/refresh_ms', 0)
        write(self.kdamonds + '0/contexts/nr_contexts', 1)
        for name, value in STAGED:
            write(self.context + name, value)
        write(self.context + 'targets/0/pid_target', pid)
        write(self.context + 'targets/0/regions/nr_regions', 0)

    def add_scheme(self):
        write(self.context + 'schemes/nr_schemes', 1)
        for name, value in SCHEME:
            write(self.context + 'schemes/0/' + name, value)

    def state(self, command):
        write(self.kdamonds + '0/state', command)

    def look(self):
        """A report of accesses: a scheme for the time being, and its tried regions."""
        self.add_scheme()
        for command in ('commit', 'update_schemes_stats', 'update_tuned_intervals',
                        'update_schemes_tried_regions'):
            self.state(command)
        base = self.context + 'schemes/0/tried_regions/'
        regions = [[int(read('%s%s/%s' % (base, name, file))) for file in
                    ('start', 'end', 'nr_accesses', 'age', 'sz_filter_passed')]
                   for name in sorted((n for n in os.listdir(base) if n.isdigit()), key=int)]
        self.assertEqual(sum(r[1] - r[0] for r in regions), int(read(base + 'total_bytes')))
        write(self.context + 'schemes/nr_schemes', 0)
        self.state('commit')
        return regions

    def test_features_are_found_on_a_stopped_tree(self):
        write(self.kdamonds + 'nr_kdamonds', 1)
        write(self.kdamonds + '0/contexts/nr_contexts', 1)
        for operations in ('paddr', 'vaddr', 'fvaddr'):
            write(self.context + 'operations', operations)
        write(self.context + 'targets/nr_targets', 1)
        write(self.context + 'schemes/nr_schemes', 1)
        for name, _ in STAGED + [('schemes/0/' + name, _) for name, _ in SCHEME]:
            self.assertTrue(os.path.isfile(self.context + name), name)
        # Of later kernels: absent, not present and dead.
        for name in ('pause', 'probes', 'obsolete_target', 'schemes/0/quotas/goal_tuner',
                     'schemes/0/stats/nr_snapshots', 'schemes/0/stats/max_nr_snapshots'):
            self.assertFalse(os.path.exists(self.context + name), name)

    @tries(3)
    def test_looks_leave_the_monitoring_as_it_is(self):
        with Workload('--size', '128M', '--hot', '16M', '--at', '32M') as workload:
            self.stage(workload.pid)
            self.state('on')
            time.sleep(3)
            ages = []
            for _ in range(3):
                regions = self.look()
                hot = hot_regions(regions)
                self.assertGreater(overlap(hot, workload.hot_start, workload.hot_end), 14 * MIB)
                # What was learnt survives commits: regions go on ageing.
                ages.append(max(r[3] for r in regions))
                time.sleep(0.5)
            self.assertGreater(ages[0], 10)
            self.assertEqual(ages, sorted(ages))
            self.state('off')
            self.assertEqual(read(self.kdamonds + '0/state'), 'off')

    def test_it_ends_by_itself_with_the_process(self):
        with Workload('--size', '16M', '--hot', '1M', '--at', '2M') as workload:
            self.stage(workload.pid)
            self.state('on')
            workload.process.terminate()
            workload.process.wait()
            self.assertTrue(until(lambda: read(self.kdamonds + '0/state') == 'off', 5))
        # It is asked once more; any answer but EINVAL, or one that says it is over, makes it ask for ever.
        with self.assertRaises(OSError) as e:
            self.state('update_tuned_intervals')
        self.assertIn(e.exception.errno, (22, 125))


# Guards itself: nothing may reach the machine's own DAMON.
GUARD = '[ "$(stat -f -c %T /sys/kernel/mm/damon)" = fuseblk ] || exit 99; '


@unittest.skipUnless(DAMO and not os.geteuid(), 'MISSING: DAMO, the path of a damo, and root')
class Damo(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory()
        self.workload = subprocess.Popen([WORKLOAD, '--size', '256M', '--hot', '32M', '--at', '96M'],
                                         stdout=subprocess.DEVNULL)

    def tearDown(self):
        self.workload.kill()
        self.workload.wait()
        self.home.cleanup()

    def run_damo(self, script):
        done = subprocess.run([DAMONFS, 'exec', '-o', 'sandbox=trap', '--', 'sh', '-ec', GUARD + script], text=True,
                              capture_output=True, check=False, cwd=self.home.name,
                              env=dict(os.environ, HOME=self.home.name,
                                       DAMO=os.path.abspath(DAMO), PID=str(self.workload.pid)))
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[-2000:])
        return done.stdout

    def test_features(self):
        out = self.run_damo('$DAMO features')
        for feature in ('sysfs/vaddr', 'sysfs/intervals_goal', 'sysfs/schemes_filters_core_ops_dirs',
                        'sysfs/refresh_ms', 'sysfs/addr_unit', 'trace/damon_aggregated'):
            self.assertIn(feature + ': Supported', out)

    @tries(3)
    def test_start_report_stop(self):
        out = self.run_damo('$DAMO start $PID; sleep 5; $DAMO report damon; '
                            '$DAMO report access --json; $DAMO stop; $DAMO report damon')
        self.assertIn('state: on', out)
        self.assertIn('age', out)

    @tries(3)
    def test_record_validate_and_report(self):
        out = self.run_damo('$DAMO record $PID --timeout 12 -o data; '
                            '$DAMO validate --input data && echo valid; '
                            '$DAMO report heatmap --input data > heatmap; '
                            '$DAMO report wss --input data')
        self.assertIn('valid', out)
        median = float(re.search(r'^ *50 +([0-9.]+) MiB', out, re.M)[1])
        self.assertTrue(28 < median < 36, median)
