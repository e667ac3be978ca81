# SPDX-License-Identifier: GPL-2.0-or-later
"""Rounds in the kernel, of a daemon that is killed, or stopped, while its kdamond sleeps; what they need."""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from damon import HAVE_YOUNG, RESTS, Mount, Workload, read, until

BPFTOOL = shutil.which('bpftool', path=os.environ['PATH'] + ':/usr/sbin')


def timers():
    """The maps of timers in the kernel, anybody's."""
    maps = json.loads(subprocess.run([BPFTOOL, '-j', 'map', 'list'], capture_output=True, text=True,
                                     check=True).stdout)
    return {m['id'] for m in maps if m.get('name') == 'timers'}


def newer_than(major, minor):
    return tuple(int(n) for n in os.uname().release.split('.')[:2]) >= (major, minor)


@unittest.skipUnless(os.geteuid() == 0 and BPFTOOL, 'MISSING: root and bpftool')
@unittest.skipUnless(newer_than(6, 10), 'MISSING: Linux 6.10, whose timers can look up tasks')
class Ticks(unittest.TestCase):
    def watch(self, mount, workload):
        """A kdamond that leaves its rounds for half a second."""
        kdamond, = mount.kdamonds(1)
        kdamond.target(workload.pid)
        kdamond.attrs(sample=20000, aggr=500000)
        kdamond.stat_scheme()
        kdamond.state('on')
        return kdamond

    def test_nothing_of_a_killed_daemon_ticks_on(self):
        before = timers()
        with Workload('--size', '32M', '--hot', '4M', '--at', '8M', '--access', 'none') as workload, \
                Mount('log=debug', 'method=young') as mount:
            self.watch(mount, workload)
            self.assertIn('rounds are made by a timer', mount.logged())
            time.sleep(1)
            ours = timers() - before
            self.assertTrue(ours)
            mount.close(signal.SIGKILL)
            self.assertTrue(until(lambda: not ours & timers(), 10))

    def test_a_stopped_daemon_goes_on(self):
        with Workload('--size', '32M', '--hot', '4M', '--at', '8M', *RESTS) as workload, \
                Mount('log=info', 'method=young') as mount:
            kdamond = self.watch(mount, workload)
            pid = kdamond.pid()
            time.sleep(1)
            # Who makes the rounds that the timer leaves, and who answers.
            for number in (signal.SIGSTOP, signal.SIGCONT):
                mount.process.send_signal(number)
                os.kill(pid, number)
                time.sleep(3 if number == signal.SIGSTOP else 0)
            before = kdamond.stat('nr_tried')
            self.assertTrue(until(lambda: kdamond.stat('nr_tried') > before, 10))
            self.assertEqual(kdamond.state(), 'on')

            def hot():
                return sum(e - s for s, e, nr, _ in kdamond.snapshot() if nr >= 12) / (4 << 20)

            self.assertTrue(until(lambda: 0.9 < hot() < 1.1, 30), hot())
            self.assertEqual(mount.close(), 0)


def maps_of(pid):
    """The BPF maps that a process has, by their descriptors; others come and go."""
    found = set()
    for path in glob.glob('/proc/%d/fdinfo/*' % pid):
        with contextlib.suppress(FileNotFoundError):
            found.update(map(int, re.findall(r'\nmap_id:\s+(\d+)', read(path))))
    return found


@unittest.skipUnless(HAVE_YOUNG, 'MISSING: the method young')
class Slots(unittest.TestCase):
    """What a kdamond has in the kernel takes two waits for all processors to make, so some is kept."""

    def setUp(self):
        self.mount = Mount('log=info', 'method=young')
        self.addCleanup(self.mount.close)
        workload = Workload('--size', '4M', '--hot', '1M', '--at', '1M', '--pause', '1000')
        self.addCleanup(workload.close)
        self.kdamonds = self.mount.kdamonds(20)
        for kdamond in self.kdamonds:
            kdamond.target(workload.pid)

    def turn(self, kdamonds, command):
        for kdamond in kdamonds:
            kdamond.state(command)
        return maps_of(self.mount.process.pid)

    def test_is_used_again(self):
        first = self.turn(self.kdamonds[:3], 'on')
        self.assertEqual(self.turn(self.kdamonds[:3], 'off'), first)
        self.assertEqual(self.turn(self.kdamonds[3:6], 'on'), first)
        self.assertGreater(self.turn(self.kdamonds[:3], 'on'), first)

    def test_no_more_than_some_are_kept(self):
        unused = self.turn(self.kdamonds[:1], 'on')
        most = self.turn(self.kdamonds[1:], 'on')
        each = (len(most) - len(unused)) / 19
        kept = self.turn(self.kdamonds, 'off')
        self.assertEqual(len(most) - len(kept), 4 * each)
        self.assertLess(kept, most)
