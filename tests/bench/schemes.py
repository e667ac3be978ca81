#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of schemes-against-kernel that runs in the guest, as root: schemes, with one tree after another.

    schemes.py [OPTION]... [SCHEME...]

Prints a table for each scheme: means of --runs, each with a fresh workload that has 64 of its 512 MiB hot.
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
import json
import mmap
import os
import statistics
import subprocess
import sys
import time

from guest import MIB, PAGE, PAUSE, Block, Tree, pass_cost, progress, write
from damon import page_flags, present_frames
from test_schemes import KPF_ACTIVE, has_swap, memory_of

HOT, SIZE = 64 * MIB, 512 * MIB
COLD = SIZE - HOT
WORK = ['--size', str(SIZE), '--hot', str(HOT), '--at', '128M', '--step', '256M', '--pause', PAUSE]
SMALL = ['--size', '1M', '--hot', '1M', '--at', '0', '--access', 'none', '--pause', '1']
MANY = 2 ** 64 - 1
IS_COLD = {'nr_accesses': (0, 0), 'age': (5, MANY)}
IS_HOT = {'nr_accesses': (5, MANY)}
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


# name: what, action, for which regions, quota in bytes a second, what tells how much of the work is done
SCHEMES = {
    'pageout': ('page out what is cold', 'pageout', IS_COLD, 0, swapped),
    'quota': ('page out what is cold, 16 MiB a second at most', 'pageout', IS_COLD, 16 * MIB, swapped),
    'cold': ('deactivate what is cold', 'cold', IS_COLD, 0, inactive),
    'hugepage': ('huge pages for what is hot', 'hugepage', IS_HOT, 0, huge),
}


def prepare():
    """The same layout of memory for all (gaps take their part of a quota), swap, and a fast khugepaged.

    Return: a process for each CPU that makes it switch memory more often than is looked, so that TCG
    sets accessed bits for all trees alike: see tests/vm/README.md.
    """
    write('/proc/sys/kernel/randomize_va_space', 0)
    if not has_swap():
        write('/sys/block/zram0/disksize', '1G')
        for command in ('mkswap', 'swapon'):
            subprocess.run([command, '/dev/zram0'], check=True, stdout=subprocess.DEVNULL)
    for name, value in (('enabled', 'madvise'), ('khugepaged/scan_sleep_millisecs', 10),
                        ('khugepaged/alloc_sleep_millisecs', 10), ('khugepaged/pages_to_scan', 100000)):
        write(THP + name, value)
    others = [Block(*SMALL) for _ in os.sched_getaffinity(0)]
    for cpu, other in enumerate(others):
        os.sched_setaffinity(other.pid, {cpu})
    return others


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
    with open('/proc/%d/stat' % workload.pid) as f:
        words = f.read().rpartition(')')[2].split()
    return int(words[7]), int(words[9])


def order(kdamond, workload, sample, action, pattern, quota):
    kdamond.target(workload.pid)
    kdamond.attrs(sample, 20 * sample, 1000000)
    kdamond.stat_scheme()
    for name, (least, most) in pattern.items():
        write('%s/access_pattern/%s/min' % (kdamond.scheme, name), least)
        write('%s/access_pattern/%s/max' % (kdamond.scheme, name), most)
    write(kdamond.scheme + '/quotas/bytes', quota)
    write(kdamond.scheme + '/quotas/reset_interval_ms', 1000)
    write(kdamond.scheme + '/action', action)


def act(tree, workload, scheme, args):
    """The figures of one run."""
    kdamond, = tree.kdamonds
    _, action, pattern, quota, done = scheme
    order(kdamond, workload, args.sample, action, pattern, quota)
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
    with open(kdamond.scheme + '/stats/sz_applied') as f:
        out['applied'] = int(f.read())
    out.update(cpu=tree.cpu(), done=done(workload))
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


def run(tree_name, scheme, args):
    workload, tree = Block(*WORK), None
    try:
        tree = Tree(tree_name, 1)
        return act(tree, workload, scheme, args)
    finally:
        if tree:
            tree.close()
        workload.close()


def print_row(name, row, kernel):
    def ratio(figure):
        return '%.2f' % (row[figure] / kernel[figure]) if kernel and kernel[figure] else '-'

    print(ROW % (name, '%.0f MiB' % (row['applied'] / MIB), ratio('applied'), '%.1f %%' % (row['done'] * 100),
                 '-' if row['when'] is None else '%.1f s' % row['when'], '%.2f MiB' % (row['hurt'] / MIB),
                 '%.2f MiB' % (row['late'] / MIB), '%.1f' % row['faults'], '%.0f us' % (row['lost'] / 1e3),
                 '%.2f s' % row['cpu'], ratio('cpu'), '%.2f %%' % (row['settled'] * 100),
                 '%+.0f %%' % (row['slower'] * 100)), flush=True)


def compare(name, args):
    """Runs take turns: what else the host does is shared by all."""
    trees = ['kernel', *args.methods.split(',')]
    runs, errors = {tree: [] for tree in trees}, {}
    for tree in trees * args.runs:
        try:
            runs[tree].append(run(tree, SCHEMES[name], args))
            if args.raw:
                print(json.dumps({'scheme': name, 'tree': tree, **runs[tree][-1]}), flush=True)
        except Exception as e:  # the next may do better
            errors[tree] = '%s: %s' % (type(e).__name__, e)
    print('\n%s: %s\n%s' % (name, SCHEMES[name][0], ROW % HEAD))
    means = {tree: {k: None if None in [r[k] for r in of] else statistics.mean(r[k] for r in of)
                    for k in of[0]} for tree, of in runs.items() if of}
    for tree in trees:
        if tree in means:
            print_row(tree, means[tree], means.get('kernel') if tree != 'kernel' else None)
        if tree in errors:
            print('  %-10s %s' % (tree, errors[tree]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--methods', default='idle,young,softdirty')
    parser.add_argument('--sample', type=int, default=20000, metavar='US')
    parser.add_argument('--act', type=float, default=24, metavar='SECONDS')
    parser.add_argument('--settle', type=float, default=8, metavar='SECONDS')
    parser.add_argument('--runs', type=int, default=1, metavar='N')
    parser.add_argument('--raw', action='store_true', help='the figures of each run too')
    parser.add_argument('schemes', nargs='*', metavar='SCHEME', help=' '.join(SCHEMES))
    args = parser.parse_args()
    if not os.path.exists('/vm/command'):
        sys.exit('schemes.py: this is no guest of tests/vm/run')
    others = prepare()
    args.prices = prices()
    print('looks every %g ms, aggregated over 20; %g s, then %g s; means of %d; faults %.0f us, major %.0f' %
          (args.sample / 1000, args.act, args.settle, args.runs, *(p / 1000 for p in args.prices)))
    for name in args.schemes or SCHEMES:
        compare(name, args)
    for other in others:
        other.close()


if __name__ == '__main__':
    main()
