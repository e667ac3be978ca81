# SPDX-License-Identifier: GPL-2.0-or-later
"""A session with a mount in which each step is tried with every fault."""
import os
import time

from fault import SORTS, Control, FaultyMount, Wrong, answer_of, difference, dump, sleeper

LONG = bool(os.environ.get('LONG'))
# Of a step; what works in the background never ends.
MOST = 3000
SECONDS = 30


class Step:
    """DO is tried after PREPARE; PARTLY are ways to what may be there besides when it fails, as in the kernel."""

    def __init__(self, name, prepare, do, partly=(), masked=(), allowed=()):
        self.name, self.prepare, self.do, self.partly = name, prepare, do, partly
        self.masked, self.allowed = masked, allowed


class Session:
    def __init__(self, name, *options, uid=None):
        self.name, self.options, self.uid = name, options, uid
        self.control = Control()
        self.mount = None
        self.faults = 0
        self.passed = 0
        self.failures = []

    def alive(self):
        if self.mount.process.poll() is not None:
            raise Wrong('the daemon ended with %d' % self.mount.process.returncode)

    def dump(self, masked=()):
        return dump(self.mount.dir, masked)

    def one(self, step, sort, error, number, before, after, partly):
        """Return: whether a fault was met."""
        step.prepare()
        if self.dump(step.masked) != before:
            raise Wrong('the way back: ' + difference(self.dump(step.masked), before))
        self.control.arm(sort, error, number)
        answer = answer_of(step.do)
        failed = self.control.disarm()
        self.alive()
        if answer and answer not in (error, *SORTS[sort][2], *step.allowed):
            raise Wrong('it answered ' + answer)
        if answer and not failed:
            raise Wrong('it answered %s without a fault' % answer)
        now = self.dump(step.masked)
        if not answer and now != after:
            raise Wrong('it succeeded, but: ' + difference(now, after))
        if answer and now != before and now not in partly:
            raise Wrong('it answered %s, but: %s' % (answer, difference(now, before)))
        # It may have come about by itself: there is nothing to do again.
        if answer and now != after:
            again = answer_of(step.do)
            self.alive()
            if again or self.dump(step.masked) != after:
                raise Wrong('after %s, again: %s %s' %
                            (answer, again, difference(self.dump(step.masked), after)))
        return failed

    def try_step(self, step):
        began, before_it = time.monotonic(), self.faults
        self.try_sorts(step)
        if os.environ.get('VERBOSE'):
            print('%s: %s: %d faults in %.1f s' % (self.name, step.name, self.faults - before_it,
                                                   time.monotonic() - began), flush=True)

    def try_sorts(self, step):
        step.prepare()
        before = self.dump(step.masked)
        partly = []
        for way in step.partly:
            way()
            partly.append(self.dump(step.masked))
            step.prepare()
        step.do()
        after = self.dump(step.masked)
        for sort, (_, errors, _) in SORTS.items():
            for error in errors:
                # The short run takes one errno of each sort.
                if not LONG and error != errors[len(step.name) % len(errors)]:
                    continue
                self.try_sort(step, sort, error, before, after, partly)

    def try_sort(self, step, sort, error, before, after, partly):
        number, began = 1, time.monotonic()
        if os.environ.get('VERBOSE'):
            print('   ', sort, error, flush=True)
        while number <= MOST and time.monotonic() < began + SECONDS:
            try:
                self.alive()
                failed = self.one(step, sort, error, number, before, after, partly)
            except (Wrong, OSError) as e:
                self.control.disarm()
                if self.mount.process.poll() is None:
                    time.sleep(.5)
                self.failures.append('%s: %s: %s %s, number %d: %s' %
                                     (self.name, step.name, sort, error, number, e))
                print('FAILED ' + self.failures[-1], flush=True)
                if self.mount.process.poll() is not None:
                    print(self.mount.logged()[-1500:])
                if self.mount.process.poll() is not None or len(self.failures) > 60:
                    raise Wrong('it goes on no more') from e
                failed = True
            else:
                self.passed += 1
            self.faults += failed
            if not failed:
                return
            # Short: all of the first ten, then fewer and fewer.
            number += 1 if LONG or number < 4 else number // 2

    def run(self):
        began = time.monotonic()
        self.mount = FaultyMount(self.control, *self.options)
        try:
            with self.mount:
                with sleeper(user=self.uid, group=self.uid) as process:
                    self.session(process.pid)
                status = self.mount.close()
                if status:
                    raise Wrong('it ended with %s' % status)
        except Wrong as e:
            if not self.failures or str(e) not in self.failures[-1]:
                self.failures.append('%s: %s' % (self.name, e))
                print('FAILED ' + self.failures[-1])
        if self.failures:
            print(self.mount.logged()[-3000:])
        print('%s: %d faults in %.0f s' % (self.name, self.faults, time.monotonic() - began), flush=True)

    def session(self, pid):
        steps = self.steps(pid)
        self.end(steps)
        self.warm_up(steps)
        first = self.settled()
        for step in steps:
            self.try_step(step)
        self.end(steps)
        last = self.settled()
        # The allocator keeps what it has had; the same again must not take more.
        for _ in range(3):
            self.warm_up(steps)
        self.end(steps)
        again = self.settled()
        print('%s: descriptors %d %d %d, threads %d %d %d, kB %d %d %d' %
              ((self.name,) + tuple(x for i in range(3) for x in (first[i], last[i], again[i]))))
        if last[0] > first[0] + 2 or last[1] > first[1]:
            self.failures.append('%s: it leaks descriptors or threads: %s' % (self.name, self.open_files()))
        if again[0] > last[0] or again[1] > last[1]:
            self.failures.append('%s: it leaks descriptors or threads without faults' % self.name)
        if last[2] > first[2] + 8192 or again[2] > last[2] + 1024:
            self.failures.append('%s: it leaks memory' % self.name)

    def open_files(self):
        base = '/proc/%d/fd/' % self.mount.process.pid
        return [os.readlink(base + fd) for fd in os.listdir(base)]

    def settled(self):
        time.sleep(.3)
        return self.mount.state()

    def warm_up(self, steps):
        for step in steps:
            step.prepare()
            answer_of(step.do)

    def end(self, steps):
        """Nothing is left of the session."""
        steps[0].prepare()
