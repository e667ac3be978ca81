#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes each call of the real daemon that can fail do so in turn, in the middle of each step of a session.

    run.py [SESSION...]     sysfs, owner, debugfs, debugfs-6.12, start, limits; all by default

For each step and each sort of fault the first one fails, then the second, until the step passes without.
Each time the daemon lives, the answer is success or an errno that the sort allows, the tree is as before
the step or as after it, and the same step works then.  By default some are left out, always the same;
LONG=1 tries them all.  Ends with 'N passed, M failed'.
"""
import contextlib
import ctypes
import errno
import mmap
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + '/../mount')
from damon import BUILD, DAMONFS, Mount, open_mount, read, until, write  # noqa: E402

LIBRARY = os.path.abspath(os.environ.get('DAMONFS_FAULTS_LIBRARY', BUILD + '/tests/faults/libfaults.so'))
LONG = bool(os.environ.get('LONG'))
# Of a step; what works in the background never ends.
MOST = 3000
SECONDS = 30

# Sort: its number in faults.c, what it fails with, what a step may answer besides that.
# EPERM: who asks could not be told.  EINVAL: monitoring is not available.
SORTS = {
    'allocations': (1, ['ENOMEM'], []),
    'mappings': (2, ['ENOMEM'], []),
    'threads': (3, ['EAGAIN'], []),
    'opens': (4, ['EMFILE', 'ENFILE', 'ENOMEM'], ['ENOMEM']),
    'reads': (5, ['EINTR', 'EIO'], ['EPERM', 'EINVAL', 'ENOMEM']),
    'writes': (6, ['EINTR', 'EIO'], ['EPERM', 'EINVAL']),
    'waits': (7, ['EINTR', 'ENOMEM'], []),
    'requests': (8, ['EINTR', 'EAGAIN', 'ENOMEM'], []),
    'processes': (9, ['EAGAIN', 'ENOMEM'], ['EPERM']),
    'credentials': (10, ['ENOMEM', 'EAGAIN'], ['EPERM']),
}


class Wrong(Exception):
    pass


class Control:
    """What faults.c is told, and tells."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix='damonfs-faults-')
        self.file.truncate(4096)
        self.page = mmap.mmap(self.file.fileno(), 4096)

    def arm(self, sort, error, number):
        struct.pack_into('=IIQQ', self.page, 0, 0, 0, 0, 0)
        struct.pack_into('=QQ', self.page, 8, number, 0)
        struct.pack_into('=I', self.page, 4, getattr(errno, error))
        struct.pack_into('=I', self.page, 0, SORTS[sort][0])

    def disarm(self):
        """Whether something failed."""
        struct.pack_into('=I', self.page, 0, 0)
        return bool(struct.unpack_from('=Q', self.page, 16)[0])


class FaultyMount(Mount):
    def __init__(self, control, *options, uid=None):
        self.control, self.uid = control, uid
        super().__init__(*options, env={**os.environ, 'LD_PRELOAD': LIBRARY,
                                        'DAMONFS_FAULTS': control.file.name})

    def state(self):
        """Descriptors, threads, kB in memory."""
        base = '/proc/%d' % self.process.pid
        with open(base + '/status') as f:
            fields = dict(line.split(':', 1) for line in f)
        return len(os.listdir(base + '/fd')), len(os.listdir(base + '/task')), int(fields['VmRSS'].split()[0])


def give_up(*_):
    raise Wrong('no answer')


@contextlib.contextmanager
def sleeper(**who):
    """A process to watch."""
    with subprocess.Popen(['sleep', '10000'], **who) as process:
        try:
            yield process
        finally:
            process.kill()


def answer_of(do, *arguments):
    """The errno that it answered, or None."""
    signal.setitimer(signal.ITIMER_REAL, 10)
    try:
        do(*arguments)
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def dump(root, masked=()):
    """{path: contents or errno} of all that is below ROOT; MASKED are parts of paths that go by themselves."""
    found = {}
    for where, dirs, files in os.walk(root, onerror=lambda e: found.update({str(e): 'ERROR'})):
        dirs.sort()
        here = os.path.relpath(where, root) + '/'
        if any(m in here for m in masked):
            dirs.clear()
            continue
        found[here] = ' '.join(sorted(dirs + files))
        for name in files:
            if any(m in here + name for m in masked):
                continue
            try:
                found[here + name] = read(os.path.join(where, name))
            except OSError as e:
                found[here + name] = errno.errorcode[e.errno]
    return found


def difference(a, b):
    return ', '.join('%s: %r, %r' % (k, a.get(k), b.get(k)) for k in sorted({*a, *b})
                     if a.get(k) != b.get(k))[:600]


