# SPDX-License-Identifier: GPL-2.0-or-later
"""One fault in a running damonfs: what is told to faults.c, what a step answers to it, what is there then."""
import contextlib
import errno
import mmap
import os
import signal
import struct
import subprocess
import tempfile

from damon import BUILD, Mount, read

LIBRARY = os.path.abspath(os.environ.get('DAMONFS_FAULTS_LIBRARY', BUILD + '/tests/faults/libfaults.so'))

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
