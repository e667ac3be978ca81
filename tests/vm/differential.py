#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the same random texts to the debugfs files of the guest's kernel and of damonfs.

    differential.py ABI [--writes N] [--seed S] [--trees]

After each write both must have answered the same errno and show the same in every file.  Runs in a guest
of tests/vm/run, as root, because it takes the kernel's DAMON for itself; --trees compares two mounts of
damonfs, anywhere.  Prints the seed, what differs,
and 'N passed, M failed' (a write is a test); exit status 1 if a write failed.
"""
import argparse
import contextlib
import errno
import os
import random
import subprocess
import sys
import tempfile
import time

KERNEL = '/sys/kernel/debug/damon'
FILES = ['attrs', 'target_ids', 'init_regions', 'schemes', 'kdamond_pid']
CONTEXTS = ['', 'foo/', 'bar/']
NUMBERS = ['0', '1', '2', '3', '10', '42', '4095', '4096', '100000', '4294967295', '4294967296',
           '4294967301', '18446744073709551615', '18446744073709551616', '18446744073709551700',
           '99999999999999999999999', '-1', '-0', '-5', '+1', '0x10', '007', '9223372036854775808']
SPACES = [' ', ' ', ' ', ' ', '\n', '\t', '  ', ' \n ', '\v', '\f', '\r', '\u00a0']
JUNK = ['x', 'on', 'off', ',', '.', '/', 'paddr', 'paddr\n', 'vaddr', '\0', 'a b', '', '%d', '-', '--1', '1-2']
# No second interval of these: it would not end within the test.
SCHEME = ['0', '18446744073709551615', '0', '20', '0', '100', '5', '0', '0', '0', '0', '0', '0', '0', '0',
          '0', '0', '0']


class Texts:
    """What to write, by file."""

    def __init__(self, rng, pids):
        self.rng = rng
        self.pids = pids

    def number(self, usual):
        return self.rng.choice(NUMBERS) if self.rng.random() < 0.1 else usual

    def join(self, words):
        text = ''
        if self.rng.random() < 0.1:
            text = self.rng.choice(SPACES)
        for i, word in enumerate(words):
            text += (self.rng.choice(SPACES) if i else '') + word
        ends = ['\n', '', ' ', self.rng.choice(SPACES), self.rng.choice(JUNK), ' ' + self.rng.choice(JUNK)]
        return text + self.rng.choices(ends, [10, 5, 2, 1, 1, 1])[0]

    def cut(self, words):
        """Now and then one too many or too few, or one that is none."""
        roll = self.rng.random()
        if roll < 0.05 and words:
            words.pop(self.rng.randrange(len(words)))
        elif roll < 0.1:
            words.insert(self.rng.randrange(len(words) + 1), self.rng.choice(JUNK + NUMBERS))
        return words

    def attrs(self):
        usual = [self.rng.choice(['5000', '1000', '100000']), self.rng.choice(['100000', '5000', '0']),
                 self.rng.choice(['1000000', '0']), self.rng.choice(['3', '10', '2']),
                 self.rng.choice(['1000', '10', '3'])]
        return self.join(self.cut([self.number(n) for n in usual]))

    def target_ids(self):
        if self.rng.random() < 0.25:
            return self.rng.choice(['paddr', 'paddr\n', 'p', 'pa', 'paddr ', 'paddr\n\n', ' paddr', 'paddr\0',
                                    'paddr\n\0x', 'vaddr', '\n'])
        pids = [str(self.rng.choice(self.pids)) for _ in range(self.rng.choice([0, 1, 1, 2, 3, 35]))]
        return self.join(self.cut([self.number(p) if self.rng.random() < 0.2 else p for p in pids]))

    def init_regions(self):
        words, at = [], [0, 0, 0]
        for _ in range(self.rng.choice([0, 1, 2, 3, 6])):
            index = self.rng.choice([0, 0, 1, 2])
            start = at[index] + self.rng.choice([0, 1, 10, 4096, -1])
            at[index] = start + self.rng.choice([1, 10, 4096, 4096, 0])
            words += [str(index), self.number(str(max(start, 0))), self.number(str(at[index]))]
        return self.join(self.cut(words))

    def schemes(self):
        words = []
        for _ in range(self.rng.choice([0, 1, 1, 2, 3])):
            scheme = list(SCHEME)
            scheme[6] = self.rng.choice(['0', '1', '2', '3', '4', '5', '5', '6', '9'])
            for _ in range(self.rng.choice([0, 0, 1, 2, 5])):
                scheme[self.rng.choice([i for i in range(18) if i != 6])] = self.number(
                    str(self.rng.randrange(2000)))
            words += scheme
        return self.join(self.cut(words))

    def control(self):
        return self.join(self.cut([self.rng.choice(['foo', 'bar', 'foo', 'bar', 'attrs', '.', '..', 'a/b', '',
                                                    'x' * 255, 'x' * 256, 'foo bar', 'f\0o', 'monitor_on'])]))

    def monitor_on(self):
        return self.rng.choice(['on', 'off', 'on\n', 'off\n', 'o', 'of', 'of\n', ' on', 'On', 'on x', 'offf',
                                'on\0', 'off\0', '\n', '\0', 'onoff', '1'])


class Tree:
    def __init__(self, base, on):
        self.base, self.on = base, on

    def write(self, name, data):
        try:
            fd = os.open(os.path.join(self.base, name), os.O_WRONLY | os.O_TRUNC)
        except OSError as e:
            return errno.errorcode[e.errno]
        try:
            return os.write(fd, data)
        except OSError as e:
            return errno.errorcode[e.errno]
        finally:
            os.close(fd)

    def read(self, name):
        try:
            with open(os.path.join(self.base, name), 'rb') as f:
                return f.read()
        except OSError as e:
            return errno.errorcode[e.errno]

    def shown(self):
        out = {'.': sorted(os.listdir(self.base)), self.on: self.read(self.on)}
        for context in CONTEXTS:
            for name in FILES:
                text = self.read(context + name)
                if name == 'kdamond_pid' and text != 'ENOENT':
                    text = text == b'none\n'
                if name == 'schemes' and isinstance(text, bytes):
                    # Not the counters.
                    text = [line.split()[:18] for line in text.splitlines()]
                out[context + name] = text
        return out


@contextlib.contextmanager
def damonfs_at(abi):
    """A mount's directory."""
    place = tempfile.mkdtemp()
    with subprocess.Popen([os.environ.get('DAMONFS', 'damonfs'), '-f', '-o',
                           'abi=%s,log=error,method=referenced' % abi, place]) as process:
        try:
            while not os.path.ismount(place):
                time.sleep(0.05)
            yield place
        finally:
            process.terminate()