class Step:
    """DO is tried after PREPARE; PARTLY are ways to what may be there besides when it fails, as in the kernel."""

    def __init__(self, name, prepare, do, partly=(), masked=(), failed_masked=(), allowed=()):
        self.name, self.prepare, self.do, self.partly = name, prepare, do, partly
        self.masked, self.failed_masked, self.allowed = masked, failed_masked, allowed


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
        if answer:
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


class Sysfs(Session):
    def steps(self, pid):
        kdamonds = self.mount.admin + '/kdamonds'
        k = kdamonds + '/0'
        c = k + '/contexts/0'
        s = c + '/schemes/0'

        def off():
            if os.path.exists(k) and read(k + '/state') == 'on':
                answer_of(write, k + '/state', 'off')

        def nothing():
            off()
            write(kdamonds + '/nr_kdamonds', 0)

        def made():
            off()
            write(kdamonds + '/nr_kdamonds', 1)
            write(k + '/contexts/nr_contexts', 1)
            write(c + '/operations', 'vaddr')
            write(c + '/targets/nr_targets', 1)
            write(c + '/targets/0/pid_target', pid)
            write(c + '/monitoring_attrs/intervals/sample_us', 2000)
            write(c + '/monitoring_attrs/intervals/aggr_us', 10000)
            write(c + '/schemes/nr_schemes', 1)
            for n in ('sz', 'nr_accesses', 'age'):
                write(s + '/access_pattern/%s/max' % n, 2 ** 64 - 1)
            write(s + '/core_filters/nr_filters', 1)
            write(s + '/core_filters/0/type', 'addr')
            write(s + '/core_filters/0/matching', 'N')
            write(s + '/core_filters/0/allow', 'Y')
            write(s + '/core_filters/0/addr_end', 4096)
            write(s + '/quotas/goals/nr_goals', 1)
            write(s + '/quotas/goals/0/target_value', 10)

        def ready():
            off()
            if not os.path.exists(s + '/quotas/goals/0') or read(c + '/targets/nr_targets') != '1' or \
                    read(s + '/core_filters/nr_filters') != '1' or read(s + '/ops_filters/nr_filters') != '0':
                made()

        def running():
            if not os.path.exists(k) or read(k + '/state') != 'on':
                ready()
                write(k + '/state', 'on')
            write(k + '/state', 'clear_schemes_tried_regions')

        def count(path, number, prepare=ready):
            return Step('%s=%d' % (os.path.relpath(path, self.mount.dir), number), lambda: (prepare(), write(path, 0)),
                        lambda: write(path, number), partly=[lambda: write(path, 0)], masked=going)

        def command(word, **more):
            return Step(word, running, lambda: write(k + '/state', word), masked=live, **more)

        going = ('/0/pid', 'damon/kdamond_pid')
        live = (*going, '/stats/', '/tried_regions/', '/effective_bytes', 'damon/monitor_on')

        def names():
            os.listdir(s + '/core_filters')
            os.stat(c + '/monitoring_attrs/intervals')
            with contextlib.suppress(FileNotFoundError):
                os.stat(s + '/nothing')

        return [
            count(kdamonds + '/nr_kdamonds', 2, nothing),
            Step('nr_kdamonds again', nothing, lambda: write(kdamonds + '/nr_kdamonds', 1),
                 masked=going),
            count(k + '/contexts/nr_contexts', 1, made),
            count(c + '/targets/nr_targets', 3, made),
            count(c + '/targets/0/regions/nr_regions', 3, ready),
            count(c + '/schemes/nr_schemes', 3, made),
            count(s + '/core_filters/nr_filters', 3, made),
            count(s + '/ops_filters/nr_filters', 2, made),
            count(s + '/quotas/goals/nr_goals', 2, made),
            Step('memcg_path', lambda: (made(), write(s + '/ops_filters/nr_filters', 1)),
                 lambda: write(s + '/ops_filters/0/memcg_path', '/a'), masked=going),
            Step('an attribute', lambda: (ready(), write(s + '/quotas/bytes', 0)),
                 lambda: write(s + '/quotas/bytes', 12345), masked=going),
            Step('chmod', made, lambda: os.chmod(s + '/action', 0o640), masked=going),
            Step('reading a file', made, lambda: read(c + '/monitoring_attrs/nr_regions/min'), masked=going),
            Step('reading avail_operations', ready, lambda: read(c + '/avail_operations'), masked=going),
            Step('reading names', ready, names, masked=going),
            Step('on', ready, lambda: write(k + '/state', 'on'), masked=going, allowed=['EINVAL']),
            command('commit'),
            command('update_schemes_stats'),
            command('update_schemes_effective_quotas'),
            command('update_schemes_tried_regions'),
            command('update_schemes_tried_bytes'),
            command('commit_schemes_quota_goals'),
            command('update_tuned_intervals'),
            Step('reading while on', running, lambda: (read(k + '/state'), os.listdir(s), read(s + '/action')),
                 masked=live),
            Step('off', running, lambda: write(k + '/state', 'off'), masked=live),
            Step('nr_kdamonds=0', ready, lambda: write(kdamonds + '/nr_kdamonds', 0), masked=live),
        ]


