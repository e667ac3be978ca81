# SPDX-License-Identifier: GPL-2.0-or-later
"""A damonfs mount, its tree and a workload to watch: what the tests of the real program share."""
import contextlib
import ctypes
import functools
import os
import signal
import struct
import subprocess
import tempfile
import time
import unittest

BUILD = os.environ.get('DAMONFS_BUILD', 'build')
DAMONFS = os.path.abspath(os.path.join(BUILD, 'fs/damonfs'))
WORKLOAD = os.path.abspath(os.path.join(BUILD, 'tests/workload'))
SANITIZED = any(name in BUILD for name in ('asan', 'tsan'))
MIB = 1 << 20
PAGE = 4096
# Under emulation all is slower, and workloads have to rest now and then: see tests/vm/README.md.
EMULATED = os.path.exists('/vm/command')
RESTS = ['--pause', '1000'] if EMULATED else []
HAVE_YOUNG = os.path.exists('/sys/kernel/btf/vmlinux') and os.geteuid() == 0
LIBC = ctypes.CDLL(None, use_errno=True)
SYS_GETDENTS64 = 217


def tries(number):
    """For a test that measures: on a machine that others use too it has so many tries, and says so."""
    def decorate(test):
        @functools.wraps(test)
        def run(self, *arguments):
            for left in reversed(range(number)):
                try:
                    return test(self, *arguments)
                except AssertionError as e:
                    if not left:
                        raise
                    print('trying again: %s' % e)
                    self.tearDown()
                    self.setUp()
            return None
        return run
    return decorate


def write(path, text):
    """One write of TEXT; raises OSError with the errno that the file answered."""
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        return os.write(fd, text if isinstance(text, bytes) else str(text).encode())
    finally:
        os.close(fd)


def read(path):
    with open(path) as f:
        return f.read().rstrip('\n')


def error_of(call):
    """The errno that CALL raises; 0 for none."""
    try:
        call()
    except OSError as e:
        return e.errno
    return 0


def getdents(fd, size=32768):
    """[(ino, offset, name)] of the next entries."""
    buffer = ctypes.create_string_buffer(size)
    length = LIBC.syscall(SYS_GETDENTS64, fd, buffer, size)
    if length < 0:
        raise OSError(ctypes.get_errno(), 'getdents')
    entries, at = [], 0
    while at < length:
        ino, offset, record = struct.unpack_from('QqH', buffer, at)
        entries.append((ino, offset, buffer.raw[at + 19:at + record].split(b'\0')[0].decode(
            'latin-1')))
        at += record
    return entries


def children_of(pid):
    with open('/proc/%d/task/%d/children' % (pid, pid)) as f:
        return [int(word) for word in f.read().split()]


class Mount:
    """A damonfs in the foreground, in a directory of its own."""

    def __init__(self, *options, env=None):
        self.dir = tempfile.mkdtemp(prefix='damonfs-test-')
        self.log = tempfile.TemporaryFile(mode='w+')
        self.process = self.start([w for o in ('sandbox=trap', *options) for w in ('-o', o)], env)
        self.admin = os.path.join(self.dir, 'admin')
        for _ in range(500):
            if os.path.ismount(self.dir):
                break
            if self.process.poll() is not None:
                raise RuntimeError('damonfs ended: ' + self.logged())
            time.sleep(0.01)

    def start(self, options, env):
        return subprocess.Popen([DAMONFS, '-f', *options, self.dir], stderr=self.log, env=env)

    def logged(self):
        self.log.seek(0)
        return self.log.read()

    def close(self, number=signal.SIGTERM):
        """Ends it as an operator would; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = 'hung'
        if os.path.ismount(self.dir):
            subprocess.run(['umount', '-l', self.dir], check=False)
        if os.path.exists(self.dir):
            os.rmdir(self.dir)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def kdamonds(self, count):
        write(self.admin + '/kdamonds/nr_kdamonds', count)
        return [Kdamond('%s/kdamonds/%d' % (self.admin, i)) for i in range(count)]


def mount(source, target, kind, options=''):
    if LIBC.mount(source.encode(), os.fsencode(target), kind.encode(), 0, options.encode()):
        raise OSError(ctypes.get_errno(), 'mount')


def open_mount(directory, *options):
    """A descriptor of /dev/fuse that is mounted on DIRECTORY."""
    fuse = os.open('/dev/fuse', os.O_RDWR)
    mount('damonfs', directory, 'fuse.damonfs',
          ','.join(['fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions' % fuse, *options]))
    return fuse


class UnprivilegedMount(Mount):
    """A damonfs without some capabilities, at a mount that was made for it by us, who have them."""

    def __init__(self, dropped, *options):
        self.dropped = dropped
        super().__init__(*options)

    def start(self, options, env):
        fuse = open_mount(self.dir)
        process = subprocess.Popen(
            ['setpriv', '--bounding-set', ','.join('-' + name for name in self.dropped), '--',
             DAMONFS, '-f', *options, '/dev/fd/%d' % fuse],
            stderr=self.log, env=env, pass_fds=[fuse])
        os.close(fuse)
        return process


class Kdamond:
    """A kdamond directory with one context."""

    def __init__(self, path):
        self.path = path
        self.context = path + '/contexts/0'
        self.scheme = self.context + '/schemes/0'

    def set(self, **values):
        for name, value in values.items():
            write(os.path.join(self.context, name.replace('__', '/')), value)

    def target(self, *pids, operations='vaddr'):
        write(self.path + '/contexts/nr_contexts', 1)
        self.set(operations=operations, targets__nr_targets=len(pids))
        for i, pid in enumerate(pids):
            write('%s/targets/%d/pid_target' % (self.context, i), pid)

    def regions(self, *ranges):
        """The initial regions of the first target: a (start, end) each."""
        base = self.context + '/targets/0/regions/'
        write(base + 'nr_regions', len(ranges))
        for i, (start, end) in enumerate(ranges):
            write('%s%d/start' % (base, i), start)
            write('%s%d/end' % (base, i), end)

    def attrs(self, sample=5000, aggr=100000, update=60000000, least=10, most=1000):
        base = self.context + '/monitoring_attrs/'
        for name, value in (('intervals/sample_us', sample), ('intervals/aggr_us', aggr),
                            ('intervals/update_us', update), ('nr_regions/min', least),
                            ('nr_regions/max', most)):
            write(base + name, value)

    def stat_scheme(self, least_accesses=0):
        """A scheme that matches every region: its tried regions are a snapshot of all."""
        write(self.context + '/schemes/nr_schemes', 1)
        pattern = self.scheme + '/access_pattern/'
        for name in ('sz', 'nr_accesses', 'age'):
            write(pattern + name + '/max', 2 ** 64 - 1)
        write(pattern + 'nr_accesses/min', least_accesses)

    def set_scheme(self, **values):
        """Writes files of the scheme: a__b=VALUE is a/b."""
        for name, value in values.items():
            write(os.path.join(self.scheme, name.replace('__', '/')), value)

    def stat(self, name):
        """A counter of the scheme, now."""
        self.state('update_schemes_stats')
        return int(read('%s/stats/%s' % (self.scheme, name)))

    def state(self, command=None):
        if command is None:
            return read(self.path + '/state')
        write(self.path + '/state', command)
        return None

    def pid(self):
        return int(read(self.path + '/pid'))

    def snapshot(self):
        """[(start, end, nr_accesses, age)] of all regions, now."""
        self.state('update_schemes_tried_regions')
        base = self.scheme + '/tried_regions'
        return sorted(tuple(int(read('%s/%s/%s' % (base, name, f)))
                            for f in ('start', 'end', 'nr_accesses', 'age'))
                      for name in os.listdir(base) if name.isdigit())


class OneKdamond(unittest.TestCase):
    """Tests of a kdamond of a mount with OPTIONS, which must end well."""

    options = ['log=info']

    def setUp(self):
        self.mount = Mount(*self.options)
        self.kdamond, = self.mount.kdamonds(1)

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)


class ModuleFiles:
    """The parameters of DAMON's modules in self.mount."""

    def path(self, module, name):
        return '%s/modules/damon_%s/parameters/%s' % (self.mount.dir, module, name)

    def get(self, module, name):
        return read(self.path(module, name))

    def set(self, module, **values):
        for name, value in values.items():
            write(self.path(module, name), value)


