# SPDX-License-Identifier: GPL-2.0-or-later
"""mount(8) and lines of fstab(5)."""
import os
import subprocess
import tempfile
import unittest

from damon import DAMONFS

# In namespaces of its own, whose /sbin has damonfs installed, for mount(8) looks nowhere else.
INSTALLED = """
mkdir place installed && mount -t tmpfs none installed && mkdir installed/upper installed/work || exit 99
sbin=$(realpath /sbin)
mount -t overlay -o lowerdir=$sbin,upperdir=installed/upper,workdir=installed/work none $sbin || exit 99
cp "$1" /sbin/damonfs && for name in $2; do ln -s damonfs /sbin/$name || exit 99; done
place=$PWD/place
there() { grep " $place " /proc/mounts; }
daemon() { damonfs status --json "$place" | sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p' | head -n 1; }
"""
MARKS = 'defaults,nofail,_netdev,auto,x-systemd.automount,x-systemd.requires=a.service,X-mount.mkdir,' \
    'comment=what,group,relatime,strictatime,lazytime,method=referenced'


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to mount')
class Fstab(unittest.TestCase):
    """mount(8) finds a helper of this type's name."""
    TYPE, NAMES = 'damonfs', 'mount.damonfs'

    def run_inside(self, options, script, source='thing'):
        """What SCRIPT wrote, with a line of fstab that has OPTIONS."""
        with tempfile.TemporaryDirectory(prefix='damonfs-test-') as place:
            with open(place + '/fstab', 'w') as f:
                f.write('%s %s/place %s %s 0 0\n' % (source, place, self.TYPE, options))
            done = subprocess.run(
                ['unshare', '-mpf', '--kill-child', '--mount-proc', 'sh', '-c', INSTALLED + script, 'sh', DAMONFS,
                 self.NAMES], cwd=place, capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 99, done.stderr)
        return done.stdout + done.stderr

    def test_a_line(self):
        out = self.run_inside(MARKS + ',noexec,abi=6.12',
                              'mount -T fstab $place && there && ls place/damon/monitor_on_*\n'
                              'umount $place; there || echo gone')
        self.assertRegex(out, r'^thing \S+/place fuse\.damonfs rw,\S*noexec\S* 0 0\n'
                              r'place/damon/monitor_on_DEPRECATED\ngone\n$')

    def test_all_lines(self):
        out = self.run_inside('defaults,method=referenced,uid=nobody,gid=nogroup,fsname=own',
                              'mount -a -T fstab; there; stat -c %U:%G place')
        self.assertRegex(out, r'^own \S+/place fuse\.damonfs \S*allow_other\S* 0 0\nnobody:nogroup\n$')
        out = self.run_inside('noauto', 'mount -a -T fstab; there || echo none')
        self.assertEqual(out, 'none\n')

    def test_what_is_wrong_is_said(self):
        for options, said in (('abi=5.0', 'unknown abi=5.0'), ('defualts', 'defualts'), ('x=1', 'x=1'),
                              ('nofail,uid=nobody-at-all', 'neither an id')):
            out = self.run_inside(options, 'mount -T fstab $place || echo failed; there || echo none')
            self.assertIn(said, out)
            self.assertIn('failed\nnone\n', out)

    def test_no_remount(self):
        """What would be a second mount above the first."""
        out = self.run_inside('method=referenced', 'mount -T fstab $place\n'
                              'mount -T fstab -o remount,abi=6.1 $place || echo failed; there | wc -l')
        self.assertIn('failed\n1\n', out)

    def test_flags(self):
        out = self.run_inside('method=referenced', 'mount -v -n -s -T fstab $place && there | wc -l')
        self.assertRegex(out, r'(^|\n)1\n$')

    def test_it_survives(self):
        """The next daemons, also by an upgrade, take the same words."""
        out = self.run_inside(MARKS + ',survive,log=error',
                              'mount -T fstab $place && echo 2 > place/admin/kdamonds/nr_kdamonds\n'
                              'first=$(daemon); kill -9 $first; cat place/admin/kdamonds/nr_kdamonds\n'
                              'second=$(daemon); damonfs upgrade $place; cat place/admin/kdamonds/nr_kdamonds\n'
                              'third=$(daemon); test $first != $second && test $second != $third && echo others\n'
                              'umount $place')
        self.assertRegex(out, r'^2\n(.*\n)*2\nothers\n$')

    def test_sources_are_names(self):
        for source in ('a,allow_root', r'a\040b', 'exec', 'x-a', '#s'):
            out = self.run_inside('method=referenced', 'mount -T fstab $place; there', source)
            if source == '#s':          # a comment, for mount(8)
                self.assertNotIn('fuse.damonfs', out)
            elif self.takes(source):
                self.assertRegex(out, r'^%s \S+ fuse\.damonfs \S+user_id=0,group_id=0,default_permissions 0 0\n$'
                                 % source.replace('\\', r'\\'))

    @staticmethod
    def takes(_):
        return True


class FuseFstab(Fstab):
    TYPE, NAMES = 'fuse.damonfs', 'mount.fuse.damonfs'


class FuseFstabByFuse(Fstab):
    """Nothing but the program: libfuse's helper starts it, by a shell."""
    TYPE, NAMES = 'fuse.damonfs', ''

    @staticmethod
    def takes(source):
        return source != 'exec'         # a command of damonfs


class Helper(Fstab):
    """What mount(8) gives its helper for a fake mount; others ask it so, too."""
    def test_flags(self):
        out = self.run_inside('ro', 'mount -f -v -T fstab $place && echo good; there || echo none\n'
                              '/sbin/mount.damonfs a $place -f -o abi=5.0 || echo bad\n'
                              '/sbin/mount.damonfs a $place -N /proc/1/ns/mnt || echo usage\n'
                              '/sbin/mount.damonfs a || echo nowhere\n'
                              '/sbin/mount.damonfs a $place -f; there || echo none')
        self.assertRegex(out, r'(^|\n)good\nnone\nbad\nusage\nnowhere\nnone\n')

    test_a_line = test_all_lines = test_what_is_wrong_is_said = test_no_remount = None
    test_it_survives = test_sources_are_names = None
