# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults until damonfs serves."""
import os
import subprocess
import time

from damon import read, until
from fault import SORTS, FaultyMount, Wrong, answer_of, sleeper
from session import LONG, MOST, Session


def is_mounted(directory):
    """Also if nobody serves it any more, which os.path.ismount() does not see."""
    with open('/proc/self/mounts') as f:
        return any(line.split()[1] == directory for line in f)


class Later:
    """A mount that is known also when it does not come about."""

    def __init__(self, kind, *arguments):
        self.mount, self.kind, self.arguments = kind.__new__(kind), kind, arguments

    def begin(self):
        self.mount.__init__(*self.arguments)

    def __getattr__(self, name):
        return getattr(self.mount, name)


class Starts(Session):
    """damonfs mounts and serves, or ends with a line that says why and leaves no mount."""

    def run(self):
        began = time.monotonic()
        for sort, (_, errors, _) in SORTS.items():
            for error in errors if LONG else errors[-1:]:
                self.try_all(sort, error)
        print('%s: %d faults in %.0f s' % (self.name, self.faults, time.monotonic() - began), flush=True)

    def try_all(self, sort, error):
        number = 1
        while number <= MOST:
            try:
                failed = self.start(sort, error, number)
                self.passed += 1
            except Wrong as e:
                self.failures.append('%s: %s %s, number %d: %s' % (self.name, sort, error, number, e))
                print('FAILED ' + self.failures[-1], flush=True)
                failed = True
            self.faults += failed
            if not failed:
                return
            number += 1 if LONG or number < 5 else number // 2

    def start(self, sort, error, number):
        self.control.arm(sort, error, number)
        return self.outcome(Later(FaultyMount, self.control, *self.options), self.control.disarm)

    def outcome(self, mount, met=lambda: True):
        """Of MOUNT, which is not started yet.  Return: whether a fault was met until it was mounted."""
        log = None
        try:
            mount.begin()
        except RuntimeError as e:
            log = str(e)
        failed = met()
        if log is not None:
            left, status = is_mounted(mount.dir), mount.close()
            if left:
                subprocess.run(['umount', '-l', mount.dir], check=True)
                os.rmdir(mount.dir)
            if not log.split('ended: ', 1)[1]:
                raise Wrong('it ended with %s without a word' % status)
            if left:
                raise Wrong('a mount is left: ' + log)
            if not status:
                raise Wrong('it ended as if nothing were wrong: ' + log)
            return failed
        try:
            if not os.path.ismount(mount.dir):
                raise Wrong('it neither mounts nor ends')
            # Who mounts may still end before it serves, and says so.
            answer = answer_of(lambda: read(mount.admin + '/kdamonds/nr_kdamonds'))
            if not answer:
                self.works(mount)
            else:
                until(lambda: mount.process.poll() is not None, 5)
                if not mount.process.poll() or not mount.logged():
                    raise Wrong('it does not serve: %s %s' % (answer, mount.logged()))
                until(lambda: not is_mounted(mount.dir), 2)
                if is_mounted(mount.dir):
                    subprocess.run(['umount', '-l', mount.dir], check=True)
                    raise Wrong('it ended and left its mount: ' + mount.logged())
        finally:
            status = mount.close()
        if not answer and status:
            raise Wrong('it served, and then ended with %s: %s' % (status, mount.logged()))
        return failed


    def works(self, mount):
        """It can do what it could without a fault."""
        with sleeper() as process:
            kdamond, = mount.kdamonds(1)
            kdamond.target(process.pid)
            answers = [answer_of(kdamond.state, word) for word in ('on', 'off')]
            if any(answers):
                raise Wrong('it mounts, but on, off: %s: %s' % (answers, mount.logged()))
