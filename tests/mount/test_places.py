# SPDX-License-Identifier: GPL-2.0-or-later
"""Where damonfs is mounted, over whom, and what it takes away at its end."""
import errno
import os
import signal
import subprocess
import tempfile
import time
import unittest

from damon import DAMONFS, LIBC, Mount, error_of, mount, read, until


def mounts():
    """[(mount point, type)]"""
    with open('/proc/self/mounts') as f:
        return [tuple(line.split()[1:3]) for line in f]


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, for mounts')
class Places(unittest.TestCase):
    def test_only_its_own_mount_is_taken_away(self):
        """Somebody makes its path lead elsewhere meanwhile."""
        with tempfile.TemporaryDirectory() as top:
            os.makedirs(top + '/a/m')
            os.makedirs(top + '/b/m')
            mount('none', top + '/b/m', 'tmpfs')
            process = subprocess.Popen([DAMONFS, '-f', '-o', 'log=error', top + '/a/m'])
            try:
                self.assertTrue(until(lambda: os.path.ismount(top + '/a/m'), 5))
                os.rename(top + '/a', top + '/c')
                os.symlink(top + '/b', top + '/a')
                process.terminate()
                self.assertEqual(process.wait(10), 0)
                left = [m for m in mounts() if m[0].startswith(top)]
                self.assertEqual(left, [(top + '/b/m', 'tmpfs')])
            finally:
                process.kill()
                process.wait()
                for place in 'b/m', 'c/m':
                    subprocess.run(['umount', '-l', top + '/' + place], check=False,
                                   stderr=subprocess.DEVNULL)

    def test_numbers_of_mounts_are_used_again(self):
        """One that was unmounted before it noticed does not take the next one for its own."""
        with Mount('log=error') as first:
            first.process.send_signal(signal.SIGSTOP)
            # umount(8) would ask it.
            self.assertEqual(LIBC.umount2(first.dir.encode(), 8), 0)
            with Mount('log=error') as second:
                first.process.send_signal(signal.SIGCONT)
                self.assertEqual(first.process.wait(5), 0)
                time.sleep(0.2)
                self.assertIsNone(second.process.poll())
                self.assertEqual(read(second.admin + '/kdamonds/nr_kdamonds'), '0')

    def test_whatever_privileges_it_keeps(self):
        """It takes its mount away, also where it has given up what that takes."""
        with tempfile.NamedTemporaryFile('w') as script:
            script.write('map 0x10000000 1M\n')
            script.flush()
            for method in ('simulated:' + script.name, 'referenced', 'auto'):
                with Mount('log=error,sandbox=trap,method=' + method) as mount_:
                    mount_.process.terminate()
                    self.assertEqual(mount_.process.wait(10), 0)
                    self.assertNotIn(mount_.dir, [m[0] for m in mounts()], method)

    def dead_mount(self, kind):
        place = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, place)
        fuse = os.open('/dev/fuse', os.O_RDWR)
        mount('other', place, kind, 'fd=%d,rootmode=40000,user_id=0,group_id=0' % fuse)
        os.close(fuse)
        self.addCleanup(subprocess.run, ['umount', '-l', place], check=False,
                        stderr=subprocess.DEVNULL)
        self.assertEqual(error_of(lambda: os.listdir(place)), errno.ENOTCONN)
        return place

    def test_dead_mounts_of_others_stay(self):
        place = self.dead_mount('fuse.other')
        done = subprocess.run([DAMONFS, place], capture_output=True, text=True, timeout=10,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertNotEqual(done.stderr, '')
        self.assertIn((place, 'fuse.other'), mounts())

    def test_a_stopped_one_is_not_dead(self):
        """It is covered, and comes back."""
        with Mount('log=error') as below:
            with subprocess.Popen([DAMONFS, '-f', '-o', 'log=error', below.dir]) as above:
                self.assertTrue(until(lambda: sum(m[0] == below.dir for m in mounts()) == 2, 5))
                above.terminate()
                self.assertEqual(above.wait(10), 0)
            self.assertEqual(sum(m[0] == below.dir for m in mounts()), 1)
            self.assertEqual(read(below.admin + '/kdamonds/nr_kdamonds'), '0')
