#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of schemes-against-kernel that runs in the guest, as root: one scheme, with one tree after another.

    schemes.py [--sample US] [--act SECONDS] [--settle SECONDS] [--runs N] SCHEME TREE...

TREE is as for guest.py.  Prints for each tree one line of JSON: the means of its runs, or `error'.  Each run
has a fresh workload.  It takes the guest's DAMON, swap and settings of huge pages for itself.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from guest import MIB, PAGE, PAUSE, Block, Tree, pass_cost, progress, write
from damon import present_frames
from test_schemes import has_swap, memory_of

HOT, SIZE = 64 * MIB, 512 * MIB
COLD = SIZE - HOT
WORK = ['--size', str(SIZE), '--hot', str(HOT), '--at', '128M', '--step', '256M', '--pause', PAUSE]
MANY = 2 ** 64 - 1
IS_COLD = {'nr_accesses': (0, 0), 'age': (5, MANY)}
IS_HOT = {'nr_accesses': (5, MANY)}
THP = '/sys/kernel/mm/transparent_hugepage/'


def swapped(sums):
    return sums['Swap'] * 1024 / COLD


def huge(sums):
    return sums['AnonHugePages'] * 1024 / HOT


def unreferenced(sums):
    return (SIZE - sums['Referenced'] * 1024) / COLD


# name: what, action, for which regions, quota in bytes a second, what tells how much of the work is done
SCHEMES = {
    'pageout': ('page out what is cold', 'pageout', IS_COLD, 0, swapped),
    'quota': ('page out what is cold, 16 MiB a second at most', 'pageout', IS_COLD, 16 * MIB, swapped),
    'cold': ('deactivate what is cold', 'cold', IS_COLD, 0, unreferenced),
    'hugepage': ('huge pages for what is hot', 'hugepage', IS_HOT, 0, huge),
}


def prepare():
    if not has_swap():
        write('/sys/block/zram0/disksize', '1G')
        for command in ('mkswap', 'swapon'):
            subprocess.run([command, '/dev/zram0'], check=True, stdout=subprocess.DEVNULL)
    for name, value in (('enabled', 'madvise'), ('khugepaged/scan_sleep_millisecs', 10),
                        ('khugepaged/alloc_sleep_millisecs', 10), ('khugepaged/pages_to_scan', 100000)):
        write(THP + name, value)


def spent(workload):
    """(minor faults, major faults, user ticks, system ticks) of the workload so far."""
    with open('/proc/%d/stat' % workload.pid) as f:
        words = f.read().rpartition(')')[2].split()
    return [int(words[i]) for i in (7, 9, 11, 12)]


def since(workload, then):
    return [a - b for a, b in zip(spent(workload), then)]


def order(kdamond, workload, sample, scheme):
    _, action, pattern, quota, _ = scheme
    kdamond.target(workload.pid)
    kdamond.attrs(sample, 20 * sample, 1000000)
    kdamond.stat_scheme()
    for name, (least, most) in pattern.items():
        write('%s/access_pattern/%s/min' % (kdamond.scheme, name), least)
        write('%s/access_pattern/%s/max' % (kdamond.scheme, name), most)
    write(kdamond.scheme + '/quotas/bytes', quota)
    write(kdamond.scheme + '/quotas/reset_interval_ms', 1000)
    write(kdamond.scheme + '/action', action)


def stat(kdamond, name):
    kdamond.state('update_schemes_stats')
    with open('%s/stats/%s' % (kdamond.scheme, name)) as f:
        return int(f.read())


def system_share(used):
    return used[3] / max(used[2] + used[3], 1)


def act(tree, workload, scheme, args):
    """The figures of one run: until it is unwatched again."""
    kdamond, = tree.kdamonds
    done = scheme[-1]
    order(kdamond, workload, args.sample, scheme)
    time.sleep(1)
    then = spent(workload)
    unwatched = pass_cost([workload], args.settle / 2)
    own = system_share(since(workload, then))
    then, began = spent(workload), time.monotonic()
    kdamond.state('on')
    out = {'when': None}
    while time.monotonic() - began < args.act:
        time.sleep(0.5)
        if out['when'] is None and done(memory_of(workload)[0]) > 0.9:
            out['when'] = time.monotonic() - began
    used = since(workload, then)
    out.update(applied=stat(kdamond, 'sz_applied'), tried=stat(kdamond, 'sz_tried'), cpu=tree.cpu(),
               done=done(memory_of(workload)[0]), hurt=used[1] * PAGE, lost=system_share(used) - own)
    absent = HOT // PAGE - len(present_frames(workload, workload.hot_start, workload.hot_end))
    then, passes, began, cpu = spent(workload), progress([workload])[0], time.monotonic(), tree.cpu()
    watched = pass_cost([workload], args.settle)
    minor, major, *_ = since(workload, then)
    passes = progress([workload])[0] - passes
    out.update(late=(major + absent) * PAGE, faults=(minor + major) / passes,
               settled_cpu=(tree.cpu() - cpu) / (time.monotonic() - began))
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


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sample', type=int, default=20000, metavar='US')
    parser.add_argument('--act', type=float, default=24, metavar='SECONDS')
    parser.add_argument('--settle', type=float, default=8, metavar='SECONDS')
    parser.add_argument('--runs', type=int, default=1, metavar='N')
    parser.add_argument('scheme', choices=SCHEMES)
    parser.add_argument('trees', nargs='+', metavar='TREE')
    args = parser.parse_args()
    if not os.path.exists('/vm/command'):
        sys.exit('schemes.py: this is no guest of tests/vm/run')
    prepare()
    for tree in args.trees:
        out = {'scheme': args.scheme, 'what': SCHEMES[args.scheme][0], 'tree': tree}
        try:
            runs = [run(tree, SCHEMES[args.scheme], args) for _ in range(args.runs)]
            for name in runs[0]:
                values = [r[name] for r in runs]
                out[name] = None if None in values else statistics.mean(values)
            out['runs'] = runs
        except Exception as e:  # the next tree may do better
            out['error'] = '%s: %s' % (type(e).__name__, e)
        print(json.dumps(out), flush=True)


if __name__ == '__main__':
    main()
