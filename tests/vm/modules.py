#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameters of DAMON's modules, the kernel's own beside those of damonfs, in a guest of tests/vm/run:
names, modes, fresh values, what is taken and refused, and who excludes whom.

    DAMONFS=FILE modules.py ABI

Only in a machine of our own: it enables the kernel's modules.  Exit status 1 if anything differs.
"""
import errno
import os
import sys
import time

from differential import damonfs_at

MODULES = ('damon_reclaim', 'damon_lru_sort', 'damon_stat')
# Without `enable', which the 6.12 below does not know.
TEXTS = ('', '7', '0x10', '010', '+3', '-1', 'x', '1 2', '\n', '7\n', 'Y', 'n', 'on', 'off', 'oops',
         str(2 ** 64 - 1), str(2 ** 64), '0')
# Writes in turn: a module, a file, a text.
SCRIPT = [
    *(('damon_%s' % m, f, t) for m in ('reclaim', 'lru_sort') for f, t in (
        ('wmarks_high', '1000'), ('wmarks_mid', '999'), ('wmarks_low', '0'), ('monitor_region_start', '4096'),
        ('monitor_region_end', '4096'))),
    *(('damon_%s' % m, f, t) for m in ('reclaim', 'lru_sort') for f, t in (
        ('aggr_interval', '0'), ('enabled', 'Y'), ('aggr_interval', '100000'), ('sample_interval', '200000'),
        ('enabled', 'Y'), ('sample_interval', '5000'), ('min_nr_regions', '2'), ('enabled', 'Y'),
        ('min_nr_regions', '10'), ('max_nr_regions', '9'), ('enabled', 'Y'), ('max_nr_regions', '1000'),
        ('monitor_region_start', '8192'), ('enabled', 'Y'), ('monitor_region_start', '4096'),
        ('addr_unit', '0'), ('addr_unit', '3'), ('enabled', 'Y'), ('addr_unit', '1'))),
    ('damon_lru_sort', 'sample_interval', '0'), ('damon_lru_sort', 'enabled', 'Y'),
    ('damon_lru_sort', 'sample_interval', '5000'),
    # Who excludes whom.
    *((a, 'enabled', t) if b == a else (b, 'enabled', 'Y') for a in MODULES
      for b, t in ((a, 'Y'), (a, 'Y'), *((m, 'Y') for m in MODULES if m != a), (a, 'N'), (a, 'N'))),
    # Commits.
    ('damon_reclaim', 'commit_inputs', 'Y'), ('damon_reclaim', 'commit_inputs', 'N'),
    ('damon_reclaim', 'enabled', 'Y'), ('damon_reclaim', 'commit_inputs', 'Y'), ('damon_reclaim', '', ''),
    ('damon_reclaim', 'min_nr_regions', '2'), ('damon_reclaim', 'commit_inputs', 'Y'), ('damon_reclaim', '', ''),
    ('damon_reclaim', 'min_nr_regions', '10'), ('damon_reclaim', 'enabled', 'N'),
]
# What tells of the machine, or of when it was looked at: damon_stat was on before.
CHANGING = ('kdamond_pid', 'estimated_memory_bandwidth', 'aggr_interval_us', 'memory_idle_ms_percentiles')


def write(path, text):
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError as e:
        return 'open ' + errno.errorcode[e.errno]
    try:
        return os.write(fd, text.encode())
    except OSError as e:
        return errno.errorcode[e.errno]
    finally:
        os.close(fd)


def read(path):
    with open(path) as f:
        return f.read()


class Side:
    def __init__(self, place):
        self.place = place

    def path(self, module, name=''):
        return '%s/%s/parameters/%s' % (self.place, module, name)

    def values(self, module):
        return {name: read(self.path(module, name)) for name in os.listdir(self.path(module))
                if name not in CHANGING}

    def modes(self, module):
        return {name: oct(os.stat(self.path(module, name)).st_mode) for name in os.listdir(self.path(module))}


def compare(what, theirs, ours):
    if theirs == ours:
        return 0
    print('%s: the kernel %r, damonfs %r' % (what, theirs, ours))
    return 1


def compare_all(module, kernel, ours):
    theirs, own = kernel.values(module), ours.values(module)
    return sum(compare('%s/%s' % (module, name), theirs.get(name), own.get(name)) for name in sorted({*theirs, *own}))


def compare_texts(module, kernel, ours):
    """Each text in each file that can be written but acts on nothing."""
    different = 0
    for name in sorted(os.listdir(kernel.path(module))):
        if name in ('enabled', 'commit_inputs'):
            continue
        fresh = read(kernel.path(module, name))
        for text in TEXTS:
            answers = [(write(side.path(module, name), text), name in CHANGING or read(side.path(module, name)))
                       for side in (kernel, ours)]
            different += compare('%s/%s <- %r' % (module, name, text), *answers)
        for side in (kernel, ours):
            write(side.path(module, name), fresh)
    return different


def play(kernel, ours):
    different = 0
    for module, name, text in SCRIPT:
        if name:
            answers = [write(side.path(module, name), text) for side in (kernel, ours)]
            different += compare('%s/%s <- %r' % (module, name, text), *answers)
        else:
            time.sleep(2)
        for each in MODULES:
            states = [{n: side.values(each).get(n) for n in ('enabled', 'commit_inputs', 'addr_unit')}
                      for side in (kernel, ours)]
            different += compare('%s after %s/%s <- %r' % (each, module, name, text), *states)
    return different


def main():
    kernel = Side('/sys/module')
    different = 0
    for module in MODULES:
        write(kernel.path(module, 'enabled'), 'N')
    with damonfs_at(sys.argv[1]) as place:
        ours = Side(place + '/modules')
        for module in MODULES:
            different += compare('modes of %s' % module, kernel.modes(module), ours.modes(module))
            different += compare_all(module, kernel, ours)
            different += compare_texts(module, kernel, ours)
        different += play(kernel, ours)
    print('%d differences' % different)
    return 1 if different else 0


if __name__ == '__main__':
    sys.exit(main())
