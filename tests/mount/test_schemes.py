# SPDX-License-Identifier: GPL-2.0-or-later
"""Schemes that act, on real processes whose memory is known."""
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import unittest

from damon import (EMULATED, MIB, PAGE, RESTS, OneKdamond, Workload, page_flags, read, tries, until,
                   write)

KPF_REFERENCED, KPF_ACTIVE = 2, 6
NODE1 = '/sys/devices/system/node/node1'
THP = '/sys/kernel/mm/transparent_hugepage'


def memory_of(workload):
    """The lines of smaps of the workload's memory, added up: kB by name, and the last VmFlags."""
    sums, flags, inside = {}, [], False
    with open('/proc/%d/smaps' % workload.pid) as f:
        for line in f:
            words = line.split()
            if not words[0].endswith(':'):
                start, end = (int(n, 16) for n in words[0].split('-'))
                inside = start < workload.end and end > workload.start
            elif inside and words[0] == 'VmFlags:':
                flags = words[1:]
            elif inside and len(words) == 3 and words[2] == 'kB':
                sums[words[0][:-1]] = sums.get(words[0][:-1], 0) + int(words[1])
    return sums, flags


def faults_of(workload):
    with open('/proc/%d/stat' % workload.pid) as f:
        words = f.read().rpartition(')')[2].split()
    return int(words[7]) + int(words[9])


def has_swap():
    with open('/proc/swaps') as f:
        return len(f.readlines()) > 1


