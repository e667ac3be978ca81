# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters by page, on a process whose pages of each kind are known."""
import contextlib
import mmap
import os
import subprocess
import sys
import tempfile
import unittest

from damon import (MIB, PAGE, OneKdamond, memory_cgroup, page_flags, present_frames, read, tries, until,
                   write)

KPF_ACTIVE = 6
MANY = 2 ** 64 - 1

# Small anonymous pages, a file's, huge ones; `touch' is those that it goes on touching.
PROGRAM = """if True:
    import ctypes, mmap, os, sys, time
    size, path, touched = %d, %r, %r
    anon = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    fd = os.open(path, os.O_RDWR)
    memory = {'small': mmap.mmap(-1, size, anon), 'file': mmap.mmap(fd, size),
              'huge': mmap.mmap(-1, size + (2 << 20), anon)}
    memory['small'].madvise(mmap.MADV_NOHUGEPAGE)
    memory['huge'].madvise(mmap.MADV_HUGEPAGE)
    start = {name: ctypes.addressof(ctypes.c_char.from_buffer(m)) for name, m in memory.items()}
    skip = -start['huge'] %% (2 << 20)
    start['huge'] += skip
    views = {name: memoryview(m) for name, m in memory.items()}
    views['huge'] = views['huge'][skip:skip + size]
    for view in views.values():
        view[::4096] = bytes(size // 4096)
    os.sync()
    print(*(start[name] for name in ('small', 'file', 'huge')), flush=True)
    text = bytes(size // 4096)
    while True:
        for name in touched:
            views[name][::4096] = text
        time.sleep(0.001)
"""


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for what the kernel tells of pages')
class Filters(OneKdamond):
    options = ['log=info', 'abi=6.18']
    SIZE = 16 * MIB
    OPERATIONS = 'fvaddr'

    @contextlib.contextmanager
    def process(self, *touched):
        with tempfile.NamedTemporaryFile(dir='/var/tmp') as file:
            file.truncate(self.SIZE)
            with subprocess.Popen([sys.executable, '-c', PROGRAM % (self.SIZE, file.name, touched)],
                                  stdout=subprocess.PIPE, text=True) as process:
                try:
                    starts = [int(word) for word in process.stdout.readline().split()]
                    process.parts = dict(zip(('small', 'file', 'huge'), starts))
                    yield process
                finally:
                    if self.kdamond.state() == 'on':
                        self.kdamond.state('off')
                    process.kill()

    def ranges(self, process):
        return sorted((start, start + self.SIZE) for start in process.parts.values())

    def watch(self, pid, ranges, action='stat', operations='fvaddr'):
        self.kdamond.target(pid, operations=operations)
        self.kdamond.regions(*ranges)
        self.kdamond.attrs(20000, 200000, most=max(1000, 2 * len(ranges)))
        self.kdamond.stat_scheme()
        write(self.kdamond.scheme + '/action', action)

    def set_filters(self, *filters, kind='ops_filters'):
        base = '%s/%s/' % (self.kdamond.scheme, kind)
        write(base + 'nr_filters', len(filters))
        for i, values in enumerate(filters):
            for name, value in values.items():
                write('%s%d/%s' % (base, i, name), value)

    def passed(self):
        """Bytes that pass, in one application of the scheme."""
        if self.kdamond.state() == 'on':
            self.kdamond.state('commit')
        else:
            self.kdamond.state('on')
        for _ in range(2):  # what was under way may have been with the old filters
            self.kdamond.state('update_schemes_tried_regions')
        base = self.kdamond.scheme + '/tried_regions/'
        return sum(int(read(base + name + '/sz_filter_passed'))
                   for name in os.listdir(base) if name.isdigit())

    def assert_passes(self, expected, *filters):
        self.set_filters(*filters)
        passed = self.passed()
        self.assertLessEqual(abs(passed - expected), 0.05 * 3 * self.SIZE,
                             '%s: %d, not %d of %d' % (filters, passed, expected, 3 * self.SIZE))

    def check(self, expected, **filter_):
        """What matches passes, and with `allow' off the rest does; the contrary with `matching' off."""
        for matching, allow in ('Y', 'Y'), ('Y', 'N'), ('N', 'Y'), ('N', 'N'):
            now = expected() if callable(expected) else expected
            self.assert_passes(now if matching == allow else 3 * self.SIZE - now,
                               {**filter_, 'matching': matching, 'allow': allow})

    @tries(3)
    def test_kinds_of_pages(self):
        with self.process() as process:
            self.watch(process.pid, self.ranges(process))
            self.check(2 * self.SIZE, type='anon')
            self.check(0, type='unmapped')
            self.check(self.SIZE, type='hugepage_size', min=2 * MIB, max=2 * MIB)
            self.check(3 * self.SIZE, type='hugepage_size', min=0, max=MANY)
            self.check(2 * self.SIZE, type='hugepage_size', max=MIB)
            # The first that matches decides; what none matches is kept out if the last lets in.
            anon, huge = {'type': 'anon', 'matching': 'Y'}, \
                {'type': 'hugepage_size', 'min': 2 * MIB, 'max': MANY, 'matching': 'Y'}
            self.assert_passes(self.SIZE, {**huge, 'allow': 'N'}, {**anon, 'allow': 'Y'})
            self.assert_passes(2 * self.SIZE, {**huge, 'allow': 'Y'}, {**anon, 'allow': 'N'})
            self.assert_passes(0)   # nothing is counted where nothing is asked

    @tries(3)
    def test_young_pages(self):
        with self.process('small') as process:
            self.watch(process.pid, self.ranges(process))
            self.check(self.SIZE, type='young')

    @tries(3)
    def test_active_pages(self):
        with self.process() as process:
            def active():
                return sum(flags >> KPF_ACTIVE & 1 for start in process.parts.values()
                           for flags in page_flags(process, start, start + self.SIZE)) * PAGE

            # Touched by others a few times, a page of a file becomes active.
            with open('/proc/%d/mem' % process.pid, 'rb', 0) as f:
                for _ in range(3):
                    for at in range(0, self.SIZE, MIB):
                        f.seek(process.parts['file'] + at)
                        f.read(MIB)
            self.watch(process.pid, self.ranges(process))
            # Of a huge page only the first frame has the flag.
            self.assertGreater(active(), self.SIZE / 2)
            flags = page_flags(process, process.parts['huge'], process.parts['huge'] + PAGE)[0]
            huge = self.SIZE - self.SIZE // 512 if flags >> KPF_ACTIVE & 1 else 0
            # It goes down: what is looked at and was young is active no more.
            self.check(lambda: active() + huge, type='active')

    @tries(3)
    def test_pages_of_a_cgroup(self):
        with memory_cgroup() as (group, path), contextlib.ExitStack() as moved:
            write(group + '/cgroup.procs', os.getpid())
            moved.callback(write, os.path.dirname(group) + '/cgroup.procs', os.getpid())
            with self.process() as process:
                self.watch(process.pid, self.ranges(process))
                self.check(3 * self.SIZE, type='memcg', memcg_path=path)
                self.check(0, type='memcg', memcg_path=os.path.dirname(path) or '/')

    @tries(3)
    def test_core_filters_come_first(self):
        with self.process() as process:
            self.watch(process.pid, self.ranges(process))
            small = process.parts['small']
            address = {'type': 'addr', 'addr_start': small, 'addr_end': small + self.SIZE}
            anon = {'type': 'anon', 'matching': 'Y', 'allow': 'N'}
            # Let in by its address, nobody is asked about its pages.
            self.set_filters({**address, 'matching': 'Y', 'allow': 'Y'}, kind='core_filters')
            self.assert_passes(2 * self.SIZE, anon)
            self.set_filters({**address, 'matching': 'Y', 'allow': 'N'}, kind='core_filters')
            self.assert_passes(self.SIZE, anon)
            # filters/ is for both sorts.
            self.set_filters(kind='core_filters')
            self.set_filters({**address, 'matching': 'Y', 'allow': 'N'}, anon, kind='filters')
            self.assert_passes(self.SIZE)

    def test_what_is_refused_where(self):
        write(self.kdamond.path + '/contexts/nr_contexts', 1)
        write(self.kdamond.context + '/schemes/nr_schemes', 1)
        kinds = {'core_filters': ('addr', 'target'),
                 'ops_filters': ('anon', 'active', 'memcg', 'young', 'hugepage_size', 'unmapped')}
        for kind, takes in kinds.items():
            self.set_filters({}, kind=kind)
            self.set_filters({}, kind='filters')
            for word in kinds['core_filters'] + kinds['ops_filters']:
                write(self.kdamond.scheme + '/filters/0/type', word)
                with contextlib.nullcontext() if word in takes else self.assertRaises(OSError) as e:
                    write('%s/%s/0/type' % (self.kdamond.scheme, kind), word)
                if word not in takes:
                    self.assertEqual(e.exception.errno, 22)
            self.assertEqual(read('%s/%s/0/type' % (self.kdamond.scheme, kind)), takes[-1])
        self.set_filters({}, kind='core_filters')
        self.assertEqual(read(self.kdamond.scheme + '/core_filters/0/type'), 'anon')
        with self.assertRaises(OSError):
            write(self.kdamond.scheme + '/core_filters/0/type', 'anon')

    @tries(3)
    def test_frames(self):
        """The same of physical memory, and what nobody has mapped."""
        size = 4 * MIB
        with tempfile.NamedTemporaryFile(dir='/var/tmp') as file:
            file.write(b'x' * size)
            file.flush()
            os.fsync(file.fileno())
            memory = mmap.mmap(file.fileno(), size)
            assert sum(memory[::PAGE])
            here = type('', (), {'pid': os.getpid()})
            with open('/proc/self/maps') as f:
                start = [int(line.split('-')[0], 16) for line in f if file.name in line][0]
            frames = sorted(present_frames(here, start, start + size))
            ranges = []
            for frame in frames:
                if ranges and ranges[-1][1] == frame * PAGE:
                    ranges[-1][1] += PAGE
                else:
                    ranges.append([frame * PAGE, (frame + 1) * PAGE])
            self.watch(0, ranges, operations='paddr')
            total = len(frames) * PAGE
            for kind, expected in (('anon', 0), ('unmapped', 0)):
                self.set_filters({'type': kind, 'matching': 'Y', 'allow': 'Y'})
                self.assertLessEqual(abs(self.passed() - expected), 0.05 * total)
            memory.close()
            self.set_filters({'type': 'unmapped', 'matching': 'Y', 'allow': 'Y'})
            self.assertTrue(until(lambda: abs(self.passed() - total) <= 0.05 * total, 5),
                            (self.passed(), total))
            self.kdamond.state('off')
