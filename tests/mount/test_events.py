# SPDX-License-Identifier: GPL-2.0-or-later
"""The events damon:* in `damonfs exec', for an unmodified perf."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from damon import DAMONFS, EMULATED, RESTS, WORKLOAD, Mount, tries, until

UNTIL_6_18 = ['damon_aggregated', 'damon_monitor_intervals_tune', 'damos_before_apply', 'damos_esz']
ALL = UNTIL_6_18 + ['damos_stat_after_apply_interval']
AGGREGATED = re.compile(r' *kdamond\.0 +\d+ \[\d+\] +(\d+\.\d+): +damon:damon_aggregated: '
                        r'target_id=(\d+) nr_regions=(\d+) (\d+)-(\d+): (\d+) (\d+)')
BEFORE_APPLY = re.compile(r' *kdamond\.0 +\d+ \[\d+\] +\d+\.\d+: +damon:damos_before_apply: '
                          r'ctx_idx=0 scheme_idx=(\d+) target_idx=(\d+) nr_regions=(\d+) '
                          r'(\d+)-(\d+): (\d+) (\d+)')

# Watches a process of ours, and then does what it is told to.
WATCH = """
A=/sys/kernel/mm/damon/admin/kdamonds
[ "$(stat -f -c %%T /sys/kernel/mm/damon)" = fuseblk ] || exit 99
echo 1 > $A/nr_kdamonds && echo 1 > $A/0/contexts/nr_contexts && cd $A/0/contexts/0 || exit 1
echo 1 > targets/nr_targets && echo %d > targets/0/pid_target || exit 1
echo %d > monitoring_attrs/intervals/sample_us && echo %d > monitoring_attrs/intervals/aggr_us || exit 1
echo 1 > schemes/nr_schemes && cd schemes/0 || exit 1
for f in sz nr_accesses age; do echo 18446744073709551615 > access_pattern/$f/max || exit 1; done
echo 1 > access_pattern/nr_accesses/min
echo on > $A/0/state || exit 1
%s
"""


def has_events():
    if os.geteuid() or not os.path.isdir('/sys/kernel/tracing') or not shutil.which('perf'):
        return False
    with open('/proc/kallsyms') as f:
        return any(line.endswith(' uprobe_register\n') or ' uprobe_register' in line for line in f)


@contextlib.contextmanager
def tracefs():
    """Where the system's events are, seen from outside."""
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(['mount', '-t', 'tracefs', 'none', place], check=True)
        try:
            yield place
        finally:
            subprocess.run(['umount', place], check=True)


def left(pid):
    """The probes that the system has of that damonfs; others may be running."""
    with tracefs() as place, open(place + '/uprobe_events') as f:
        return [line for line in f if 'damonfs_%d_' % pid in line]


def run_exec(script, *options, **arguments):
    """Its output, and whether it left probes behind."""
    with subprocess.Popen([DAMONFS, 'exec', '-o', 'sandbox=trap', *options, '--', 'sh', '-c', script], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **arguments) as process:
        process.out, process.err = process.communicate()
        process.left = left(process.pid)
        return process


