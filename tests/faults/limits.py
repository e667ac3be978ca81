# SPDX-License-Identifier: GPL-2.0-or-later
"""What damonfs has too little of: descriptors, memory, threads."""
import contextlib
import ctypes
import errno
import os
import resource
import signal
import subprocess
import time

from damon import DAMONFS, Mount, open_mount, read, write
from fault import Wrong, answer_of, sleeper
from session import LONG
from starts import Later, Starts, is_mounted


class LimitedAtStart(Mount):
    def __init__(self, kind, value, *options):
        self.kind, self.value = kind, value
        super().__init__(*options)

    def start(self, options, env):
        return subprocess.Popen([DAMONFS, '-f', *options, self.dir], stderr=self.log, env=env,
                                preexec_fn=lambda: resource.setrlimit(self.kind, (self.value, self.value)))


def answer_as(uid, do):
    """What answer_of() is for a process of UID."""
    pid = os.fork()
    if not pid:
        number = 255
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            # As after an execve(): whom nobody may look at cannot be told from a stranger.
            ctypes.CDLL(None).prctl(4, 1)
            signal.alarm(10)
            do()
            number = 0
        except OSError as e:
            number = e.errno
        finally:
            os._exit(number)
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return errno.errorcode.get(number, 'status %d' % number) if number else None


def count_threads(uid):
    number = 0
    for name in os.listdir('/proc'):
        with contextlib.suppress(OSError):
            if name.isdigit() and '\nUid:\t%d\t' % uid in read('/proc/%s/status' % name):
                number += len(os.listdir('/proc/%s/task' % name))
    return number


