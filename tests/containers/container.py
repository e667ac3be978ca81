# SPDX-License-Identifier: GPL-2.0-or-later
"""Images and containers, and the commands of docs/containers.md: what the tests of containers share."""
import functools
import os
import re
import shutil
import subprocess
import unittest

from damon import DAMONFS, MIB, WORKLOAD, hot_regions, overlap, until

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
PAGE = os.path.join(TOP, 'docs/containers.md')
PLACE = os.environ['DAMONFS_PLACE']
CACHE = os.path.dirname(os.environ['DAMONFS_BASE'])
HOT = 32 * MIB
APP = 'FROM localhost/damonfs\nCOPY workload /workload\nCMD []\n' \
    'ENTRYPOINT ["/workload", "--size", "256M", "--hot", "32M", "--at", "96M", "--pause", "1000"]\n'


def command(*words, **options):
    """Runs it; returns what it wrote, also to stderr, and raises an AssertionError if it fails."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          timeout=options.pop('timeout', 120), cwd=TOP, **options)
    if done.returncode:
        raise AssertionError('%s: status %d\n%s' % (' '.join(words), done.returncode, done.stdout))
    return done.stdout


def podman(*words, **options):
    return command('podman', *words, **options)


def page_blocks():
    """{heading: its indented blocks} of the page."""
    with open(PAGE) as f:
        sections = re.split(r'^## (.*)\n', f.read(), flags=re.M)[1:]
    return {title: [re.sub(r'^    ', '', block, flags=re.M) for block in
                    re.findall(r'(?:^    .*\n(?:\n(?=    ))?)+', text, re.M)]
            for title, text in zip(sections[::2], sections[1::2])}


@functools.lru_cache(maxsize=None)
def page_path():
    """A PATH by which the page's `podman build' has our base, and `damonfs' and `hot' are those of this tree."""
    directory = os.path.join(PLACE, 'bin')
    os.makedirs(directory)
    apt = os.path.join(CACHE, 'apt')
    os.makedirs(apt, exist_ok=True)
    podman_path = shutil.which('podman')
    with open(os.path.join(directory, 'podman'), 'w') as f:
        f.write('#!/bin/bash\n[ "$1" = build ] || exec %s "$@"\n' % podman_path +
                'exec %s build --isolation chroot --network host --build-arg BASE=localhost/debian '
                '-v %s:/var/cache/apt/archives "${@:2}"\n' % (podman_path, apt))
    os.chmod(os.path.join(directory, 'podman'), 0o755)
    for program in (DAMONFS, WORKLOAD, os.path.join(TOP, 'packaging/hot')):
        shutil.copy(program, directory)
    return '%s:%s' % (directory, os.environ['PATH'])


def as_page(**variables):
    """How a command of the page is run."""
    return {'env': dict(os.environ, PATH=page_path(), **variables)}


def run_page(block, timeout=120, **variables):
    """Runs a block of the page as it is written; returns what it wrote."""
    return command('bash', '-euo', 'pipefail', '-c', block, timeout=timeout, **as_page(**variables))


@functools.lru_cache(maxsize=None)
def make_images():
    """The images `debian', `damonfs' by the page's first command, and `app'.  What that one wrote."""
    podman('import', os.environ['DAMONFS_BASE'], 'localhost/debian')
    said = run_page(page_blocks()['A sidecar'][0].split('\n')[0], timeout=1500)
    context = os.path.join(PLACE, 'app')
    os.makedirs(context)
    shutil.copy(WORKLOAD, context + '/workload')
    podman('build', '-q', '--isolation', 'chroot', '-t', 'app', '-f', '-', context, input=APP)
    return said


def mounts_from(directory):
    """Those at it and below, the deepest first."""
    with open('/proc/self/mounts') as f:
        points = [line.split()[1] for line in f]
    return sorted((p for p in points if (p + '/').startswith(directory + '/')), reverse=True)


def parse_hot(text):
    """[(start, end, accesses)] of what `hot' wrote."""
    return [(int(m[1], 16), int(m[2], 16), len(m[3])) for m in
            re.finditer(r'^ +([0-9a-f]{14}) - ([0-9a-f]{14}) +[0-9.]+ [KM]iB  (#*) ', text, re.M)]


class Containers(unittest.TestCase):
    """Each test begins and ends without containers and pods."""

    @classmethod
    def setUpClass(cls):
        make_images()

    def setUp(self):
        self.remove_all()
        self.addCleanup(self.remove_all)

    @staticmethod
    def remove_all():
        podman('pod', 'rm', '--all', '--force', '--time', '2')
        # With those whose namespaces they use.
        for name in podman('ps', '--all', '--quiet').split():
            podman('rm', '--force', '--ignore', '--depend', '--time', '2', name)
        for point in mounts_from('/run/damonfs'):
            command('umount', '--lazy', point)
        shutil.rmtree('/run/damonfs', ignore_errors=True)

    def app(self, *options, words=()):
        """A container `app'; returns where its hot block is, and its own pid of it."""
        podman('run', '-d', '--name', 'app', *options, 'app', *words)
        return self.truth('app')

    def truth(self, name):
        self.assertTrue(until(lambda: 'hot_end=' in podman('logs', name), 20), podman('logs', name))
        return self.parse_truth(podman('logs', name))

    @staticmethod
    def parse_truth(text):
        return {key: int(value) for key, value in re.findall(r'\b(\w+)=(\d+)\b', text)}

    def assert_found(self, text, truth):
        """TEXT is what `hot' wrote: it has found the hot block within 5 %."""
        regions = parse_hot(text)
        # The stack is hot, too, and small.
        hot = hot_regions([r for r in regions if r[1] - r[0] >= MIB])
        size = sum(r[1] - r[0] for r in hot)
        covered = overlap(hot, truth['hot_start'], truth['hot_end'])
        print('hot: %.3f of what is, %.3f of it covered' % (size / HOT, covered / HOT))
        self.assertLessEqual(abs(size / HOT - 1), 0.05, text)
        self.assertGreaterEqual(covered / HOT, 0.95, text)

    def assert_not_found(self, text, truth):
        """The hot block is not told from the rest of its mapping."""
        hot = hot_regions(parse_hot(text))
        size = sum(r[1] - r[0] for r in hot)
        covered = overlap(hot, truth['hot_start'], truth['hot_end'])
        self.assertFalse(abs(size / HOT - 1) <= 0.05 and covered / HOT >= 0.95, text)
