# SPDX-License-Identifier: GPL-2.0-or-later
"""Who uses a mount under abuse: each of their operations is timed, and its answer checked."""
import contextlib
import ctypes
import errno
import os
import threading
import time
from array import array

from damon import LIBC, SANITIZED
from rules import GONE, may_refuse, reads_well

AT_FDCWD = -100
# Seconds: a kdamond is on again by then, a target's end is noticed, and the like.
SOON = 60 if SANITIZED else 10


class Ledger:
    """What all clients did, and what was wrong with it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.operations = 0
        self.failures = []
        self.times = {}                     # seconds, by kind
        self.deaths, self.died = 0, -1e9    # of the daemon: how many, and when the last

    def note(self, kind, seconds):
        with self.lock:
            self.operations += 1
            self.times.setdefault(kind, array('f')).append(seconds)

    def fail(self, text):
        with self.lock:
            self.failures.append('%s, %.3f s after death %d: %s' % (
                time.strftime('%H:%M:%S'), self.since_death(), self.deaths, text))
            if len(self.failures) <= 20:
                print('FAILED: ' + self.failures[-1], flush=True)

    def check(self, good, text):
        """One more test."""
        with self.lock:
            self.operations += 1
        if not good:
            self.fail(text)
        return good

    def death(self):
        self.deaths += 1
        self.died = time.monotonic()

    def back(self):
        """The daemon answers again."""
        self.died = time.monotonic()

    def since_death(self):
        return time.monotonic() - self.died


class Client:
    """One thread's.  Others change what it uses if that is SHARED.

    libc is called itself, because Python hides EINTR."""

    def __init__(self, name, ledger, shared=False):
        self.name, self.ledger, self.shared = name, ledger, shared
        self.doing = None                   # since when it does what

    @contextlib.contextmanager
    def during(self, what):
        before, self.doing = self.doing, (time.monotonic(), what)
        yield self.doing
        self.doing = before

    def file(self, path, flags, use, at=AT_FDCWD):
        """USE of the open file; 0, or the name of an errno, and what USE answered."""
        fd = LIBC.openat(at, path.encode(), flags | os.O_CLOEXEC)
        if fd < 0:
            return errno.errorcode[ctypes.get_errno()], None
        try:
            result = use(fd)
            return (errno.errorcode[ctypes.get_errno()] if result is None else 0), result
        finally:
            os.close(fd)

    @staticmethod
    def all_of(fd):
        buffer, text = ctypes.create_string_buffer(8192), b''
        while True:
            length = LIBC.read(fd, buffer, 8192)
            if length <= 0:
                return None if length else text
            text += buffer.raw[:length]

    def read(self, path, at=AT_FDCWD, shared=None):
        """What PATH says, or the name of an errno."""
        with self.during('reads ' + path) as (began, what):
            answer, text = self.file(path, os.O_RDONLY, self.all_of, at)
        self.ledger.note('read', time.monotonic() - began)
        if answer:
            if not ((self.shared if shared is None else shared) and answer in GONE):
                self.ledger.fail('%s %s: %s' % (self.name, what, answer))
            return answer
        text = text.decode('latin-1')
        if not reads_well(path, text):
            self.ledger.fail('%s %s: %r' % (self.name, what, text))
        return text

    def write(self, path, text):
        """Return: 0 or the name of an errno."""
        def put(fd):
            return None if LIBC.write(fd, data, len(data)) < 0 else True

        data = text.encode('latin-1')
        with self.during('writes %r to %s' % (text, path)) as (began, what):
            answer, _ = self.file(path, os.O_WRONLY | os.O_TRUNC, put)
        seconds = time.monotonic() - began
        self.ledger.note('write' if not path.endswith('/state') else 'refused command' if answer else text.strip(),
                         seconds)
        died = self.ledger.since_death() < SOON + seconds
        if answer and answer not in may_refuse(path, text, died, self.shared):
            self.ledger.fail('%s %s: %s' % (self.name, what, answer))
        return answer

    def names(self, directory):
        """Those in it, or none if it is gone."""
        with self.during('lists %s' % directory) as (began, _):
            try:
                return os.listdir(directory)
            except OSError as e:
                self.ledger.check(errno.errorcode[e.errno] in GONE, '%s lists %s: %s' % (self.name, directory, e))
                return []
            finally:
                self.ledger.note('list', time.monotonic() - began)