@contextlib.contextmanager
def sleepers(number):
    """Pids of processes to watch."""
    processes = [subprocess.Popen(['sleep', '100000']) for _ in range(number)]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def begin(description, count):
    """The arguments, and a source of random numbers whose seed is told."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('abi')
    parser.add_argument(count, dest='number', type=int, default=2000)
    parser.add_argument('--seed', type=int, default=None)
    parser.add_argument('--trees', action='store_true', help='compare two mounts of damonfs')
    args = parser.parse_args()
    if not args.trees and not os.path.exists('/vm/command'):
        sys.exit('%s: this is no guest of tests/vm/run' % os.path.basename(sys.argv[0]))
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 32)
    print('seed %d' % seed, flush=True)
    return args, random.Random(seed)


def end(passed, failed):
    print('%d passed, %d failed' % (passed, failed))
    sys.exit(failed > 0)


def clean(tree):
    """Off, and as a tree is at first."""
    for _ in range(100):
        if tree.read(tree.on) == b'off\n':
            break
        tree.write(tree.on, b'off')
        time.sleep(0.1)
    for context in CONTEXTS:
        tree.write(context + 'target_ids', b'\n')
        tree.write(context + 'schemes', b'\n')
        tree.write(context + 'attrs', b'5000 100000 60000000 10 1000')
    for name in sorted(set(os.listdir(tree.base)) - {'.'}):
        if os.path.isdir(os.path.join(tree.base, name)):
            tree.write('rm_contexts', name.encode('latin-1'))


def main():
    args, rng = begin(__doc__, '--writes')
    on = 'monitor_on' if args.abi == '6.1' else 'monitor_on_DEPRECATED'
    with contextlib.ExitStack() as stack:
        trees = [Tree(stack.enter_context(damonfs_at(args.abi)) + '/damon', on)]
        other = stack.enter_context(damonfs_at(args.abi)) + '/damon' if args.trees else KERNEL
        trees.insert(0, Tree(other, on))
        texts = Texts(rng, stack.enter_context(sleepers(3)))
        for tree in trees:
            clean(tree)
            stack.callback(clean, tree)
        end(*compare(rng, trees, texts, on, args.number))


def compare(rng, trees, texts, on, writes):
    passed = failed = running = 0
    kinds = [('attrs', texts.attrs, 6), ('target_ids', texts.target_ids, 6),
             ('init_regions', texts.init_regions, 6), ('schemes', texts.schemes, 6),
             ('mk_contexts', texts.control, 2), ('rm_contexts', texts.control, 2),
             (on, texts.monitor_on, 2), ('kdamond_pid', texts.control, 0.3)]
    for i in range(writes):
        name, text, _ = rng.choices(kinds, [k[2] for k in kinds])[0]
        # Not for long: what runs refuses most of what is written.
        if running > 5:
            name, text = on, lambda: 'off'
        if name in FILES:
            name = rng.choice(CONTEXTS + ['']) + name
        # An empty write never reaches a FUSE file system.
        data = (text() or ' ').encode('latin-1')
        answers = [tree.write(name, data) for tree in trees]
        shown = [tree.shown() for tree in trees]
        running = running + 1 if shown[0][on] == b'on\n' else 0
        if answers[0] == answers[1] and shown[0] == shown[1]:
            passed += 1
            continue
        failed += 1
        print('write %d: %r to %s: the kernel says %s, damonfs %s' % (i, data, name, *answers))
        for file in shown[0]:
            if shown[0][file] != shown[1].get(file):
                print('    %s: the kernel has %r, damonfs %r' % (file, shown[0][file], shown[1].get(file)))
        if failed >= 20:
            break
        if shown[0] != shown[1]:
            for tree in trees:
                clean(tree)
    return passed, failed


if __name__ == '__main__':
    main()