class Workload:
    """The workload program; what it says about its memory is in start, end, hot_start, hot_end."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([WORKLOAD, *arguments], stdout=subprocess.PIPE, text=True)
        self.report()

    def report(self):
        line = self.process.stdout.readline()
        for word in line.split():
            name, _, value = word.partition('=')
            setattr(self, name, float(value) if '.' in value else int(value))

    def move(self):
        self.process.send_signal(signal.SIGUSR1)
        self.report()

    def close(self):
        self.process.terminate()
        line = self.process.stdout.read()
        self.process.wait()
        return float(line.rsplit('=', 1)[1]) if '=' in line else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def overlap(regions, start, end):
    """Bytes of REGIONS that lie in [start, end)."""
    return sum(max(0, min(r[1], end) - max(r[0], start)) for r in regions)


def hot_regions(regions):
    """Those that were accessed at least half as often as the hottest."""
    most = max((r[2] for r in regions), default=0)
    return [r for r in regions if most and r[2] * 2 >= most]


def until(condition, seconds):
    """Whether CONDITION came to hold within SECONDS; it may have gone again."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)
    return True


def present_frames(workload, start, end):
    """The numbers of the frames of the present pages from START to END."""
    with open('/proc/%d/pagemap' % workload.pid, 'rb', 0) as f:
        f.seek(start // PAGE * 8)
        entries = struct.unpack('%dQ' % ((end - start) // PAGE), f.read((end - start) // PAGE * 8))
    return [e & ((1 << 55) - 1) for e in entries if e >> 63]


def page_flags(workload, start, end):
    """The kpageflags of the present pages from START to END."""
    flags = []
    with open('/proc/kpageflags', 'rb', 0) as f:
        for frame in present_frames(workload, start, end):
            f.seek(frame * 8)
            flags.append(struct.unpack('Q', f.read(8))[0])
    return flags


@contextlib.contextmanager
def memory_cgroup():
    """A memory cgroup of our own: its directory, and its path as the kernel names it."""
    with open('/proc/self/mounts') as f:
        mounts = [line.split() for line in f]
    where = [m[1] for m in mounts if m[2] == 'cgroup' and 'memory' in m[3].split(',')] or \
        [m[1] for m in mounts if m[2] == 'cgroup2' and 'memory' in
         read(m[1] + '/cgroup.controllers').split()]
    if not where:
        raise unittest.SkipTest('MISSING: the memory controller of cgroups')
    with open('/proc/self/cgroup') as f:
        own = [line.rstrip().split(':', 2) for line in f]
    path = [o[2] for o in own if 'memory' in o[1].split(',')] or [o[2] for o in own if not o[1]]
    group = '%s/damonfs-test-%d' % (where[0] + path[0].rstrip('/'), os.getpid())
    try:
        os.mkdir(group)
    except OSError as e:
        raise unittest.SkipTest('MISSING: a memory cgroup of our own: %s' % e) from e
    try:
        yield group, group[len(where[0]):]
    finally:
        until(lambda: not read(group + '/cgroup.procs'), 5)
        os.rmdir(group)
