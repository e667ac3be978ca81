# SPDX-License-Identifier: GPL-2.0-or-later
"""A program file that lends privileges to whoever starts it."""
import os
import subprocess
import tempfile
import unittest

from damon import DAMONFS
from users import OWNER, as_user

# Of a private mount namespace in which everybody may use FUSE, and a program has privileges.
LENT = """
mount -t tmpfs none $1 && cd $1 || exit 99
mknod -m 666 fuse c 10 229 && mount --bind fuse /dev/fuse || exit 99
cp $2 damonfs && chmod 755 damonfs || exit 99
%s || exit 99
mkdir -m 700 secret && mkdir -m 755 public && mkdir own && echo text > secret/file || exit 99
chown %d own; chmod 755 .
"""
SETCAP = 'setcap cap_sys_admin,cap_sys_ptrace,cap_sys_nice,cap_dac_read_search,cap_dac_override+ep damonfs'


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to be several users')
class LentPrivileges(unittest.TestCase):
    """A program file with setcap or a set-user-ID bit lends nobody more than better methods."""
    LEND = SETCAP

    def run_inside(self, script):
        """What SCRIPT wrote, in which $U runs what follows as an ordinary user."""
        with tempfile.TemporaryDirectory() as place:
            done = subprocess.run(
                ['unshare', '-m', 'sh', '-c', LENT % (self.LEND, OWNER) + 'U="%s"\n' %
                 ' '.join(as_user(OWNER)) + script, 'sh', place, DAMONFS],
                capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 99, done.stderr)
        return done.stdout

    def test_what_is_refused(self):
        for words in ('secret', 'public', 'secret/file', '-o allow_other own', '-o allow_root own',
                      '-o uid=0 own', '-o gid=0 own', '-o method=simulated:secret/file own',
                      '/dev/fd/0', 'exec true', '-f public'):
            out = self.run_inside('$U ./damonfs %s < fuse 2> said; echo status=$?; cat said; '
                                  'grep -c " $PWD/.* fuse" /proc/mounts' % words)
            self.assertRegex(out, r'^status=(1|125)\n', words)
            self.assertRegex(out, r'\n.*(denied|refused|privileges|no write access)', words)
            self.assertRegex(out, r'\n0\n$', words)

    def test_what_is_refused_to_a_helper(self):
        """mount(8)'s names and words lead nowhere else."""
        for words in ('none secret', 'none public', 'none /dev/fd/0', '-o defaults,x-a,allow_other none own',
                      '-o "x-a\\,b,comment=\\,,allow_root" none own', '-o nofail,uid=0 none own',
                      '-s -n -o user,method=simulated:secret/file none own'):
            out = self.run_inside('ln -s damonfs mount.damonfs; $U ./mount.damonfs %s < fuse 2> said\n'
                                  'echo status=$?; cat said; grep -c " $PWD/.* fuse" /proc/mounts' % words)
            self.assertRegex(out, r'^status=1\n', words)
            self.assertRegex(out, r'\n.*(denied|refused|privileges|no write access)', words)
            self.assertRegex(out, r'\n0\n$', words)

    def test_what_works(self):
        """A mount at a place of one's own, which nobody else may enter, and its end."""
        out = self.run_inside(
            '$U env PATH=/evil HOME=/evil ./damonfs -f -o log=error,method=referenced own & sleep 1\n'
            '$U sh -c "echo 1 > own/admin/kdamonds/nr_kdamonds; cat own/admin/kdamonds/nr_kdamonds"\n'
            'setpriv --reuid 1234 --clear-groups ls own > /dev/null 2>&1 || echo closed\n'
            'grep " $PWD/own " /proc/mounts | grep -c allow_other\n'
            'kill $!; wait $!; echo status=$?\n'
            'for i in 1 2 3 4 5; do grep -q " $PWD/own " /proc/mounts && sleep 0.2; done\n'
            'grep -c " $PWD/own " /proc/mounts\n')
        self.assertEqual(out, '1\nclosed\n0\nstatus=0\n0\n')

    def test_who_is_killed_leaves_no_mount(self):
        out = self.run_inside(
            '$U ./damonfs -f -o log=error,method=referenced own & sleep 1\n'
            'grep -c " $PWD/own " /proc/mounts; kill -9 $!; sleep 1\n'
            'grep -c " $PWD/own " /proc/mounts\n')
        self.assertEqual(out, '1\n0\n')


    def test_no_service_manager_is_heard(self):
        """Nor does it hear anything: whoever starts the program made the environment."""
        out = self.run_inside(
            'python3 -c "import socket\n'
            's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.bind(\'notify\'); s.settimeout(5)\n'
            'print(*[s.recv(99) for _ in range(1)])" 2> told & sleep 1; chmod 666 notify\n'
            '$U env NOTIFY_SOCKET=$PWD/notify LISTEN_FDS=1 LISTEN_FDNAMES=damonfs-fuse ./damonfs -f -o fdstore own 2> said\n'
            'echo status=$?; cat said; wait; tail -n 1 told; grep -c " $PWD/own " /proc/mounts\n')
        self.assertRegex(out, r'^status=1\n(.*\n)*.*(there is none|needs CAP_SYS_ADMIN)(.*\n)*.*TimeoutError.*(.*\n)*0\n$', out)


class LentByOwner(LentPrivileges):
    LEND = 'chmod u+s damonfs'


class NothingLent(LentPrivileges):
    """An ordinary user, whose mounts fusermount3 makes and takes away."""
    LEND = 'true'
    test_what_is_refused = None
    test_what_is_refused_to_a_helper = None
    test_no_service_manager_is_heard = None
