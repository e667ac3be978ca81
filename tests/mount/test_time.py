# SPDX-License-Identifier: GPL-2.0-or-later
"""Time in which kdamonds do not run, or do not run enough: nothing bursts afterwards, and the log says it."""
import contextlib
import os
import re
import signal
import time
import unittest

from damon import EMULATED, HAVE_YOUNG, MIB, RESTS, Kdamond, OneKdamond, Workload, read, tries, write

AGGREGATION = 0.1
WINDOW = 0.2
MISSED = re.compile(r'kdamond\.0: took no samples for ([0-9.]+) s \((\d+) intervals\)')


def run_time(pid):
    """Seconds that PID has run."""
    return int(read('/proc/%d/schedstat' % pid).split()[0]) / 1e9


@contextlib.contextmanager
def busy(seconds, cpus, priority=0):
    """A process on each of CPUS that never rests, with a real-time PRIORITY or none; ends after SECONDS."""
    children = []
    try:
        for cpu in cpus:
            pid = os.fork()
            if not pid:
                with contextlib.suppress(BaseException):
                    end = time.monotonic() + seconds
                    os.sched_setaffinity(0, {cpu})
                    if priority:
                        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
                    while time.monotonic() < end:
                        pass
                os._exit(0)
            children.append(pid)
        yield
    finally:
        for pid in children:
            os.waitpid(pid, 0)


