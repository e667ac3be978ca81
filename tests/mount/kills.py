#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills the daemon of a mount with -o survive, again and again, under those who use it.

    DAMONFS_BUILD=BUILD python3 tests/mount/kills.py [KILLS] [SEED]

Three kdamonds watch two workloads; two threads read and write files; a shell has its working directory in
the mount, another one a bind mount in a namespace of its own, and one file stays open.  Half a second and more
after each other, so many SIGKILLs (200).  Prints how long nobody was answered, how soon the hot memory was
found again, and 'N passed, M failed' (a kill is a test); exit status 1 if one failed.
"""
import contextlib
import os
import random
import statistics
import subprocess
import sys
import threading
import time

from damon import Workload, read, until, write
from test_survival import BOUND, Survivor, configuration, found

SHELL = ('sh', '-c', 'cd "$0" && exec sh')


class Clients:
    """Who uses the mount all the time; what went wrong for them is in failures."""

    def __init__(self, mount, kdamonds):
        self.failures, self.operations, self.longest = [], 0, 0
        self.stop = threading.Event()
        self.path = kdamonds[2].context
        self.threads = [threading.Thread(target=self.use, args=(work,)) for work in (self.configure, self.look)]
        self.shells = [self.shell(SHELL, kdamonds[0].context), self.shell(BOUND, mount.admin)]
        self.open = os.open(kdamonds[1].context + '/operations', os.O_RDONLY)

    def shell(self, words, place):
        return subprocess.Popen([*words, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def configure(self):
        number = str(self.operations % 1000)
        write(self.path + '/schemes/0/quotas/ms', number)
        if read(self.path + '/schemes/0/quotas/ms') != number:
            self.failures.append('%s was written, but is not there' % number)

    def look(self):
        read(self.path + '/operations')

    def use(self, work):
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                work()
            except OSError as e:
                self.failures.append('%s: %s' % (work.__name__, e))
            self.operations += 1
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.002)

    def ask(self):
        """The shells and the open file, once."""
        for shell, file, answer in zip(self.shells, ('operations', 'kdamonds/0/state'), ('vaddr\n', 'on\n')):
            shell.stdin.write('cat %s\n' % file)
            shell.stdin.flush()
            if shell.stdout.readline() != answer:
                self.failures.append('%s in a shell' % file)
        if os.pread(self.open, 100, 0) != b'vaddr\n':
            self.failures.append('an open file')

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        for shell in self.shells:
            shell.communicate('')
        os.close(self.open)


def kill(mount, kdamonds, clients, big, look_for_it):
    """Return: seconds until somebody was answered, and until the hot memory was found, or None."""
    mount.kill()
    began = time.monotonic()
    kdamonds[0].state()
    down = time.monotonic() - began
    if any(kdamond.state() != 'on' for kdamond in kdamonds):
        clients.failures.append('a kdamond is off')
    clients.ask()
    if not look_for_it:
        return down, None
    if not until(lambda: found(kdamonds[0], big), 10):
        clients.failures.append('hot memory is not found')
    return down, time.monotonic() - began


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    passed, downs, founds = 0, [], []
    with contextlib.ExitStack() as stack:
        mount = stack.enter_context(Survivor())
        big = stack.enter_context(
            Workload('--size', '256M', '--hot', '32M', '--at', '96M', '--pause', '2000'))
        small = stack.enter_context(Workload('--size', '64M', '--hot', '8M', '--at', '8M', '--pause', '5000'))
        kdamonds = mount.kdamonds(3)
        for kdamond, workload in zip(kdamonds, (big, small, big)):
            kdamond.target(workload.pid)
            kdamond.stat_scheme()
            kdamond.attrs()
            kdamond.regions((workload.start, workload.end))
            kdamond.state('on')
        before = configuration(mount.admin)
        with Clients(mount, kdamonds) as clients:
            for i in range(number):
                time.sleep(rng.uniform(0.5, 0.7))
                failures = len(clients.failures)
                down, seconds = kill(mount, kdamonds, clients, big, i % 20 == 0)
                downs.append(down)
                founds += [seconds] if seconds else []
                passed += len(clients.failures) == failures
        write(kdamonds[2].scheme + '/quotas/ms', 0)
        if configuration(mount.admin) != before:
            clients.failures.append('the configuration differs')
        print('\n'.join(clients.failures[:20]), end='\n' if clients.failures else '')
        print('nobody was answered for %.0f ms at the median, %.0f at most; %d operations, the longest %.0f ms; '
              'hot memory found again after %.1f s at most' %
              (statistics.median(downs) * 1000, max(downs) * 1000, clients.operations, clients.longest * 1000,
               max(founds)))
    print('%d passed, %d failed' % (passed, max(number - passed, bool(clients.failures))))
    sys.exit(bool(clients.failures))


if __name__ == '__main__':
    main()