def as_user(uid, do):
    """DO, with the effective ids of UID."""
    def act():
        os.setegid(uid)
        os.seteuid(uid)
        try:
            do()
        finally:
            os.seteuid(0)
            os.setegid(0)
    return act


class Owner(Sysfs):
    """The same by a user whom the daemon has to ask the kernel about, and whose credentials it takes on."""

    def steps(self, pid):
        steps = super().steps(pid)
        for step in steps:
            step.prepare, step.do = as_user(self.uid, step.prepare), as_user(self.uid, step.do)
            step.partly = [as_user(self.uid, way) for way in step.partly]
        return [steps[0]] + [s for s in steps if s.name in ('on', 'commit', 'off', 'memcg_path')
                             or s.name.startswith('update_schemes_tried')]


class Debugfs(Session):
    def steps(self, pid):
        damon = self.mount.dir + '/damon'
        monitor_on = damon + '/monitor_on'
        if not os.path.exists(monitor_on):
            monitor_on += '_DEPRECATED'
        masked = ('kdamond_pid', '/stats/')
        scheme = '0 18446744073709551615 0 4294967295 0 4294967295 5 0 0 0 0 0 0 0 0 0 0 0\n'

        def off():
            if read(monitor_on) == 'on':
                answer_of(write, monitor_on, 'off')
            until(lambda: read(monitor_on) == 'off', 5)

        def plain():
            off()
            if os.path.exists(damon + '/foo'):
                write(damon + '/rm_contexts', 'foo')
            write(damon + '/schemes', '\n')
            write(damon + '/target_ids', '\n')
            write(damon + '/attrs', '5000 100000 1000000 10 1000')

        def targets():
            plain()
            write(damon + '/target_ids', pid)

        def ready():
            targets()
            write(damon + '/schemes', scheme)

        def running():
            ready()
            write(monitor_on, 'on')

        def made():
            plain()
            write(damon + '/mk_contexts', 'foo')

        def step(file, prepare, text, **more):
            return Step(file, prepare, lambda: write(damon + '/' + file, text), masked=masked, **more)

        def empty(file):
            return [lambda: write(damon + '/' + file, '\n')]

        return [
            step('attrs', plain, '5000 100000 1000000 10 500\n'),
            step('target_ids', plain, '%d' % pid),
            step('init_regions', targets, '0 4096 8192\n0 12288 16384\n', partly=empty('init_regions')),
            step('schemes', plain, scheme * 3),
            step('mk_contexts', plain, 'foo'),
            step('rm_contexts', made, 'foo'),
            Step('monitor_on=on', ready, lambda: write(monitor_on, 'on'), masked=(*masked, 'schemes'),
                 allowed=['EINVAL']),
            Step('reading while on', running,
                 lambda: [read(damon + '/' + f) for f in ('schemes', 'target_ids', 'attrs')],
                 masked=(*masked, 'schemes')),
            Step('monitor_on=off', running, lambda: write(monitor_on, 'off'), masked=(*masked, 'schemes')),
        ]


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


def sessions():
    user = 65534
    return [
        Sysfs('sysfs', 'method=auto' if LONG else 'method=referenced'),
        Owner('owner', 'method=referenced', 'uid=%d' % user, 'gid=%d' % user, 'allow_other', uid=user),
        Debugfs('debugfs', 'abi=6.1', 'method=referenced'),
        Debugfs('debugfs-6.12', 'abi=6.12', 'method=referenced'),
        Starts('start', 'method=referenced'),
        Limits('limits', 'method=referenced'),
    ]


def main():
    if os.geteuid() or not os.path.exists(LIBRARY):
        print('SKIPPED faults: MISSING %s' % ('root' if os.geteuid() else LIBRARY))
        print('0 passed, 0 failed, 1 skipped')
        return 0
    wanted = sys.argv[1:] or [s.name for s in sessions()]
    passed, failures = 0, []
    signal.signal(signal.SIGALRM, give_up)
    for session in sessions():
        if session.name in wanted:
            session.run()
            passed += session.passed
            failures += session.failures
    for failure in failures:
        print('FAILED ' + failure)
    print('%d passed, %d failed' % (passed, len(failures)))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
