# SPDX-License-Identifier: GPL-2.0-or-later
"""Who abuses a mount in tests/soak: threads, each of which does one kind of thing to it until it is told to stop."""
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from client import SOON, Client
from damon import MIB, Workload, children_of, until, write

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'vm'))
# pylint: disable=wrong-import-position
from differential_sysfs import Steps, Tree, difference, prepare  # noqa: E402

SAMPLES = 20                                # in an aggregation
QUOTA = {'quotas/bytes': 4 * MIB, 'quotas/reset_interval_ms': 500}
COLD = {'access_pattern/nr_accesses/max': 0}
HOT = {'access_pattern/nr_accesses/min': SAMPLES // 4}
# What schemes do, and to which regions.
SCHEMES = {'stat': {}, 'pageout': {**COLD, **QUOTA}, 'cold': {**COLD, **QUOTA}, 'willneed': {**COLD, **QUOTA},
           'lru_prio': HOT, 'lru_deprio': COLD, 'hugepage': {**HOT, **QUOTA}, 'nohugepage': {**COLD, **QUOTA}}


def set_schemes(kdamond, actions):
    write(kdamond.context + '/schemes/nr_schemes', len(actions))
    for i, action in enumerate(actions):
        values = {'access_pattern/%s/max' % name: 2 ** 64 - 1 for name in ('sz', 'nr_accesses', 'age')}
        for name, value in {**values, **SCHEMES[action], 'action': action}.items():
            write('%s/schemes/%d/%s' % (kdamond.context, i, name), value)


class Worker(threading.Thread):
    """Takes turns until STOP, each PAUSE seconds after the last."""

    pause = 0.005
    shared = False

    def __init__(self, name, ledger, seed):
        super().__init__(name=name, daemon=True)
        self.ledger = ledger
        self.client = Client(name, ledger, self.shared)
        self.rng = random.Random('%s of %d' % (name, seed))
        self.stop = threading.Event()

    def begin(self):
        pass

    def turn(self):
        raise NotImplementedError

    def end(self):
        pass

    def run(self):
        self.attempt(self.begin)
        while not self.stop.wait(self.rng.uniform(0, 2 * self.pause)):
            self.attempt(self.turn)
        self.attempt(self.end)

    def attempt(self, what):
        try:
            what()
        # Whatever it is, it goes on.
        except Exception:                   # pylint: disable=broad-exception-caught
            self.client.doing = None
            self.fail(traceback.format_exc())

    def fail(self, text):
        self.ledger.fail('%s: %s' % (self.name, text))


def tried_regions(client, scheme):
    """[(start, end, nr_accesses)]; those that go meanwhile are left out."""
    regions = []
    for name in client.names(scheme + '/tried_regions'):
        if not name.isdigit():
            continue
        # By its descriptor: soon another one may have the name.
        with contextlib.suppress(OSError):
            fd = os.open('%s/tried_regions/%s' % (scheme, name), os.O_PATH | os.O_DIRECTORY)
            try:
                texts = [client.read(file, fd, shared=True)
                         for file in ('start', 'end', 'nr_accesses', 'sz_filter_passed')]
            finally:
                os.close(fd)
            if not any(text.startswith('E') for text in texts):
                regions.append(tuple(int(text) for text in texts))
    return sorted(regions)


def covered(regions):
    """Bytes of sorted REGIONS, each once."""
    size, last = 0, 0
    for start, end, *_ in regions:
        size += max(0, end - max(start, last))
        last = max(last, end)
    return size


def odd_regions(regions, start, end):
    """Those that cannot be, of a target that is watched from START to END."""
    return [r for r in regions if not start <= r[0] < r[1] <= end or r[2] > SAMPLES or r[3] > r[1] - r[0]]


class Watcher(Worker):
    """A kdamond, and a workload that it watches and acts on, which checks its memory."""

    pause = 0.05

    def __init__(self, name, ledger, seed, kdamond, kind, actions):
        super().__init__(name, ledger, seed)
        self.kdamond, self.kind, self.actions = kdamond, kind, actions
        self.state = kdamond.path + '/state'
        self.applied = {}                   # the most bytes that were seen, by action
        self.workload = None                # while its kdamond is set up for it
        self.turns = [self.look] * 24 + [self.stats] * 16 + [self.configure] * 24 + [self.is_on] * 16 + \
                     [self.commit] * 16 + [self.move] * 4 + [self.restart] * 4 + [self.replace]

    def begin(self):
        with self.client.during('sets up'):
            workload = Workload('--kind', self.kind, '--check', '--size', '64M', '--hot', '16M', '--at', '16M',
                                '--step', '24M', '--pause', '5000')
            self.set_up(workload)
        self.workload = workload
        self.command('on')

    def set_up(self, workload):
        self.kdamond.target(workload.pid)
        self.kdamond.attrs(aggr=5000 * SAMPLES, update=1 << 40)
        self.kdamond.regions((workload.start, workload.end))
        set_schemes(self.kdamond, self.actions)

    def turn(self):
        if not self.workload:               # what failed has been told
            self.begin()
        self.check_target()
        self.rng.choice(self.turns)()

    def end(self):
        self.command('off')
        self.close(self.workload)

    def command(self, word):
        """WORD is carried out, however often the daemon dies meanwhile."""
        wanted = {'on': 'on\n', 'off': 'off\n'}.get(word)
        deadline = time.monotonic() + SOON
        answer = self.client.write(self.state, word)
        while answer and not (wanted and self.client.read(self.state) == wanted):
            # It is on again soon, if not at once.
            if self.ledger.since_death() > SOON or time.monotonic() > deadline:
                self.fail('%s: %s' % (word, answer))
                return False
            time.sleep(0.05)
            answer = self.client.write(self.state, word)
        return True

    def is_on(self):
        def seen():
            return self.client.read(self.state) == 'on\n'
        self.ledger.check(seen() or self.ledger.since_death() < SOON and until(seen, SOON), self.name + ': is off')

    def look(self):
        deaths = self.ledger.deaths
        if not self.command('update_schemes_tried_regions'):
            return
        regions = tried_regions(self.client, self.kdamond.scheme)
        odd = odd_regions(regions, self.workload.start, self.workload.end)
        self.ledger.check(not odd, '%s: odd regions %s' % (self.name, odd))
        # All of its memory, if they were not lost.
        if deaths == self.ledger.deaths and self.ledger.since_death() > 1:
            total = int(self.client.read(self.kdamond.scheme + '/tried_regions/total_bytes'))
            # What a later scheme cut off is visited again.
            whole = covered(regions) == self.workload.end - self.workload.start and \
                total == sum(r[1] - r[0] for r in regions)
            self.ledger.check(whole or deaths != self.ledger.deaths,
                              '%s: regions of %d bytes in all: %s' % (self.name, total, regions))

    def stats(self):
        self.command('update_schemes_stats')
        for i, action in enumerate(self.actions):
            deaths = self.ledger.deaths
            base = '%s/schemes/%d/stats/' % (self.kdamond.context, i)
            tried, applied = ([int(self.client.read(base + unit + what)) for unit in ('nr', 'sz')]
                              for what in ('_tried', '_applied'))
            self.ledger.check(deaths != self.ledger.deaths or tried >= applied and tried[1] >= applied[1],
                              '%s: %s tried %s, applied %s' % (self.name, action, tried, applied))
            self.applied[action] = max(self.applied.get(action, 0), applied[1])

    def configure(self):
        path = self.kdamond.scheme + '/watermarks/high'
        number = str(self.rng.randrange(1 << 32))
        if not self.client.write(path, number):
            text = self.client.read(path)
            self.ledger.check(text == number + '\n', '%s: wrote %s, read %r' % (self.name, number, text))

    def commit(self):
        self.command('commit')

    def restart(self):
        self.command('off')
        self.command('on')

    def move(self):
        with self.client.during('moves'):
            self.workload.move()

    def replace(self):
        """Another target, after this one's end, sudden or not."""
        with self.client.during('replaces its target'):
            workload, self.workload = self.workload, None
            if self.rng.random() < 0.5:
                workload.process.kill()
                workload.process.wait()
                workload.process.stdout.close()
            else:
                self.close(workload)
        gone = until(lambda: self.client.read(self.state) == 'off\n', SOON)
        self.ledger.check(gone, self.name + ': is on without a target')
        self.begin()

    def check_target(self):
        status = self.workload.process.poll()
        if not self.ledger.check(status is None, '%s: its target ended: status %s, %s' % (
                self.name, status, status is not None and self.workload.process.stdout.read())):
            self.begin()

    def close(self, workload):
        """It looks at all of its memory first."""
        workload.close()
        status = workload.process.returncode
        self.ledger.check(status == 0, '%s: its target ended with status %s' % (self.name, status))


# Forks, executes programs, itself too, and exits.
RESTLESS = '''i=0; while [ $i -lt 20 ]; do sleep 0.01 || exit 9; i=$((i + 1)); done
[ "$1" -gt 0 ] || exit 0; exec sh -c "$0" "$0" $(($1 - 1))'''


def restless(rng):
    return subprocess.Popen(['sh', '-c', RESTLESS, RESTLESS, str(rng.randrange(4))])


class Restless(Worker):
    """A kdamond whose targets fork, exec and exit all the time, or are killed."""

    pause = 0.1
    allowed = (0, -signal.SIGKILL)

    def __init__(self, name, ledger, seed, kdamond):
        super().__init__(name, ledger, seed)
        self.kdamond = kdamond
        self.targets = []

    def begin(self):
        with self.client.during('sets up'):
            self.targets = [restless(self.rng) for _ in range(3)]
            self.set_up()

    def set_up(self):
        self.kdamond.target(*(t.pid for t in self.targets))
        self.kdamond.attrs(sample=2000, aggr=20000, update=20000)
        set_schemes(self.kdamond, ('stat', 'hugepage', 'pageout', 'nohugepage'))

    def turn(self):
        for i, target in enumerate(self.targets):
            if self.rng.random() < 0.05:
                target.kill()
            status = target.poll()
            if status is None:
                continue
            self.ledger.check(status in self.allowed, '%s: a target ended with status %d' % (self.name, status))
            self.targets[i] = restless(self.rng)
            self.client.write('%s/targets/%d/pid_target' % (self.kdamond.context, i), str(self.targets[i].pid))
        self.client.write(self.kdamond.path + '/state', self.rng.choice(['on'] * 4 + ['commit'] * 4 + ['off'] + [
            'update_schemes_stats', 'update_schemes_tried_regions', 'update_tuned_intervals']))

    def end(self):
        for target in self.targets:
            status = target.wait(6 * SOON)
            self.ledger.check(status in self.allowed, '%s: a target ended with status %d' % (self.name, status))


class OwnSteps(Steps):
    """Those of the differential test, but for physical memory, which is everybody's."""

    def value(self, path, running):
        while True:
            text = super().value(path, running)
            if not text.startswith('paddr'):
                return text


class CheckedTree(Tree):
    def __init__(self, base, client):
        super().__init__(base)
        self.client = client

    def write(self, name, text):
        return self.client.write(os.path.join(self.base, name), text)

    def read(self, name):
        return self.client.read(os.path.join(self.base, name))


class Chaos(Worker):
    """The differential test's steps on a kdamond that is its own: what was written, and nothing else, is there."""

    def __init__(self, name, ledger, seed, kdamond):
        super().__init__(name, ledger, seed)
        self.kdamond = kdamond
        self.place = tempfile.mkdtemp(prefix='damonfs-soak-')
        os.symlink(kdamond.path, self.place + '/0')
        self.tree = CheckedTree(self.place, self.client)
        self.targets, self.pids = [], []
        self.steps = OwnSteps(self.rng, self.pids)
        self.files, self.used, self.number = {}, False, 0

    def begin(self):
        self.targets = [subprocess.Popen(['sleep', '100000']) for _ in range(3)]
        self.pids[:] = [t.pid for t in self.targets]
        self.fresh()

    def fresh(self):
        self.tree.write('0/state', 'off')
        prepare(self.tree, self.pids[0])
        self.files, self.used = self.tree.files('0'), False

    def turn(self):
        self.number += 1
        if self.number % 50 == 0:
            self.nothing_else()
        if self.rng.random() < 0.02:
            self.fresh()
        if self.rng.random() < 0.005:
            self.replace()
        running = self.files['0/state'][1] == 'on\n'
        self.used |= running
        name, text = self.steps.next(self.files, running, self.used)
        self.step(name, text or ' ')

    def step(self, name, text):
        before = self.files[name]
        answer = self.tree.write(name, text)
        directory, base = os.path.split(name)
        if base.startswith('nr_'):
            self.tree.list_again(self.files, directory)
        self.tree.look_again(self.files, [name, '0/state', '0/pid'])
        after = self.files.get(name)
        if base == 'state' or self.shared:
            return
        if answer:
            same = after == before or base.startswith('nr_') and answer == 'ENOMEM'
            self.ledger.check(same, '%s: %r to %s is %s, but it has %s, not %s' %
                              (self.name, text, name, answer, after, before))
        elif after[1] and text.isdigit() and text[0] != '0' and text != '1':
            self.ledger.check(after[1] == text + '\n', '%s: %r to %s is there as %r' % (self.name, text, name, after))

    def nothing_else(self):
        shown = [self.files, self.tree.files('0')]
        for files in shown:
            for name in '0/state', '0/pid':
                files.pop(name)
        different = difference(shown)
        self.ledger.check(not different, '%s: what was written, what is there:\n%s' %
                          (self.name, '\n'.join(different[:10])))
        self.files = self.tree.files('0')

    def replace(self):
        i = self.rng.randrange(len(self.targets))
        self.targets[i].kill()
        self.targets[i].wait()
        self.targets[i] = subprocess.Popen(['sleep', '100000'])
        self.pids[i] = self.targets[i].pid

    def end(self):
        for target in self.targets:
            self.ledger.check(target.poll() is None, '%s: a target ended: %s' % (self.name, target.returncode))
            target.kill()
            target.wait()
        os.unlink(self.place + '/0')
        os.rmdir(self.place)


class SharedChaos(Chaos):
    """The same on a kdamond that another one has, too."""

    shared = True

    def turn(self):
        # What it knows is old.
        try:
            super().turn()
        except (KeyError, ValueError, FileNotFoundError):
            self.look()

    def look(self):
        with contextlib.suppress(FileNotFoundError):
            self.files = self.tree.files('0')

    def fresh(self):
        self.tree.write('0/state', 'off')
        prepare(self.tree, self.pids[0])
        self.used = False
        self.look()

    def nothing_else(self):
        self.look()


class Reader(Worker):
    """Reads any file of all kdamonds, and the tried regions of those that are watched."""

    shared = True
    pause = 0.002

    def __init__(self, name, ledger, seed, admin, watchers):
        super().__init__(name, ledger, seed)
        self.admin, self.watchers = admin, watchers
        self.paths = []

    def turn(self):
        if not self.paths or self.rng.random() < 0.002:
            self.walk()
        if self.rng.random() < 0.01:
            self.look(self.rng.choice(self.watchers))
        self.client.read(self.rng.choice(self.paths))

    def walk(self):
        self.paths = []
        for place, _, names in os.walk(self.admin):
            # Each step is an operation.
            self.client.doing = (time.monotonic(), 'walks on from ' + place)
            self.paths += [os.path.join(place, name) for name in names]
        self.client.doing = None

    def look(self, watcher):
        before = watcher.workload
        regions = tried_regions(self.client, watcher.kdamond.scheme)
        if before and before is watcher.workload:
            odd = odd_regions(regions, before.start, before.end)
            self.ledger.check(not odd, '%s: odd regions %s' % (self.name, odd))


class Killer(Worker):
    """Kills the daemon, stops it, or kills the one that stands by."""

    pause = 1

    def __init__(self, name, ledger, seed, mount):
        super().__init__(name, ledger, seed)
        self.mount = mount
        self.outages = []
        self.stops = self.standbys = 0
        self.serves = mount.daemon()
        self.turns = [self.kill] * 6 + [self.pause_it] * 2 + [self.kill_paused, self.kill_standby]

    def turn(self):
        self.check()
        self.rng.choice(self.turns)()

    def check(self):
        """The daemon is the one that was there after the last kill."""
        daemon = self.mount.daemon()
        if not self.ledger.check(daemon == self.serves, 'the daemon %d ended by itself' % self.serves):
            self.serves = daemon

    def kill(self):
        self.ledger.death()
        began = time.monotonic()
        os.kill(self.serves, signal.SIGKILL)
        self.client.read(self.mount.admin + '/kdamonds/nr_kdamonds')
        self.outages.append(time.monotonic() - began)
        self.ledger.back()
        self.serves = self.mount.daemon()

    def pause_it(self):
        self.stops += 1
        os.kill(self.serves, signal.SIGSTOP)
        time.sleep(self.rng.uniform(0, 1))
        os.kill(self.serves, signal.SIGCONT)

    def kill_paused(self):
        self.stops += 1
        os.kill(self.serves, signal.SIGSTOP)
        time.sleep(self.rng.uniform(0, 1))
        self.kill()

    def kill_standby(self):
        others = [pid for pid in children_of(self.mount.process.pid) if pid != self.serves]
        for pid in others:
            self.standbys += 1
            os.kill(pid, signal.SIGKILL)
