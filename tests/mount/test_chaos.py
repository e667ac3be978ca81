# SPDX-License-Identifier: GPL-2.0-or-later
"""Kdamonds turned on, committed to and off with any numbers in any order: the daemon answers."""
import errno
import os
import random
import subprocess
import time
import unittest

from damon import Mount, write

SEED = int(os.environ.get('DAMONFS_SEED', '20240607'))
SECONDS = float(os.environ.get('DAMONFS_CHAOS_SECONDS', '10'))
NUMBERS = ['0', '1', '2', '3', '10', '4096', '5000', '100000', '4294967296', '9223372036854775808',
           '18446744073709551615']
COMMANDS = ['commit', 'update_schemes_stats', 'update_schemes_tried_regions',
            'update_schemes_tried_bytes', 'clear_schemes_tried_regions',
            'commit_schemes_quota_goals', 'update_schemes_effective_quotas', 'off']
# Answers that no file of the kernel gives.
STRANGE = (errno.EIO, errno.ENOTCONN, errno.ECONNABORTED, errno.ENOSYS, errno.ESTALE)


class Chaos(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(SEED)
        self.processes = [subprocess.Popen(['sleep', '1000']) for _ in range(3)]
        self.addCleanup(self.end_processes)

    def end_processes(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def maybe(self, chance):
        return self.rng.random() < chance

    def write(self, path, value):
        try:
            write(path, value)
        except OSError as e:
            self.assertNotIn(e.errno, STRANGE, path)

    def set_attrs(self, attrs):
        for name in ('intervals/sample_us', 'intervals/aggr_us', 'intervals/update_us',
                     'nr_regions/max'):
            if self.maybe(.5):
                self.write(attrs + name, self.rng.choice(NUMBERS))
        if self.maybe(.5):
            self.write(attrs + 'intervals/sample_us', self.rng.choice(['0', '1000', '5000']))
            self.write(attrs + 'intervals/aggr_us', self.rng.choice(['5000', '100000']))
            self.write(attrs + 'nr_regions/min', self.rng.choice(['3', '10', '1000']))
            self.write(attrs + 'nr_regions/max', '1000')

    def set_targets(self, targets):
        count = self.rng.randrange(4)
        self.write(targets + 'nr_targets', count)
        for i in range(count):
            self.write('%s%d/pid_target' % (targets, i), self.rng.choice(self.processes).pid)
            # Where there is no physical memory: that is the machine's.
            regions, at = '%s%d/regions/' % (targets, i), (1 << 46) + self.rng.randrange(1 << 40)
            number = self.rng.randrange(3)
            self.write(regions + 'nr_regions', number)
            for k in range(number):
                self.write('%s%d/start' % (regions, k), at)
                at += self.rng.choice([1, 4096, 1 << 20, 1 << 34])
                self.write('%s%d/end' % (regions, k), at)
                at += self.rng.choice([0, 1, 4096, 1 << 30])

    def set_scheme(self, scheme):
        for name in ('sz', 'nr_accesses', 'age'):
            if self.maybe(.8):
                self.write(scheme + 'access_pattern/%s/max' % name, NUMBERS[-1])
        for name in ('quotas/ms', 'quotas/bytes', 'quotas/reset_interval_ms', 'apply_interval_us',
                     'watermarks/high', 'watermarks/mid', 'watermarks/low',
                     'watermarks/interval_us'):
            if self.maybe(.4):
                self.write(scheme + name, self.rng.choice(NUMBERS))
        self.write(scheme + 'action', self.rng.choice(['stat', 'pageout', 'migrate_hot']))
        self.write(scheme + 'watermarks/metric', self.rng.choice(['none', 'none', 'free_mem_rate']))
        self.write(scheme + 'filters/nr_filters', 1)
        for name, values in (('type', ['addr', 'target', 'anon']), ('matching', 'YN'),
                             ('addr_start', NUMBERS), ('addr_end', NUMBERS)):
            self.write(scheme + 'filters/0/' + name, self.rng.choice(values))
        self.write(scheme + 'quotas/goals/nr_goals', 1)
        for name, values in (('target_value', NUMBERS), ('current_value', NUMBERS),
                             ('target_metric', ['user_input', 'some_mem_psi_us'])):
            self.write(scheme + 'quotas/goals/0/' + name, self.rng.choice(values))

    def configure(self, kdamond):
        self.write(kdamond.path + '/contexts/nr_contexts', self.rng.choice([0, 1, 1, 1, 1]))
        self.write(kdamond.context + '/operations', self.rng.choice(['vaddr', 'fvaddr', 'paddr']))
        self.set_attrs(kdamond.context + '/monitoring_attrs/')
        self.set_targets(kdamond.context + '/targets/')
        count = self.rng.randrange(4)
        self.write(kdamond.context + '/schemes/nr_schemes', count)
        for i in range(count):
            self.set_scheme('%s/schemes/%d/' % (kdamond.context, i))

    def command(self, kdamond):
        """One that may have to wait long, and is interrupted then."""
        subprocess.run(['timeout', '-s', 'INT', '0.3', 'sh', '-c', 'echo "$1" > "$2"', 'sh',
                        self.rng.choice(COMMANDS), kdamond.path + '/state'],
                       stderr=subprocess.DEVNULL, check=False)

    def replace_a_process(self):
        i = self.rng.randrange(len(self.processes))
        self.processes[i].kill()
        self.processes[i].wait()
        self.processes[i] = subprocess.Popen(['sleep', '1000'])

    def test_anything_in_any_order(self):
        print('seed %d' % SEED)
        with Mount() as mount:
            kdamonds = mount.kdamonds(2)
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                kdamond = self.rng.choice(kdamonds)
                if self.maybe(.7):
                    self.configure(kdamond)
                self.write(kdamond.path + '/state', 'on')
                for _ in range(self.rng.randrange(4)):
                    self.command(kdamond)
                if self.maybe(.1):
                    self.replace_a_process()
                if self.maybe(.5):
                    self.write(kdamond.path + '/state', 'off')
                self.assertIsNone(mount.process.poll(), mount.logged())
            for kdamond in kdamonds:
                self.assertIn(kdamond.state(), ('on', 'off'))
            self.assertEqual(mount.close(), 0, mount.logged())
