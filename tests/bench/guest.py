#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of against-kernel that runs in the guest, as root: watches a workload with one tree after another.

    guest.py [--sample US] [--settle SECONDS] [--short] WORKLOAD TREE...

TREE is `kernel', the guest kernel's own DAMON, or a method, for damonfs with that method; `METHOD-nobpf'
forbids damonfs to use BPF.  Prints for each tree one line of JSON: figures, or `error'; --short leaves
out how long a move takes.  Refuses to run anywhere but in a guest of tests/vm/run, because it takes the
kernel's DAMON for itself.

    guest.py --spots            is the workload with many small hot spots
"""
import argparse
import ctypes
import json
import mmap
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'mount'))

from damon import (MIB, Kdamond, Mount, UnprivilegedMount, Workload, hot_regions,  # noqa: E402
                   overlap, write)

KERNEL = '/sys/kernel/mm/damon/admin'
PAGE = 4096
PAUSE = '1000'          # without a rest now and then, TCG does not set accessed bits again
MOVE_LIMIT = 30         # seconds that a moved hot part may take to be seen
SPOTS, SPOT, HEAP = 16, MIB, 512 * MIB
BLOCK = ['--size', '512M', '--hot', '32M', '--at', '128M', '--step', '256M', '--pause', PAUSE]
SMALL = ['--size', '32M', '--hot', '4M', '--at', '8M', '--step', '16M', '--pause', '20000']

# name: what, arguments of the workload, how many of it, in one kdamond or one each, least regions
WORKLOADS = {
    'block': ('32 MiB hot in 512 MiB', BLOCK, 1, 1, 10),
    'forced': ('the same, at least 1000 regions', BLOCK, 1, 1, 1000),
    'sweep': ('the 32 MiB move on by as much every 2 s',
              BLOCK + ['--move', '2', '--step', '32M'], 1, 1, 10),
    'spots': ('16 spots of 1 MiB in 512 MiB', None, 1, 1, 10),
    'huge': ('32 MiB hot in 512 MiB of huge pages', BLOCK + ['--kind', 'huge'], 1, 1, 10),
    'shared': ('32 MiB hot in 512 MiB that two processes share',
               BLOCK + ['--kind', 'shared'], 1, 1, 10),
    'targets': ('16 processes of 32 MiB, 4 MiB hot: 16 targets of a kdamond', SMALL, 16, 1, 10),
    'kdamonds': ('16 processes of 32 MiB, 4 MiB hot: 16 kdamonds', SMALL, 16, 16, 10),
}


def spots():
    """The workload with many small hot spots; speaks like tests/workload.c."""
    memory = mmap.mmap(-1, HEAP, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    view = memoryview(memory)
    view[::PAGE] = bytes(HEAP // PAGE)
    print('pid=%d start=%d end=%d hot_start=%d hot_end=%d' %
          (os.getpid(), base, base + HEAP, base, base + HEAP), flush=True)
    text = bytes(SPOT // PAGE)
    while True:
        for i in range(SPOTS):
            at = spot(i)
            view[at:at + SPOT:PAGE] = text
        time.sleep(int(PAUSE) / 1e6)


def spot(i):
    return i * (HEAP // SPOTS) + HEAP // SPOTS // 2


class Spots(Workload):
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), '--spots'],
                                        stdout=subprocess.PIPE, text=True)
        self.report()

    def truth(self):
        return [(self.start + spot(i), self.start + spot(i) + SPOT) for i in range(SPOTS)]


class Block(Workload):
    """One that may move by itself: its latest report counts."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        os.set_blocking(self.process.stdout.fileno(), False)

    def truth(self):
        while True:
            line = self.process.stdout.readline()
            if not line:
                return [(self.hot_start, self.hot_end)]
            for word in line.split():
                name, _, value = word.partition('=')
                setattr(self, name, int(value))

    def move(self):
        old = self.hot_start
        self.process.send_signal(10)
        end = time.monotonic() + 5
        while self.hot_start == old and time.monotonic() < end:
            time.sleep(0.002)
            self.truth()

    def close(self):
        os.set_blocking(self.process.stdout.fileno(), True)
        self.process.kill()
        self.process.stdout.read()
        self.process.wait()


def start_workloads(name):
    _, arguments, number, _, _ = WORKLOADS[name]
    return [Block(*arguments) if arguments else Spots() for _ in range(number)]


def progress(workloads):
    """(passes over their hot parts, each of which ends with a rest: a switch; ns of CPU for them)"""
    passes = ran = 0
    for workload in workloads:
        with open('/proc/%d/status' % workload.pid) as f:
            passes += sum(int(line.split()[1]) for line in f if line.startswith('voluntary'))
        with open('/proc/%d/schedstat' % workload.pid) as f:
            ran += int(f.read().split()[0])
    return passes, ran


def pass_cost(workloads, seconds):
    """ns of CPU that a pass takes, in the coming seconds: of many short whiles the fastest tenth.

    The pace by the clock would tell of little but of how late the emulator wakes the workload, and
    in the slower ones it is the host that was busy.
    """
    costs, end = [], time.monotonic() + seconds
    last = progress(workloads)
    while time.monotonic() < end:
        time.sleep(0.25)
        now = progress(workloads)
        if now[0] > last[0]:
            costs.append((now[1] - last[1]) / (now[0] - last[0]))
            last = now
    return statistics.quantiles(costs, n=10)[0]


class Tree:
    """The kernel's own, or a mount's."""

    def __init__(self, name, number):
        self.mount = None
        if name == 'kernel':
            write(KERNEL + '/kdamonds/nr_kdamonds', number)
            self.kdamonds = [Kdamond('%s/kdamonds/%d' % (KERNEL, i)) for i in range(number)]
        else:
            method = 'method=' + name.removesuffix('-nobpf')
            if name.endswith('-nobpf'):
                self.mount = UnprivilegedMount(('bpf', 'perfmon', 'sys_admin'), method, 'log=info')
            else:
                self.mount = Mount(method, 'log=info')
            self.kdamonds = self.mount.kdamonds(number)

    def cpu(self):
        """Seconds of CPU of the workers, so far."""
        total = 0
        for kdamond in self.kdamonds:
            with open('/proc/%d/schedstat' % kdamond.pid()) as f:
                total += int(f.read().split()[0])
        return total / 1e9

    def daemon_cpu(self):
        """Of all of damonfs: the workers, and answering requests."""
        if not self.mount:
            return None
        with open('/proc/%d/stat' % self.mount.process.pid) as f:
            words = f.read().rpartition(')')[2].split()
        return self.cpu() + (int(words[11]) + int(words[12])) / os.sysconf('SC_CLK_TCK')

    def close(self):
        for kdamond in self.kdamonds:
            try:
                kdamond.state('off')
            except OSError:
                pass
        if self.mount:
            self.mount.close()
        else:
            write(KERNEL + '/kdamonds/nr_kdamonds', 0)


def update(kdamond):
    kdamond.state('update_schemes_tried_regions')


def snapshot(kdamond):
    """Kdamond.snapshot() after update(), with less to do for each of a thousand regions."""
    regions = []
    base = os.open(kdamond.scheme + '/tried_regions', os.O_RDONLY)
    for name in os.listdir(base):
        if name.isdigit():
            region = []
            for file in ('/start', '/end', '/nr_accesses'):
                fd = os.open(name + file, os.O_RDONLY, dir_fd=base)
                region.append(int(os.read(fd, 32)))
                os.close(fd)
            regions.append(region)
    os.close(base)
    return regions


def look(kdamond, workloads):
    """(found hot bytes, of them truly hot, truly hot, number of regions) in a snapshot."""
    update(kdamond)
    truth = [t for w in workloads for t in w.truth()]   # before it moves on
    regions = snapshot(kdamond)
    hot = hot_regions(regions)
    return (sum(r[1] - r[0] for r in hot), sum(overlap(hot, *t) for t in truth),
            sum(t[1] - t[0] for t in truth), len(regions))


def until_moved(kdamond, workload):
    """Seconds until the new hot part is seen and the old one is not; None: not in time."""
    old, = workload.truth()
    workload.move()
    new, = workload.truth()
    moved = time.monotonic()
    while time.monotonic() - moved < MOVE_LIMIT:
        update(kdamond)
        hot = hot_regions(snapshot(kdamond))
        if overlap(hot, *new) > 0.8 * (new[1] - new[0]) and \
                overlap(hot, *old) < 0.1 * (old[1] - old[0]):
            return time.monotonic() - moved
    return None


def huge_bytes(workload):
    with open('/proc/%d/smaps_rollup' % workload.pid) as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith('AnonHugePages'))


def watch(name, tree_name, args):
    _, arguments, number, nr_kdamonds, least = WORKLOADS[name]
    workloads = start_workloads(name)
    huge = huge_bytes(workloads[0])
    tree = None
    try:
        tree = Tree(tree_name, nr_kdamonds)
        each = number // nr_kdamonds
        groups = [workloads[i * each:(i + 1) * each] for i in range(nr_kdamonds)]
        for kdamond, group in zip(tree.kdamonds, groups):
            kdamond.target(*[w.pid for w in group])
            kdamond.attrs(args.sample, 20 * args.sample, 1000000, least, max(1000, least * 2))
            kdamond.stat_scheme()
        time.sleep(1)
        unwatched = pass_cost(workloads, args.settle / 4)
        for kdamond in tree.kdamonds:
            kdamond.state('on')
        time.sleep(args.settle / 2)
        before, since, daemon = tree.cpu(), time.monotonic(), tree.daemon_cpu()
        watched = pass_cost(workloads, args.settle / 2)
        spent = time.monotonic() - since
        out = {'cpu': (tree.cpu() - before) / spent}
        if daemon is not None:
            out['daemon_cpu'] = (tree.daemon_cpu() - daemon) / spent
        looks, since = [], time.monotonic()
        while len(looks) < 3 or (len(looks) < 10 and time.monotonic() - since < args.settle):
            parts = [look(k, g) for k, g in zip(tree.kdamonds, groups)]
            looks.append([sum(p[i] for p in parts) for i in range(4)])
        true = looks[0][2]
        out.update(true=true, found=statistics.median(x[0] for x in looks) / true,
                   covered=statistics.median(x[1] for x in looks) / true,
                   false=statistics.median(x[0] - x[1] for x in looks) / true,
                   regions=statistics.median(x[3] for x in looks))
        # of a check: a look at one address
        out['check_ns'] = out['cpu'] * args.sample * 1000 / max(out['regions'], 1)
        if arguments and '--move' not in arguments and name != 'forced' and not args.short:
            out['moved'] = until_moved(tree.kdamonds[0], workloads[0])
        if huge:
            out.update(huge=huge, huge_after=huge_bytes(workloads[0]))
        for kdamond in tree.kdamonds:
            kdamond.state('off')
        out['slowdown'] = watched / ((unwatched + pass_cost(workloads, args.settle / 4)) / 2) - 1
        if tree.mount:
            out['log'] = tree.mount.logged()
        return out
    finally:
        if tree:
            tree.close()
        for w in workloads:
            w.close()


def main():
    if sys.argv[1:] == ['--spots']:
        spots()
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sample', type=int, default=20000, metavar='US')
    parser.add_argument('--settle', type=float, default=16, metavar='SECONDS')
    parser.add_argument('--short', action='store_true')
    parser.add_argument('workload', choices=WORKLOADS)
    parser.add_argument('trees', nargs='+', metavar='TREE')
    args = parser.parse_args()
    if not os.path.exists('/vm/command'):
        sys.exit('guest.py: this is no guest of tests/vm/run')
    for tree in args.trees:
        out = {'workload': args.workload, 'what': WORKLOADS[args.workload][0], 'tree': tree}
        try:
            out.update(watch(args.workload, tree, args))
        except Exception as e:  # the next tree may do better
            out['error'] = '%s: %s' % (type(e).__name__, e)
        print(json.dumps(out), flush=True)


if __name__ == '__main__':
    main()
