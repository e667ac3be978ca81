#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of schemes-against-kernel that runs in the guest, as root: a scheme, with one tree after another.

Prints a table for each SCHEME: means of --runs, each with a fresh workload that has 64 of its 512 MiB hot.
It takes the guest's DAMON, swap and settings of huge pages for itself.

    applied   stats/sz_applied after --act seconds; x: damonfs / kernel
    done      of the cold part: in swap, or (cold) not on the active list; of the hot part: in huge pages
    90 %      seconds until so much of it was done
    hurt      hot bytes that had been paged out and came back by a major fault
    late      the same in the --settle seconds that follow, and hot bytes that are not present then
    faults    of the workload for a pass over its hot part, in these seconds; softdirty's own are among them
    lost      of a pass to these faults, by what one costs where nothing is watched
    CPU       seconds of the worker thread in the first time; x: damonfs / kernel; settled: of a core, later
    slower    CPU time of a pass when it is settled, against not being watched
"""
import argparse
import contextlib
import json
import mmap
import os
import statistics
import subprocess
import sys
import time

from guest import MIB, PAGE, PAUSE, Block, Tree, pass_cost, progress, write
from damon import page_flags, present_frames, read
from test_schemes import KPF_ACTIVE, has_swap, memory_of

HOT, SIZE = 64 * MIB, 512 * MIB
COLD = SIZE - HOT
WORK = ['--size', str(SIZE), '--hot', str(HOT), '--at', '128M', '--step', '256M', '--pause', PAUSE]
SMALL = ['--size', '1M', '--hot', '1M', '--at', '0', '--access', 'none', '--pause', '1']
IS_COLD = {'access_pattern__nr_accesses__max': 0, 'access_pattern__age__min': 5}
IS_HOT = {'access_pattern__nr_accesses__min': 5}
QUOTA = {'quotas__bytes': 16 * MIB, 'quotas__reset_interval_ms': 1000}
THP = '/sys/kernel/mm/transparent_hugepage/'
ROW = '  %-10s %9s %5s %8s %7s %9s %9s %7s %8s %8s %6s %8s %7s'
HEAD = ('', 'applied', 'x', 'done', '90 %', 'hurt', 'late', 'faults', 'lost', 'CPU', 'x', 'settled', 'slower')


def swapped(workload):
    return memory_of(workload)[0]['Swap'] * 1024 / COLD


def huge(workload):
    return memory_of(workload)[0]['AnonHugePages'] * 1024 / HOT


def inactive(workload):
    flags = [f for at in range(workload.start, workload.end, 8 * MIB)
             if not workload.hot_start <= at < workload.hot_end
             for f in page_flags(workload, at, at + 16 * PAGE)]
    return sum(not f >> KPF_ACTIVE & 1 for f in flags) / len(flags)


def activate(workload):
    """What was read twice is on the active list."""
    with open('/proc/%d/mem' % workload.pid, 'rb', 0) as f:
        for at in [*range(workload.start, workload.end, MIB)] * 3:
            f.seek(at)
            f.read(MIB)


# name: what, the scheme, what tells how much of the work is done
SCHEMES = {
    'pageout': ('page out what is cold', {'action': 'pageout', **IS_COLD}, swapped),
    'quota': ('page out what is cold, 16 MiB a second at most',
              {'action': 'pageout', **IS_COLD, **QUOTA}, swapped),
    'cold': ('deactivate what is cold', {'action': 'cold', **IS_COLD}, inactive),
    'hugepage': ('huge pages for what is hot', {'action': 'hugepage', **IS_HOT}, huge),
}


def prepare():
    """The same layout of memory for all (gaps take their part of a quota), swap, and a fast khugepaged.

    On each CPU a process makes it switch memory more often than is looked, so that TCG sets accessed
    bits for all trees alike: see tests/vm/README.md.
    """
    write('/proc/sys/kernel/randomize_va_space', 0)
    if not has_swap():
        write('/sys/block/zram0/disksize', '1G')
        for command in ('mkswap', 'swapon'):
            subprocess.run([command, '/dev/zram0'], check=True, stdout=subprocess.DEVNULL)
    for name, value in (('enabled', 'madvise'), ('khugepaged/scan_sleep_millisecs', 10),
                        ('khugepaged/alloc_sleep_millisecs', 10), ('khugepaged/pages_to_scan', 100000)):
        write(THP + name, value)
    for cpu in os.sched_getaffinity(0):
        os.sched_setaffinity(Block(*SMALL).pid, {cpu})


def prices():
    """ns that a minor fault costs, and a major one."""
    memory, pages = mmap.mmap(-1, 16 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), 16 * MIB // PAGE
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    view, costs = memoryview(memory), []
    for advice in (mmap.MADV_NORMAL, mmap.MADV_NORMAL, 21):     # MADV_PAGEOUT
        memory.madvise(advice)
        began = time.thread_time_ns()
        view[::PAGE] = b'\1' * pages
        costs.append((time.thread_time_ns() - began) / pages)
    return max(costs[0] - costs[1], 0), max(costs[2] - costs[1], 0)


def faults(workload):
    """(minor, major) faults so far."""
    words = read('/proc/%d/stat' % workload.pid).rpartition(')')[2].split()
    return int(words[7]), int(words[9])


def act(kdamond, tree, workload, scheme, done, args):
    """The figures of one run."""
    kdamond.target(workload.pid)
    kdamond.attrs(args.sample, 20 * args.sample, 1000000)
    kdamond.stat_scheme()
    kdamond.set(**{'schemes__0__' + name: value for name, value in scheme.items()})
    if done is inactive:
        activate(workload)
    time.sleep(1)
    unwatched = pass_cost([workload], args.settle / 2)
    out, before, began = {'when': None}, faults(workload), time.monotonic()
    kdamond.state('on')
    while time.monotonic() - began < args.act:
        time.sleep(0.5)
        if out['when'] is None and done(workload) > 0.9:
            out['when'] = time.monotonic() - began
    out['hurt'] = (faults(workload)[1] - before[1]) * PAGE
    kdamond.state('update_schemes_stats')
    out.update(applied=int(read(kdamond.scheme + '/stats/sz_applied')), cpu=tree.cpu(), done=done(workload))
    absent = HOT // PAGE - len(present_frames(workload, workload.hot_start, workload.hot_end))
    before, passes, began, cpu = faults(workload), progress([workload])[0], time.monotonic(), tree.cpu()
    watched = pass_cost([workload], args.settle)
    minor, major = (now - then for now, then in zip(faults(workload), before))
    passes = max(progress([workload])[0] - passes, 1)
    out.update(late=(major + absent) * PAGE, faults=(minor + major) / passes,
               lost=(minor * args.prices[0] + major * args.prices[1]) / passes,
               settled=(tree.cpu() - cpu) / (time.monotonic() - began))
    kdamond.state('off')
    out['slower'] = watched / ((unwatched + pass_cost([workload], args.settle / 2)) / 2) - 1
    return out


def print_row(name, row, kernel):
    def ratio(figure):
        return '%.2f' % (row[figure] / kernel[figure]) if kernel and kernel[figure] else '-'

    print(ROW % (name, '%.0f MiB' % (row['applied'] / MIB), ratio('applied'), '%.1f %%' % (row['done'] * 100),
                 '-' if row['when'] is None else '%.1f s' % row['when'], '%.2f MiB' % (row['hurt'] / MIB),
                 '%.2f MiB' % (row['late'] / MIB), '%.1f' % row['faults'], '%.0f us' % (row['lost'] / 1e3),
                 '%.2f s' % row['cpu'], ratio('cpu'), '%.2f %%' % (row['settled'] * 100),
                 '%+.0f %%' % (row['slower'] * 100)), flush=True)


def compare(name, args):
    """The trees take turns, so that what else the host does hits all of them."""
    what, *scheme = SCHEMES[name]
    runs, errors = {tree: [] for tree in ['kernel', *args.methods.split(',')]}, {}
    for tree_name in [*runs] * args.runs:
        try:
            with Block(*WORK) as workload, contextlib.closing(Tree(tree_name, 1)) as tree:
                runs[tree_name].append(act(tree.kdamonds[0], tree, workload, *scheme, args))
            if args.raw:
                print(json.dumps({'scheme': name, 'tree': tree_name, **runs[tree_name][-1]}), flush=True)
        except Exception as e:  # the next may do better
            errors[tree_name] = '%s: %s' % (type(e).__name__, e)
    print('\n%s: %s\n%s' % (name, what, ROW % HEAD))
    kernel = None
    for tree_name, of in runs.items():
        if tree_name in errors:
            print('  %-10s %s' % (tree_name, errors[tree_name]), flush=True)
        if of:
            values = {k: [r[k] for r in of] for k in of[0]}
            mean = {k: None if None in v else statistics.mean(v) for k, v in values.items()}
            print_row(tree_name, mean, kernel)
            kernel = mean if tree_name == 'kernel' else kernel


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--methods', default='idle,young,softdirty')
    parser.add_argument('--sample', type=int, default=20000, metavar='US')
    parser.add_argument('--act', type=float, default=16, metavar='SECONDS')
    parser.add_argument('--settle', type=float, default=5, metavar='SECONDS')
    parser.add_argument('--runs', type=int, default=3, metavar='N')
    parser.add_argument('--raw', action='store_true', help='the figures of each run too')
    parser.add_argument('schemes', nargs='*', metavar='SCHEME', help=' '.join(SCHEMES))
    args = parser.parse_args()
    if not os.path.exists('/vm/command'):
        sys.exit('schemes.py: this is no guest of tests/vm/run')
    prepare()
    args.prices = prices()
    print('looks every %g ms, aggregated over 20; %g s, then %g s; means of %d; faults %.0f us, major %.0f' %
          (args.sample / 1000, args.act, args.settle, args.runs, *(p / 1000 for p in args.prices)))
    for name in args.schemes or SCHEMES:
        compare(name, args)


if __name__ == '__main__':
    main()