class Actions(OneKdamond):
    def watch(self, workload, action, **pattern):
        """A scheme with that action for what has PATTERN: nr_accesses and age, (least, most)."""
        self.kdamond.target(workload.pid)
        # An aggregation must be longer than a pass over the hot part.
        slower = 10 if EMULATED else 1
        self.kdamond.attrs(sample=5000 * slower, aggr=100000 * slower, update=1000000 * slower)
        self.kdamond.stat_scheme()
        for name, (least, most) in pattern.items():
            write('%s/access_pattern/%s/min' % (self.kdamond.scheme, name), least)
            write('%s/access_pattern/%s/max' % (self.kdamond.scheme, name), most)
        write(self.kdamond.scheme + '/action', action)

    def stats(self):
        self.kdamond.state('update_schemes_stats')
        return {name: int(read('%s/stats/%s' % (self.kdamond.scheme, name)))
                for name in ('nr_tried', 'sz_tried', 'nr_applied', 'sz_applied', 'qt_exceeds')}

    @tries(3)
    def test_pageout_of_cold_file_memory(self):
        with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, \
                Workload('--kind', 'file', '--file', directory + '/memory', '--size', '576M',
                         '--hot', '64M', '--at', '256M', '--step', '512M') as workload:
            subprocess.run(['sync', directory + '/memory'], check=True)
            self.check_pageout(workload)

    @unittest.skipUnless(has_swap(), 'MISSING: swap')
    @tries(3)
    def test_pageout_of_cold_anonymous_memory(self):
        with Workload('--size', '576M', '--hot', '64M', '--at', '256M', '--step', '512M',
                      *RESTS) as workload:
            self.check_pageout(workload)

    def check_pageout(self, workload):
        self.watch(workload, 'pageout', nr_accesses=(0, 0),
                   age=(5 if EMULATED else 10, 2 ** 64 - 1))
        self.assertGreater(memory_of(workload)[0]['Rss'], 570 * 1024)
        self.kdamond.state('on')
        # While it learns, regions are cut; then nobody may touch what is hot.
        time.sleep(15 if EMULATED else 5)
        faults = faults_of(workload)
        self.assertTrue(until(lambda: memory_of(workload)[0]['Rss'] < (64 + 51) * 1024, 25),
                        memory_of(workload)[0]['Rss'])
        self.assertLess(faults_of(workload) - faults, 64 * MIB // PAGE * 0.02)
        self.assertGreater(memory_of(workload)[0]['Rss'], 62 * 1024)
        stats = self.stats()
        self.assertGreater(stats['nr_applied'], 0)
        self.assertGreaterEqual(stats['sz_tried'], stats['sz_applied'])
        self.assertGreater(stats['sz_applied'], 460 * MIB)

    def test_hugepage_and_nohugepage(self):
        with Workload('--size', '256M', '--hot', '32M', '--at', '96M') as workload:
            for action, flag in (('hugepage', 'hg'), ('nohugepage', 'nh'), ('hugepage', 'hg')):
                self.watch(workload, action)
                self.kdamond.state('on')
                self.assertTrue(until(lambda: flag in memory_of(workload)[1], 10), action)
                self.assertTrue(until(lambda: self.stats()['sz_applied'] > 0, 5))
                self.kdamond.state('off')
            self.assertIsNone(workload.process.poll())

    @unittest.skipIf('[never]' in read(THP + '/enabled'), 'MISSING: huge pages')
    @tries(3)
    def test_new_memory_is_huge_or_small(self):
        """A process that gives its memory back and touches it again, when it is asked to."""
        program = """if True:
            import ctypes, mmap, sys
            memory = mmap.mmap(-1, %d, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            print(base, flush=True)
            while True:
                memory.madvise(mmap.MADV_DONTNEED)
                memory[::4096] = bytes(len(memory) // 4096)
                print('new', flush=True)
                sys.stdin.readline()
        """ % (64 * MIB)
        with subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE,
                              stdin=subprocess.PIPE, text=True) as process, \
                contextlib.ExitStack() as end:
            end.callback(process.kill)
            process.start = int(process.stdout.readline())
            process.end = process.start + 64 * MIB
            process.stdout.readline()
            for action, flag, least, most in (('hugepage', 'hg', 0.9, 1), ('nohugepage', 'nh', 0, 0)):
                self.watch(process, action)
                self.kdamond.state('on')
                self.assertTrue(until(lambda: flag in memory_of(process)[1], 10), action)
                time.sleep(1)
                process.stdin.write('\n')
                process.stdin.flush()
                process.stdout.readline()
                sums = memory_of(process)[0]
                self.assertGreaterEqual(sums['Rss'], 64 * 1024)
                share = sums['AnonHugePages'] / (64 * 1024)
                self.assertTrue(least <= share <= most, (action, share))
                self.kdamond.state('off')

    @unittest.skipUnless(EMULATED, 'MISSING: a khugepaged that may be hurried')
    @tries(3)
    def test_hugepage_of_the_hot_block(self):
        for name, value in (('scan_sleep_millisecs', 10), ('alloc_sleep_millisecs', 10),
                            ('pages_to_scan', 100000)):
            write('%s/khugepaged/%s' % (THP, name), value)
        with Workload('--size', '256M', '--hot', '64M', '--at', '96M', *RESTS) as workload:
            self.watch(workload, 'hugepage', nr_accesses=(10, 20), age=(2, 2 ** 64 - 1))
            self.kdamond.state('on')
            self.assertTrue(until(lambda: memory_of(workload)[0]['AnonHugePages'] >= 0.9 * 64 * 1024,
                                  60), memory_of(workload)[0])
            # What is cold stays as it is, but for where regions end.
            self.assertLess(memory_of(workload)[0]['AnonHugePages'], 90 * 1024)

    @tries(3)
    def test_cold_deactivates(self):
        with Workload('--size', '256M', '--hot', '32M', '--at', '96M') as workload:
            cold = (workload.start, workload.hot_start - 8 * MIB)

            def marked():
                flags = page_flags(workload, *cold)
                return sum(bool(f >> KPF_ACTIVE & 1 or f >> KPF_REFERENCED & 1) for f in flags) / len(flags)

            # Touched twice by others, they are active.
            with open('/proc/%d/mem' % workload.pid, 'rb', 0) as f:
                for _ in range(3):
                    for at in range(cold[0], cold[1], MIB):
                        f.seek(at)
                        f.read(MIB)
            before = marked()
            self.watch(workload, 'cold', nr_accesses=(0, 0), age=(5, 2 ** 64 - 1))
            self.kdamond.state('on')
            self.assertGreater(before, 0.5)
            self.assertTrue(until(lambda: marked() < 0.05, 10), marked())

    @tries(3)
    def test_willneed_reads_ahead(self):
        with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, \
                Workload('--kind', 'file', '--file', directory + '/memory', '--size', '128M',
                         '--hot', '16M', '--at', '64M') as workload:
            subprocess.run(['sync', directory + '/memory'], check=True)
            self.watch(workload, 'pageout', nr_accesses=(0, 0), age=(5, 2 ** 64 - 1))
            self.kdamond.state('on')
            self.assertTrue(until(lambda: cached(directory + '/memory') < 40 * MIB, 20))
            self.kdamond.state('off')
            before = cached(directory + '/memory')
            self.watch(workload, 'willneed')
            # The kernel reads no more than its read-ahead for each call: smaller regions, more of it.
            self.kdamond.attrs(least=200, most=1000)
            self.kdamond.state('on')
            self.assertTrue(until(lambda: cached(directory + '/memory') > before + 8 * MIB, 15),
                            cached(directory + '/memory'))

    def set_dests(self, *dests):
        write(self.kdamond.scheme + '/dests/nr_dests', len(dests))
        for i, (node, weight) in enumerate(dests):
            write('%s/dests/%d/id' % (self.kdamond.scheme, i), node)
            write('%s/dests/%d/weight' % (self.kdamond.scheme, i), weight)

    @unittest.skipUnless(os.path.exists(NODE1), 'MISSING: a second node of memory')
    @tries(3)
    def test_migrate_to_nodes_by_weight(self):
        def share(workload, node):
            """Of the workload's memory that is on a node."""
            with open('/proc/%d/numa_maps' % workload.pid) as f:
                line = [line.split() for line in f if int(line.split()[0], 16) == workload.start][0]
            return sum(int(word.partition('=')[2]) * PAGE for word in line
                       if word.startswith('N%d=' % node)) / (workload.end - workload.start)

        with Workload('--size', '64M', '--hot', '4M', '--at', '16M', *RESTS) as workload:
            for dests, nid, expected in (([(1, 1)], 0, 1), ([(0, 1), (1, 3)], -1, 0.75),
                                         ([(0, 0), (1, 0)], 0, 0.75), ([], 0, 0), ([], 1, 1)):
                self.watch(workload, 'migrate_cold')
                self.set_dests(*dests)
                write(self.kdamond.scheme + '/target_nid', nid)
                self.kdamond.state('on')
                self.assertTrue(until(lambda: abs(share(workload, 1) - expected) < 0.03, 30),
                                (dests, nid, share(workload, 1)))
                if share(workload, 1) > 0.99 and dests:
                    self.assertAlmostEqual(self.stats()['sz_applied'], 64 * MIB, delta=3 * MIB)
                self.kdamond.state('off')

    def test_migrate_where_there_is_one_node(self):
        with Workload('--size', '16M', '--hot', '4M', '--at', '4M') as workload:
            there = 1 if os.path.exists(NODE1) else 0
            for dests, nid in (([], 9), ([], -1), ([(9, 1)], 0), ([(0, 0)], 0)) + \
                    (() if there else (([], 0), ([(0, 1)], -1))):
                self.watch(workload, 'migrate_hot')
                self.set_dests(*dests)
                write(self.kdamond.scheme + '/target_nid', nid)
                self.kdamond.state('on')
                self.assertTrue(until(lambda: self.stats()['nr_tried'] > 0, 5))
                self.assertEqual(self.stats()['sz_applied'], 0, (dests, nid))
                self.kdamond.state('off')

    def test_actions_that_are_not_for_virtual_addresses(self):
        with Workload('--size', '64M', '--hot', '16M', '--at', '16M') as workload:
            for action in ('lru_prio', 'lru_deprio', 'stat'):
                self.watch(workload, action)
                self.kdamond.state('on')
                self.assertTrue(until(lambda: self.stats()['nr_tried'] > 0, 5))
                self.assertEqual(self.stats()['nr_applied'], 0)
                self.assertEqual(self.stats()['sz_applied'], 0)
                self.kdamond.state('off')

    def test_a_size_quota_is_kept_in_every_window(self):
        with Workload('--size', '256M', '--hot', '32M', '--at', '96M') as workload:
            self.watch(workload, 'cold', nr_accesses=(0, 0))
            quota, window = 4 * MIB, 0.5
            write(self.kdamond.scheme + '/quotas/bytes', quota)
            write(self.kdamond.scheme + '/quotas/reset_interval_ms', int(window * 1000))
            self.kdamond.state('on')
            seen = []
            while len(seen) < 2 or seen[-1][0] - seen[0][0] < 5:
                tried = self.stats()['sz_tried']
                seen.append((time.monotonic(), tried))
                time.sleep(0.05)
            self.assertGreater(seen[-1][1], 6 * quota)
            for i, (began, before) in enumerate(seen):
                for now, tried in seen[i:]:
                    # Those windows may have begun in between, and one may be under way.
                    self.assertLessEqual(tried - before, quota * (int((now - began) / window) + 2))
            self.assertGreater(self.stats()['qt_exceeds'], 4)


def cached(path):
    """Bytes of a file in the page cache."""
    out = subprocess.run(['fincore', '-b', '-n', '-o', 'RES', path], capture_output=True, text=True,
                         check=True).stdout
    return int(out)
