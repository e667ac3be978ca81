# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user can take of the daemon has a bound, and what is over it changes nothing."""
import errno
import os
import subprocess
import unittest

from damon import MIB, Mount, read, until, write
from users import OWNER, as_user, running


def memory(mount):
    """Bytes that the daemon has resident."""
    with open('/proc/%d/statm' % mount.process.pid) as f:
        return int(f.read().split()[1]) * 4096


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to be several users')
class Accounts(unittest.TestCase):
    """Finding 16."""
    OBJECTS, KDAMONDS, HANDLES = 16384, 16, 1024

    def setUp(self):
        self.mount = Mount('uid=%d,gid=%d' % (OWNER, OWNER), 'log=info')
        os.chmod(self.mount.dir, 0o755)
        self.nr = self.mount.admin + '/kdamonds/nr_kdamonds'

    def tearDown(self):
        self.assertEqual(self.mount.close(), 0)

    def as_owner(self, script, *arguments):
        done = subprocess.run([*as_user(OWNER), 'bash', '-c', 'cd "$1"; ' + script, 'sh',
                               self.mount.dir, *arguments], capture_output=True, text=True,
                              check=False)
        return done.stdout.split(), done.stderr

    def test_objects(self):
        before = memory(self.mount)
        out, err = self.as_owner('cd admin/kdamonds; echo 524288 > nr_kdamonds || cat nr_kdamonds; '
                                 'echo 5 > nr_kdamonds; echo 16384 > nr_kdamonds && cat nr_kdamonds; '
                                 'echo 16385 > nr_kdamonds || cat nr_kdamonds')
        self.assertEqual(out, ['0', '16384', '16384'])
        self.assertEqual(err.count('Cannot allocate memory'), 2)
        self.assertIn('user %d may not have' % OWNER, self.mount.logged())
        # Root is not in it, and the rest of what there is goes on working.
        write(self.nr, 20000)
        self.assertEqual(read(self.nr), '20000')
        self.assertLess(memory(self.mount) - before, 64 * MIB)
        write(self.nr, 0)
        # What was given back can be had again.
        self.assertEqual(self.as_owner('echo 16384 > admin/kdamonds/nr_kdamonds && echo taken')[0],
                         ['taken'])

    def test_objects_in_objects(self):
        """Schemes and filters count as well; the first that is over them is refused."""
        out, _ = self.as_owner(
            'cd admin/kdamonds; echo 1 > nr_kdamonds; cd 0; echo 1 > contexts/nr_contexts; cd contexts/0; '
            'echo 8000 > schemes/nr_schemes && echo taken; '
            'echo 8382 > schemes/0/filters/nr_filters && echo taken; '
            'echo 1 > schemes/1/filters/nr_filters || echo refused; cat schemes/1/filters/nr_filters; '
            'echo 0 > schemes/nr_schemes; echo 16382 > schemes/nr_schemes && echo taken; '
            'for i in {1..2000}; do echo c$i > ../../../../../damon/mk_contexts || break; done; '
            'ls -d ../../../../../damon/c* 2>/dev/null | wc -l')
        self.assertEqual(out, ['taken', 'taken', 'refused', '0', 'taken', '0'])

    def test_kdamonds(self):
        with running(*as_user(OWNER), 'sleep', '1000') as process:
            out, _ = self.as_owner(
                'echo 20 > admin/kdamonds/nr_kdamonds; cd admin/kdamonds; for k in *[0-9]; do cd $k; '
                'echo 1 > contexts/nr_contexts; echo 1 > contexts/0/targets/nr_targets; '
                'echo $2 > contexts/0/targets/0/pid_target; echo on > state && echo on; cd ..; done',
                str(process.pid))
            self.assertEqual(len(out), self.KDAMONDS)
            self.assertEqual(sum(read('%s/kdamonds/%d/state' % (self.mount.admin, k)) == 'on'
                                 for k in range(20)), self.KDAMONDS)
            # Ended, they can be had again.
            out, _ = self.as_owner('cd admin/kdamonds; for k in *[0-9]; do echo off > $k/state; done; '
                                   'for k in *[0-9]; do echo on > $k/state && echo on; done')
            self.assertEqual(len(out), self.KDAMONDS)

    def regions_of(self, kdamond, least, most):
        kdamond.attrs(least=least, most=most)
        kdamond.stat_scheme()
        self.assertEqual(self.as_owner('echo on > admin/kdamonds/0/state && echo on')[0], ['on'])
        try:
            return len(kdamond.snapshot())
        finally:
            kdamond.state('off')

    def test_regions(self):
        """2^62 of them were 317 MB and a processor: an eighth of what the owner may have is what one has."""
        kdamond, = self.mount.kdamonds(1)
        code = 'import mmap, time; m = mmap.mmap(-1, 1 << 30); print("ready", flush=True); time.sleep(1000)'
        target = subprocess.Popen([*as_user(OWNER), 'python3', '-c', code], stdout=subprocess.PIPE,
                                  text=True)
        try:
            target.stdout.readline()
            before = memory(self.mount)
            kdamond.target(target.pid)
            for least, most in ((10, 1000), (2 ** 62, 2 ** 63)):
                found = self.regions_of(kdamond, least, most)
                self.assertLessEqual(found, 16384)
                self.assertLess(memory(self.mount) - before, 48 * MIB)
        finally:
            target.kill()
            target.wait()
            target.stdout.close()

    def test_descriptors(self):
        """200 of them on a long text were 570 MB."""
        script = ('import os, sys\n'
                  'fds = []\n'
                  'try:\n'
                  '    while len(fds) < 5000: fds.append(os.open(sys.argv[1], os.O_RDONLY))\n'
                  'except OSError as e: print(e.errno, len(fds), flush=True)\n'
                  'input()\n')
        process = subprocess.Popen(['prlimit', '--nofile=6000', *as_user(OWNER), 'python3', '-c', script,
                                    self.mount.admin], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        try:
            number, count = process.stdout.readline().split()
            self.assertEqual((int(number), int(count)), (errno.ENOMEM, self.HANDLES))
            # Others have their own.
            self.assertEqual(os.listdir(self.mount.admin), ['kdamonds'])
            self.assertEqual(subprocess.run([*as_user(OWNER - 1), 'ls', self.mount.admin],
                                            check=False).returncode, 0)
        finally:
            process.communicate('\n')
        self.assertEqual(self.as_owner('ls admin')[0], ['kdamonds'])

    def test_texts_of_descriptors(self):
        with running(*as_user(OWNER), 'sleep', '1000') as process:
            regions = ''.join('0 %d %d\n' % (i * 4096, (i + 1) * 4096) for i in range(130000))
            with open('/tmp/damonfs-test-regions-%d' % os.getpid(), 'w') as f:
                f.write(regions)
            os.chmod(f.name, 0o644)
            self.as_owner('cd damon; echo $2 > target_ids; dd if="$3" of=init_regions bs=4M 2>/dev/null',
                          str(process.pid), f.name)
            os.unlink(f.name)
            before = memory(self.mount)
            # Of what was read in part, the rest is held; of what was read to its end, nothing is.
            out, _ = self.as_owner('exec 3< damon/init_regions; wc -c <&3; '
                                   'for i in {10..60}; do eval "exec $i< damon/init_regions"; '
                                   'head -c 4096 <&$i >/dev/null || break; echo read; done')
            self.assertGreater(int(out[0]), 1 << 20)
            self.assertGreater(len(out), 2)
            self.assertLess(len(out), 12)
            self.assertTrue(until(lambda: memory(self.mount) - before < 24 * MIB, 2))


class Options(unittest.TestCase):
    def test_bounds_are_options(self):
        with Mount('max_kdamonds=1,max_objects=7') as mount, running('sleep', '1000') as process:
            one, two = mount.kdamonds(2)
            one.target(process.pid)
            two.target(process.pid)
            one.state('on')
            with self.assertRaises(OSError) as caught:
                two.state('on')
            self.assertEqual(caught.exception.errno, errno.ENOMEM)
            one.state('off')
            two.state('on')
            two.state('off')
            with self.assertRaises(OSError) as caught:
                mount.kdamonds(8)
            self.assertEqual(caught.exception.errno, errno.ENOMEM)
            self.assertEqual(read(mount.admin + '/kdamonds/nr_kdamonds'), '2')