class UserMount(Mount):
    """A damonfs of the user UID, who may have MOST threads and processes; the mount is made for it."""

    def __init__(self, uid, most, *options):
        self.uid, self.most = uid, most
        super().__init__(*options)

    def start(self, options, env):
        fuse = open_mount(self.dir, 'user_id=%d' % self.uid, 'group_id=%d' % self.uid, 'allow_other')
        limit = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        process = subprocess.Popen(
            [DAMONFS, '-f', *options, '/dev/fd/%d' % fuse], stderr=self.log, env=env, pass_fds=[fuse],
            user=self.uid, group=self.uid, extra_groups=[],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (self.most, limit)))
        os.close(fuse)
        return process

    def close(self, number=signal.SIGTERM):
        """It may not take the mount away itself."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(30)
        if is_mounted(self.dir):
            subprocess.run(['umount', '-l', self.dir], check=True)
        os.rmdir(self.dir)
        return status


class Limits(Starts):
    def run(self):
        began = time.monotonic()
        cases = [(resource.RLIMIT_NOFILE, n) for n in range(3, 40)]
        cases += [(resource.RLIMIT_AS, n << 20) for n in range(4, 400, 4 if LONG else 24)]
        for kind, value in cases:
            self.check('at start, limit %d at %d' % (kind, value), lambda k=kind, v=value:
                       self.outcome(Later(LimitedAtStart, k, v, *self.options)))
        with sleeper() as process:
            for left in range(0, 24, 1 if LONG else 2):
                self.check('%d descriptors left' % left, lambda n=left: self.running(process.pid, n, None))
            for left in [n << 12 for n in range(0, 12000, 60 if LONG else 600)]:
                self.check('%d bytes left' % left, lambda n=left: self.running(process.pid, None, n))
        user = 54321
        for most in range(6):
            self.check('at start, %d threads' % most, lambda n=most: self.threads_at_start(user, n))
        with sleeper(user=user, group=user, extra_groups=[]) as process:
            for left in range(4):
                self.check('%d threads left' % left, lambda n=left: self.threads(user, process.pid, n))
        print('%s: %d limits in %.0f s' % (self.name, self.faults, time.monotonic() - began), flush=True)

    def check(self, what, do):
        if os.environ.get('VERBOSE'):
            print(what, flush=True)
        try:
            do()
            self.passed += 1
        except (Wrong, OSError) as e:
            self.failures.append('%s: %s: %s' % (self.name, what, e))
            print('FAILED ' + self.failures[-1], flush=True)
        self.faults += 1

    def works(self, mount):
        """What was too little at start is too little for more."""

    def threads_at_start(self, user, most):
        """It serves, or ends and says why."""
        mount = Later(UserMount, user, most, *self.options)
        try:
            mount.begin()
        except RuntimeError as e:
            mount.close()
            if not str(e).split('ended: ', 1)[1]:
                raise Wrong('it ended without a word') from e
            return
        answer = answer_of(lambda: read(mount.admin + '/kdamonds/nr_kdamonds'))
        status = mount.close()
        if answer or status:
            raise Wrong('%s, ended with %s: %s' % (answer, status, mount.logged()))

    def threads(self, user, pid, left):
        """A session with few LEFT answers so, and without the limit it goes."""
        with UserMount(user, 100, *self.options) as mount:
            kdamonds = mount.admin + '/kdamonds'
            context, state = kdamonds + '/0/contexts/0', kdamonds + '/0/state'
            for path, value in ((kdamonds + '/nr_kdamonds', 1), (kdamonds + '/0/contexts/nr_contexts', 1),
                                (context + '/operations', 'vaddr'), (context + '/targets/nr_targets', 1),
                                (context + '/targets/0/pid_target', pid)):
                self.expect(user, path, value)
            self.limit_threads(user, mount, count_threads(user) + left)
            answer = answer_as(user, lambda: write(state, 'on'))
            # One is who writes, one asks for the process, and may have ended when there is the kdamond.
            if answer not in [['EAGAIN'], ['EAGAIN'], ['EAGAIN', None], [None]][left]:
                raise Wrong('on: %s: %s' % (answer, mount.logged()))
            if answer and 'thread' not in mount.logged():
                raise Wrong('without a line')
            if mount.process.poll() is not None:
                raise Wrong('the daemon ended: ' + mount.logged())
            self.limit_threads(user, mount, mount.most)
            if answer:
                self.expect(user, state, 'on')
            self.expect(user, state, 'commit')
            self.expect(user, state, 'off')

    @staticmethod
    def limit_threads(user, mount, most):
        """By the user: for others root needs CAP_SYS_RESOURCE."""
        limit = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        answer = answer_as(user, lambda: resource.prlimit(mount.process.pid, resource.RLIMIT_NPROC, (most, limit)))
        if answer:
            raise Wrong('prlimit: ' + answer)

    @staticmethod
    def expect(user, path, value):
        answer = answer_as(user, lambda: write(path, value))
        if answer:
            raise Wrong('%s in %s: %s' % (value, path, answer))

    def running(self, pid, descriptors, room):
        """A session with little left answers so, and without the limit it goes."""
        with Mount(*self.options) as mount:
            kdamond, = mount.kdamonds(1)
            kdamond.target(pid)
            base = '/proc/%d' % mount.process.pid
            if descriptors is not None:
                kind, value = resource.RLIMIT_NOFILE, max(map(int, os.listdir(base + '/fd'))) + 1 + descriptors
                allowed = {'EMFILE', 'ENOMEM', 'EINVAL', 'EPERM'}
            else:
                with open(base + '/statm') as f:
                    kind, value = resource.RLIMIT_AS, int(f.read().split()[0]) * 4096 + room
                # A thread without room for its stack is EAGAIN.
                allowed = {'ENOMEM', 'EAGAIN', 'EINVAL'}
            old = resource.prlimit(mount.process.pid, kind, (value, resource.getrlimit(kind)[1]))
            answers = [answer_of(do) for do in (
                lambda: kdamond.state('on'), lambda: kdamond.state('commit'),
                lambda: kdamond.state('update_schemes_stats'), lambda: os.listdir(kdamond.context),
                lambda: kdamond.state('off'))]
            if mount.process.poll() is not None:
                raise Wrong('the daemon ended: ' + mount.logged())
            # What is not on takes no commands.
            if answers[0] and answers[0] not in allowed:
                raise Wrong('on: %s: %s' % (answers, mount.logged()))
            if not answers[0] and {a for a in answers if a} - allowed:
                raise Wrong('%s: %s' % (answers, mount.logged()))
            if answers[0] and 'damonfs' not in mount.logged():
                raise Wrong('%s without a line' % answers)
            resource.prlimit(mount.process.pid, kind, old)
            kdamond.state('on')
            kdamond.state('commit')
            kdamond.state('off')
            if mount.close():
                raise Wrong('it ended badly: ' + mount.logged())
