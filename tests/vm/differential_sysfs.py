#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does the same random things to the guest's /sys/kernel/mm/damon/admin and to damonfs.

    differential_sysfs.py ABI [--steps N] [--seed S] [--trees]

A step writes a file, often badly, or gives a command.  After each, both must have answered the same errno,
have the same in that file and be in the same state, and after those that make or remove directories the same
there; every 100th time, and before a new start, all files must be the same, with their modes and contents, but
for what is measured.  Left out is what the kernel is known to fall over (docs/kernel-7.0.md).  Runs in a guest
of tests/vm/run, as root, because it takes the kernel's DAMON for itself; --trees compares two mounts of damonfs
anywhere.  Prints the seed, what differs, and 'N passed, M failed' (a step is a test); exit status 1 if one
failed.
"""
import contextlib
import errno
import os
import re
import time

from differential import begin, damonfs_at, end, sleepers

KERNEL = '/sys/kernel/mm/damon/admin'
NUMBERS = ['0', '1', '2', '7', '42', '4095', '4096', '100000', '4294967295', '4294967296',
           '18446744073709551615', '18446744073709551616', '-1', '-0', '+1', '0x10', '010', '3 ', ' 3', '3\n']
JUNK = ['x', '', ' ', 'on', 'N', '1 2', '%d', '\0', 'Y\0', 'stat stat', '1.5', '--1']
BOOLS = ['Y', 'N', '1', '0', 'y', 'n', 'on', 'off', 'true', 'maybe', '2', 'Y\n']
WORDS = {
    'operations': ['vaddr', 'fvaddr', 'paddr', 'vaddr\n', 'Vaddr', 'none'],
    # Actions that do no harm to sleepers, nor take long.
    'action': ['stat', 'cold', 'willneed', 'stat\n', 'nothing', 'STAT', 'collapse'],
    'metric': ['none', 'free_mem_rate', 'none\n', 'full'],
    'target_metric': ['user_input', 'some_mem_psi_us', 'user_input\n', 'active_mem_bp', 'inactive_mem_bp', 'bp'],
    'type': ['anon', 'memcg', 'young', 'addr', 'target', 'hugepage_size', 'active', 'unmapped', 'nothing'],
}
FLAGS = {'matching', 'allow', 'obsolete_target'}
TEXTS = {'memcg_path': ['/', '/no/such', 'x', '/\n'], 'path': ['/', '/no/such', '', 'a b\n']}
COMMANDS = ['commit', 'commit', 'update_schemes_stats', 'update_schemes_tried_regions',
            'update_schemes_tried_bytes', 'clear_schemes_tried_regions', 'commit_schemes_quota_goals',
            'update_schemes_effective_quotas', 'update_tuned_intervals', 'on', 'off', 'ON', 'nothing', 'commit\n']
# What is measured, or named at random.
MEASURED = re.compile(r'/(stats/(?!max_)|quotas/effective_bytes|tried_regions(/|$)|intervals/(sample|aggr)_us)')


def errno_of(call, *arguments):
    try:
        call(*arguments)
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))
    return 0


class Tree:
    def __init__(self, base):
        self.base = base

    def write_file(self, name, data):
        fd = os.open(os.path.join(self.base, name), os.O_WRONLY)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)

    def write(self, name, text):
        return errno_of(self.write_file, name, text.encode())

    def read(self, name):
        try:
            with open(os.path.join(self.base, name), 'rb') as f:
                return f.read().decode('latin-1')
        except OSError as e:
            return errno.errorcode[e.errno]

    def look_again(self, files, names):
        """Brings NAMES in FILES, what files() said, up to date."""
        for name in names:
            if name in files and not MEASURED.search('/' + name):
                files[name] = (files[name][0], self.shown(name))

    def shown(self, name):
        text = self.read(name)
        return str(int(text) >= 0) if name.endswith('/pid') and re.fullmatch(r'-?\d+\n', text) else text

    def list_again(self, files, under):
        """Brings all that is below the directory UNDER in FILES up to date."""
        for name in [n for n in files if n.startswith(under + '/')]:
            del files[name]
        files.update(self.files(under))

    def files(self, under=''):
        """Those below UNDER by name: the mode, and the contents where they are not measured."""
        out = {}
        for place, directories, names in os.walk(os.path.join(self.base, under).rstrip('/')):
            here = place[len(self.base):]
            directories[:] = sorted(d for d in directories if not MEASURED.search('%s/%s' % (here, d)))
            for name in names:
                path = '%s/%s' % (here, name)
                mode = os.lstat(place + '/' + name).st_mode & 0o777
                out[path[1:]] = (mode, '' if MEASURED.search(path) else self.shown(path[1:]))
        return out


class Steps:
    """What to do next, by what files there are."""

    def __init__(self, rng, pids):
        self.rng, self.pids = rng, pids

    def value(self, path, running):
        name = os.path.basename(path)
        roll = self.rng.random()
        if roll < 0.05:
            return self.rng.choice(JUNK)
        if name in ('nr_kdamonds', 'nr_contexts'):
            return self.rng.choice(['1', '1', '1', '0', '2', '-1', 'x', '1\n'])
        if name.startswith('nr_') and '/nr_regions/' not in '/' + path and name != 'nr_accesses':
            return self.rng.choice(['0', '1', '1', '2', '2', '3', '-1', 'x'])
        if name == 'pid_target':
            return self.rng.choice([str(p) for p in self.pids] * 6 + ['0', '-1', '1 ', 'x', '99999999999'])
        if name in WORDS:
            return self.rng.choice(WORDS[name])
        if name in FLAGS:
            return self.rng.choice(BOOLS)
        if name in TEXTS:
            return self.rng.choice(TEXTS[name])
        if name in ('nid', 'target_nid'):
            return self.rng.choice(['0', '0', 'x', ''])
        if name == 'addr_unit':
            return self.rng.choice(['1', '1', '2', '4096', '0', 'x'])
        if name == 'refresh_ms':
            return self.rng.choice(['0', '0', 'x', '-1'])
        if path.endswith('watermarks/interval_us'):
            # A kdamond that sleeps answers nobody.
            return self.rng.choice(['0', '1000', '20000', 'x'])
        region = re.search(r'/regions/(\d+)/(start|end)$', path)
        if region and roll < 0.9:
            return str(4096 * (4 * int(region[1]) + (1 if region[2] == 'start' else 3)))
        if '/intervals/' in path or '/nr_regions/' in path or name == 'apply_interval_us':
            usual = {'sample_us': ['5000', '10000'], 'aggr_us': ['100000', '200000'],
                     'update_us': ['1000000'], 'min': ['10', '3'], 'max': ['1000', '20', '2'],
                     'apply_interval_us': ['0', '100000']}
            return self.rng.choice(usual.get(name, ['0', '0', '1000', '10000']) + (['x'] if running else ['0', 'x']))
        return self.rng.choice(NUMBERS)

    def next(self, files, running, used):
        """A file and a text.  What a kernel falls over is not among them."""
        names = [n for n, (mode, _) in files.items() if mode & 0o200]
        # Other commands want a context, and crash 7.0-rc3 without.
        commands = [c for c in COMMANDS if c.startswith(('on', 'off', 'commit', 'ON', 'nothing'))]
        if files.get('0/contexts/nr_contexts', ('', ''))[1] == '1\n':
            commands = COMMANDS
        # It could be turned on with a target to be removed, and then refuses all later commits.
        if not running and any(n.endswith('obsolete_target') and text == 'Y\n' for n, (_, text) in files.items()):
            commands = [c for c in commands if c.strip() != 'on']
        if has_odd_regions(files):
            commands = [c for c in commands if c.strip() not in ('on', 'commit')]
        while True:
            if self.rng.random() < (0.35 if running else 0.2) and '0/state' in files:
                return '0/state', self.rng.choice(commands)
            name = self.rng.choice([n for n in names if not n.endswith('/state')])
            if used and name.endswith('nr_contexts'):
                continue                        # the same
            if name.endswith('obsolete_target') and not running:
                continue                        # for the same reason
            text = self.value(name, running)
            if never_walked(files, name, text):
                continue
            return name, text


def never_walked(files, name, text):
    """A scheme that its watermarks stop, and that looks at them never again, keeps who asks for tried regions."""
    directory, base = os.path.split(name)
    if not directory.endswith('watermarks') or base not in ('metric', 'interval_us'):
        return False
    other = files['%s/%s' % (directory, 'interval_us' if base == 'metric' else 'metric')][1]
    return text.startswith('free') and other == '0\n' or text == '0' and other.startswith('free')


def clean(tree):
    """Off, and as a tree is at first."""
    tree.write('0/state', 'off')
    for _ in range(100):
        if not tree.write('nr_kdamonds', '0'):
            return
        time.sleep(0.1)


def prepare(tree, pid):
    """The first kdamond could be turned on."""
    for name, text in (('0/contexts/nr_contexts', '1'), ('0/contexts/0/targets/nr_targets', '1'),
                       ('0/contexts/0/targets/0/pid_target', str(pid)), ('0/contexts/0/schemes/nr_schemes', '1')):
        tree.write(name, text)


def has_odd_regions(files):
    """7.0 takes regions that are empty or that overlap on pages, and divides by zero when it merges two empty ones."""
    end, before = 0, None
    for name in sorted(n for n in files if re.search(r'/regions/\d+/start$', n)):
        target = name.partition('/regions/')[0]
        first, last = (int(files[n][1]) for n in (name, name[:-len('start')] + 'end'))
        if first == last or (target == before and first & -4096 < (end + 4095) & -4096):
            return True
        before, end = target, last
    return False


def difference(shown):
    return ['    %s: %r, %r' % (name, shown[0].get(name), shown[1].get(name))
            for name in sorted(set(shown[0]) | set(shown[1])) if shown[0].get(name) != shown[1].get(name)]


def main():
    args, rng = begin(__doc__, '--steps')
    with contextlib.ExitStack() as stack:
        pids = stack.enter_context(sleepers(3))
        trees = [Tree(stack.enter_context(damonfs_at(args.abi)) + '/admin/kdamonds')]
        other = stack.enter_context(damonfs_at(args.abi)) + '/admin/kdamonds' if args.trees else KERNEL + '/kdamonds'
        trees.insert(0, Tree(other))
        for tree in trees:
            stack.callback(clean, tree)
        end(*compare(rng, trees, pids, args.number))


def settled(trees):
    """All files of each, and how they differ; one may be off a moment after the other."""
    for wait in (0.5, 0.5, 0):
        shown = [tree.files() for tree in trees]
        different = difference(shown)
        if not different:
            break
        time.sleep(wait)
    return shown, different


def told(what, different):
    """Prints WHAT, a failed step, and how all files differ.  Returns 1."""
    print(what)
    print('\n'.join(different[:10]), flush=True)
    return 1


def missed(step, trees):
    """1 if any file differs, which the steps before STEP may have missed, or 0."""
    different = settled(trees)[1]
    return told('before step %d:' % step, different) if different else 0


def compare(rng, trees, pids, number):
    steps = Steps(rng, pids)
    passed = failed = on = 0
    used, fresh = False, True
    shown = []
    for i in range(number):
        # A new start now and then: what was used once is used with more care.
        if fresh or rng.random() < 0.02:
            failed += 0 if fresh else missed(i, trees)
            for tree in trees:
                clean(tree)
                tree.write('nr_kdamonds', '1')
                prepare(tree, pids[0])
            # Before much is wrong with it.
            if rng.random() < 0.5:
                for tree in trees:
                    tree.write('0/state', 'on')
            used = fresh = False
            shown = []
        shown = shown or [tree.files() for tree in trees]
        running = shown[0].get('0/state', ('', ''))[1] == 'on\n'
        used |= running
        on += running
        name, text = steps.next(shown[0], running, used)
        answers = [tree.write(name, text or ' ') for tree in trees]
        directory, base = os.path.split(name)
        if not directory or i % 100 == 0 or answers[0] != answers[1]:
            shown = [tree.files() for tree in trees]
        for tree, files in zip(trees, shown):
            if base.startswith('nr_'):
                tree.list_again(files, directory)
            tree.look_again(files, [name, '0/state', '0/pid'])
        different = difference(shown)
        if different:
            shown, different = settled(trees)
        if answers[0] == answers[1] and not different:
            passed += 1
            continue
        fresh = True
        failed += told('step %d: %r to %s (%s): the first says %s, the second %s' %
                       (i, text, name, 'on' if running else 'off', *answers), different)
        if failed >= 30:
            break
    failed += 0 if fresh else missed(number, trees)
    print('%d steps while on' % on)
    # Nothing was tried while nothing was on.
    return passed, failed + (not on)


if __name__ == '__main__':
    main()