@unittest.skipUnless(HAVE_YOUNG, 'MISSING: root and BTF (/sys/kernel/btf/vmlinux) for method young')
class Time(OneKdamond):
    options = ['log=info', 'method=young']

    def watch(self, *workloads):
        """Schemes for all of their memory, the second of them with a quota of 1 MiB."""
        kdamond, self.limited = self.kdamond, Kdamond(self.kdamond.path)
        self.limited.scheme = kdamond.context + '/schemes/1'
        kdamond.target(*[w.pid for w in workloads])
        kdamond.attrs()
        write(kdamond.context + '/schemes/nr_schemes', 2)
        for k in (kdamond, self.limited):
            for name in ('sz', 'nr_accesses', 'age'):
                k.set_scheme(**{'access_pattern__%s__max' % name: 2 ** 64 - 1})
        self.limited.set_scheme(quotas__bytes=MIB, quotas__reset_interval_ms=int(WINDOW * 1000))
        self.targets = len(workloads)
        kdamond.state('on')
        time.sleep(1)

    def stand_still(self, seconds, *pids):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    def figures(self):
        """Time, aggregations, bytes within quotas, and seconds that it ran."""
        aggregations = self.kdamond.stat('nr_snapshots') // self.targets
        return time.monotonic(), aggregations, self.limited.stat('sz_tried'), run_time(self.kdamond.pid())

    def check(self, what, lost=0, least=0.3):
        """That WHAT, of which LOST seconds do not count, leaves no burst behind."""
        before = self.figures()
        oldest = max(age for *_, age in self.kdamond.snapshot())
        what()
        time.sleep(1)
        regions = self.kdamond.snapshot()
        after = self.figures()
        elapsed, aggregations, size, ran = (b - a for a, b in zip(before, after))
        elapsed -= lost
        print('%d aggregations in %.2f s, %.1f MiB within quotas, ran for %.3f s' %
              (aggregations, elapsed, size / MIB, ran))
        self.assertLessEqual(aggregations, elapsed / AGGREGATION + 2)
        self.assertGreaterEqual(aggregations, elapsed / AGGREGATION * least - 2)
        self.assertLessEqual(size, (elapsed / WINDOW + 2) * MIB * 1.1)
        self.assertGreaterEqual(size, (elapsed / WINDOW * least - 2) * MIB)
        self.assertLess(ran, elapsed / 4)
        self.assertLessEqual(max(nr for _, _, nr, _ in regions), 20)
        self.assertLessEqual(max(age for *_, age in regions), oldest + aggregations + 1)

    def missed(self):
        """What the log says of each time that was missed: seconds, sampling intervals."""
        return [(float(s), int(n)) for s, n in MISSED.findall(self.mount.logged())]

    def stop_each(self):
        kdamond = self.kdamond.pid()
        for who in ((self.mount.process.pid, kdamond), (kdamond,)):
            for seconds in (0.3, 1, 1.5):
                told = len(self.missed())
                self.check(lambda: self.stand_still(seconds, *who), seconds)
                missed = self.missed()[told:]
                if seconds < 0.5:
                    continue
                self.assertEqual(len(missed), 1, missed)
                # A timer may have made the rounds to the end of the aggregation.
                self.assertTrue(seconds - 0.2 < missed[0][0] < seconds + 0.3, missed)
                self.assertAlmostEqual(missed[0][1] * 0.005, missed[0][0], delta=0.06)

    @tries(3)
    def test_stopped_while_a_timer_makes_the_rounds(self):
        with Workload('--size', '64M', '--hot', '8M', '--at', '16M', *RESTS) as workload:
            self.watch(workload)
            self.stop_each()

    @tries(3)
    def test_stopped_in_rounds_of_its_own(self):
        arguments = ('--size', '32M', '--hot', '4M', '--at', '8M', '--pause', '1000')
        with Workload(*arguments) as one, Workload(*arguments) as two:
            self.watch(one, two)
            self.stop_each()

    @tries(3)
    def test_a_stopped_daemon_stops_no_kdamond(self):
        with Workload('--size', '64M', '--hot', '8M', '--at', '16M', *RESTS) as workload:
            self.watch(workload)
            self.check(lambda: self.stand_still(2, self.mount.process.pid))
            self.assertEqual(self.missed(), [])

    @tries(3)
    def test_what_is_touched_now_and_then_does_not_become_hot(self):
        """Memory that is touched every 0.6 s is seen in one sample, not in all that were missed."""
        arguments = ('--size', '32M', '--hot', '4M', '--at', '8M', '--pause', '600000')
        with Workload(*arguments) as one, Workload(*arguments) as two:
            self.watch(one, two)
            self.kdamond.set_scheme(access_pattern__nr_accesses__min=8)
            self.kdamond.set(schemes__0__access_pattern__sz__min=MIB)
            self.kdamond.state('commit')
            time.sleep(0.5)
            before = self.kdamond.stat('sz_tried')
            for i in range(6):
                self.stand_still(0.8, self.kdamond.pid())
                time.sleep(0.31 + 0.01 * i)
            self.assertEqual(self.kdamond.stat('sz_tried') - before, 0)

    @tries(3)
    def test_busy_processors(self):
        cpus = sorted(os.sched_getaffinity(0))
        with Workload('--size', '64M', '--hot', '8M', '--at', '16M', '--pause', '1000') as workload:
            self.watch(workload)

            def load():
                with busy(2, cpus * 2):
                    pass

            self.check(load)

    @tries(3)
    def test_processors_busy_in_real_time(self):
        cpus = sorted(os.sched_getaffinity(0))
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        except PermissionError:
            self.skipTest('MISSING: the right to real-time priorities')
        with Workload('--size', '64M', '--hot', '8M', '--at', '16M', '--pause', '1000') as workload:
            self.watch(workload)

            def hog():
                with busy(0.9, cpus, 50):
                    pass

            self.check(hog)
            print('missed: %s' % self.missed())

    @unittest.skipUnless(EMULATED, 'MISSING: a machine whose clock may be set: a guest of tests/vm')
    def test_steps_of_the_clock(self):
        with Workload('--size', '64M', '--hot', '8M', '--at', '16M', *RESTS) as workload:
            self.watch(workload)

            def step():
                for days in (1, -2, 365, -364, 1, -1):
                    time.clock_settime(time.CLOCK_REALTIME, time.time() + days * 86400)
                    time.sleep(0.3)

            self.check(step)
            self.assertEqual(self.missed(), [])