@unittest.skipUnless(has_events(), 'MISSING: root, tracefs, uprobes and perf')
class Events(unittest.TestCase):
    SLOWER = 10 if EMULATED else 1

    @contextlib.contextmanager
    def workload(self):
        with subprocess.Popen([WORKLOAD, '--size', '64M', '--hot', '8M', '--at', '16M', *RESTS],
                              stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process.pid
            finally:
                process.kill()

    def watch(self, pid, script):
        return WATCH % (pid, 5000 * self.SLOWER, 100000 * self.SLOWER, script)

    def test_events_are_those_of_the_kernel(self):
        for options, names in (((), ALL),
                               (('-o', 'abi=6.1'), ALL[:1]),
                               (('-o', 'abi=6.12'), [ALL[0], ALL[2]]),
                               (('-o', 'abi=6.18'), UNTIL_6_18)):
            done = run_exec('grep ^damon /sys/kernel/tracing/available_events; '
                            'ls /sys/kernel/tracing/events/damon; perf list "damon:*"', *options)
            lines = done.out.split('\n')
            self.assertEqual(sorted(lines[:len(names)]), ['damon:' + name for name in names],
                             done.err)
            self.assertEqual(lines[len(names):2 * len(names)], names)
            self.assertEqual(re.findall(r'^ *damon:(\w+) ', done.out, re.M), names)
            self.assertEqual(done.left, [])

    @tries(3)
    def test_perf_records_and_prints_regions(self):
        seconds = 2 * self.SLOWER
        with self.workload() as pid, tempfile.TemporaryDirectory() as place:
            data = place + '/perf.data'
            done = run_exec(self.watch(pid, """
                perf record -q -a -e damon:damon_aggregated,damon:damos_before_apply -o %s -- sleep %d
                perf script -i %s""" % (data, seconds, data)))
            inside = done.out
            # Later and elsewhere it is the same.
            outside = subprocess.run(['perf', 'script', '-i', data], capture_output=True, text=True,
                                     check=True).stdout
            self.assertEqual(inside, outside)
        self.assertEqual(done.left, [])
        events = [AGGREGATED.match(line).groups() for line in inside.split('\n')
                  if 'damon_aggregated' in line]
        self.assertGreater(len(events), 10, done.err)
        # The regions of an aggregation come together, as many as they say they are.
        rounds, i = 0, 0
        while i < len(events):
            nr = int(events[i][2])
            group = events[i:i + nr]
            if len(group) == nr and i:      # the first and the last may be cut off
                self.assertEqual({g[2] for g in group}, {str(nr)})
                bounds = [int(n) for g in group for n in g[3:5]]
                self.assertEqual(bounds, sorted(bounds))
            i += nr
            rounds += 1
        self.assertAlmostEqual(rounds, seconds / 0.1 / self.SLOWER, delta=8)
        hot = sum(int(e[4]) - int(e[3]) for e in events if int(e[5]) >= 10) / rounds
        self.assertAlmostEqual(hot / (8 << 20), 1, delta=0.5)
        tried = [BEFORE_APPLY.match(line).groups() for line in inside.split('\n')
                 if 'damos_before_apply' in line]
        self.assertGreater(len(tried), 0)
        for scheme, target, _, start, end, nr_accesses, age in tried:
            self.assertEqual((scheme, target), ('0', '0'))
            self.assertLess(int(start), int(end))
            self.assertTrue(1 <= int(nr_accesses) <= 20 and int(age) < 1000)

    @tries(3)
    def test_tuning_and_quotas_are_told(self):
        with self.workload() as pid, tempfile.TemporaryDirectory() as place:
            data = place + '/perf.data'
            done = run_exec(self.watch(pid, """
                cd ../../monitoring_attrs/intervals/intervals_goal
                echo 5000 > access_bp; echo 1 > aggrs
                echo 1000 > min_sample_us; echo 100000 > max_sample_us
                cd ../../../schemes/0 && echo cold > action; echo 100 > quotas/ms; echo 100 > quotas/reset_interval_ms
                perf record -q -a -e damon:damon_monitor_intervals_tune,damon:damos_esz -o %s -- \\
                    sh -c 'echo commit > %s/0/state; sleep %d'
                perf script -i %s""" %
                (data, '/sys/kernel/mm/damon/admin/kdamonds', 3 * self.SLOWER, data)))
        samples = re.findall(r' damon:damon_monitor_intervals_tune: sample_us=(\d+)\n', done.out)
        self.assertTrue(all(1000 <= int(us) <= 100000 for us in samples) and samples, done.err)
        self.assertRegex(done.out, r' damon:damos_esz: ctx_idx=0 scheme_idx=0 esz=\d+\n')

    @tries(3)
    def test_statistics_of_rounds_are_told(self):
        with self.workload() as pid, tempfile.TemporaryDirectory() as place:
            data = place + '/perf.data'
            done = run_exec(self.watch(pid, """
                perf record -q -a -e damon:damos_stat_after_apply_interval -o %s -- sleep %d
                perf script -i %s""" % (data, 2 * self.SLOWER, data)), '-o', 'abi=7.0')
        # The second sz_tried is what was applied: the kernel's own slip.
        stats = [[int(n) for n in m] for m in re.findall(
            r' damon:damos_stat_after_apply_interval: ctx_idx=0 scheme_idx=0 nr_tried=(\d+) '
            r'sz_tried=(\d+) nr_applied=(\d+) sz_tried=(\d+) sz_ops_filter_passed=(\d+) '
            r'qt_exceeds=(\d+) nr_snapshots=(\d+)\n', done.out)]
        self.assertGreater(len(stats), 10, done.err)
        self.assertEqual(stats, sorted(stats))
        self.assertLessEqual({b[6] - a[6] for a, b in zip(stats, stats[1:])}, {0, 1})
        self.assertGreater(stats[-1][1], 4 << 20)
        self.assertEqual({(s[2], s[3], s[4], s[5]) for s in stats}, {(0, 0, 0, 0)})

    def test_nobody_elses_are_seen(self):
        """Of two damonfs, each perf records its own."""
        with self.workload() as one, self.workload() as other:
            script = """
                perf record -q -a -e damon:damon_aggregated -o $D/$N -- sleep %d
                perf script -i $D/$N -F tid | sort -u | wc -l""" % self.SLOWER
            with tempfile.TemporaryDirectory() as place:
                both = [subprocess.Popen([DAMONFS, 'exec', '-o', 'sandbox=trap', '--', 'sh', '-c', self.watch(pid, script)],
                                         env=dict(os.environ, D=place, N=str(pid)),
                                         stdout=subprocess.PIPE, text=True) for pid in (one, other)]
                self.assertEqual([p.communicate()[0].strip() for p in both], ['1', '1'])
            self.assertEqual([left(p.pid) for p in both], [[], []])

    def test_nothing_outlives_it(self):
        home = tempfile.mkdtemp()
        for number, whom in ((signal.SIGKILL, 'daemon'), (signal.SIGKILL, 'command'),
                             (signal.SIGTERM, 'daemon'), (signal.SIGKILL, 'group')):
            process = subprocess.Popen([DAMONFS, 'exec', '-o', 'sandbox=trap', '--', 'sleep', '1000'],
                                       start_new_session=True, env=dict(os.environ, HOME=home))
            self.assertTrue(until(lambda: len(left(process.pid)) == len(ALL), 20))
            command = []
            until(lambda: command.extend(subprocess.run(
                ['pgrep', '-P', str(process.pid), 'sleep'], capture_output=True, text=True,
                check=False).stdout.split()) or command, 10)
            if whom == 'group':
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid if whom == 'daemon' else int(command[0]), number)
            process.wait(20)
            self.assertTrue(until(lambda: not left(process.pid), 10), (number, whom))
            self.assertTrue(until(lambda: not os.listdir(home), 5), os.listdir(home))
            with contextlib.suppress(OSError):
                os.kill(int(command[0]), signal.SIGKILL)
        os.rmdir(home)

    def test_at_a_mount_that_is_there(self):
        with Mount() as mount:
            done = run_exec('sleep 0.3; perf list "damon:*"; cat $D/*/format | grep -c "print fmt"',
                            '--at', mount.dir, env=dict(os.environ, D='/sys/kernel/tracing/events/damon'))
            self.assertEqual(re.findall(r'^ *damon:(\w+) ', done.out, re.M), ALL, done.err)
            self.assertTrue(until(lambda: not left(done.pid), 5))

    def test_what_was_left_enabled_goes(self):
        done = run_exec('echo 1 > /sys/kernel/tracing/events/damon/damon_aggregated/enable')
        self.assertEqual(done.returncode, 0, done.err)
        self.assertTrue(until(lambda: not left(done.pid), 5))

    def test_damo_has_a_file_of_its_own(self):
        with tempfile.TemporaryDirectory() as home:
            path = home + '/.damo.sysinfo'
            environment = dict(os.environ, HOME=home)
            run_exec('echo here > %s; cat %s' % (path, path), env=environment)
            self.assertTrue(until(lambda: not os.listdir(home), 5))
            with open(path, 'w') as f:
                f.write('theirs')
            done = run_exec('wc -c < %s; echo here > %s' % (path, path), env=environment)
            self.assertEqual(done.out.strip(), '0')
            time.sleep(0.2)
            with open(path) as f:
                self.assertEqual(f.read(), 'theirs')
            os.unlink(path)
            # One that ends while another goes on leaves that its own.
            script = 'sleep %d; echo here > ' + path
            both = [subprocess.Popen([DAMONFS, 'exec', '-o', 'sandbox=trap', '--', 'sh', '-c', script % seconds],
                                     env=environment) for seconds in (0, 2)]
            self.assertEqual([p.wait(20) for p in both], [0, 0])
            self.assertTrue(until(lambda: not os.listdir(home), 5), os.listdir(home))
