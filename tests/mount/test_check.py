# SPDX-License-Identifier: GPL-2.0-or-later
"""damonfs check: what it says is so, and what it says to add adds it."""
import contextlib
import glob
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

from damon import DAMONFS, HAVE_YOUNG, SANITIZED, Workload, children_of, read, until
from users import as_user, running

NOBODY = 65534
# Makes the working directory a root, with what was the working directory before as /here.
MAKE_ROOT = ('for name in bin dev etc lib lib64 proc sys usr; do [ ! -e /$name ] || { mkdir $name; '
             'mount --rbind /$name $name; }; done; mkdir here; mount --bind "$OLDPWD" here')
CAPABILITIES = 'sys_admin sys_ptrace sys_nice bpf perfmon setuid setgid dac_override dac_read_search'.split()


def without(*names):
    """A command line that leaves out capabilities."""
    return ['setpriv', '--bounding-set', ','.join('-' + name for name in names), '--']


def check(*words, program=DAMONFS, before=()):
    """(exit status, report, what it wrote to stderr)"""
    done = subprocess.run([*before, program, 'check', '--json', *map(str, words)], capture_output=True, text=True,
                          check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def rows(report, key='methods'):
    return {row['method']: row for row in report[key]}


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to be others, too')
class Users(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='damonfs-test-')
        os.chmod(self.dir, 0o755)
        self.program = os.path.join(self.dir, 'damonfs')
        shutil.copy(DAMONFS, self.program)
        # As most systems have it.
        self.device = os.path.join(self.dir, 'fuse')
        os.mknod(self.device, 0o666 | stat.S_IFCHR, os.makedev(10, 229))
        os.chmod(self.device, 0o666)

    def tearDown(self):
        shutil.rmtree(self.dir)

    def where(self, setup, command=()):
        """The words that run COMMAND after SETUP in a mount namespace of its own."""
        return ['unshare', '-m', 'sh', '-ec', 'mount --make-rprivate /; cd %s; %s; exec "$@"' % (self.dir, setup), 'sh',
                *command]


class Check(Users):
    def as_a_user(self, *words, setup='mount --bind fuse /dev/fuse', program=None):
        return check(*words, program=program or self.program, before=self.where(setup, as_user(NOBODY)))

    def test_for_root(self):
        mounts = read('/proc/mounts')
        status, report, said = check()
        self.assertEqual(said, '')
        self.assertEqual((report['mount'], report['exec']), ({'works': True, 'why': ''},) * 2)
        methods = rows(report)
        self.assertEqual(list(methods), [m for m in ('idle', 'young', 'softdirty', 'referenced') if m in methods])
        exact = [m for m in ('idle', 'young') if methods.get(m, {}).get('works')]
        self.assertEqual(status, 0 if exact else 1)
        self.assertEqual([m for m in methods if methods[m]['taken']], (exact + ['softdirty', 'referenced'])[:1])
        self.assertEqual(methods['idle']['works'], os.path.exists('/sys/kernel/mm/page_idle/bitmap'))
        for row in methods.values():
            self.assertEqual(not row['works'], bool(row['why']) and 'but' not in row['why'], row)
        self.assertTrue(rows(report, 'paddr'))
        self.assertEqual(report['missing'], [])
        # It left nothing.
        self.assertEqual(read('/proc/mounts'), mounts)
        self.assertEqual(glob.glob('/tmp/damonfs-check.*'), [])

    def test_for_people(self):
        done = subprocess.run([DAMONFS, 'check', str(os.getpid())], capture_output=True, text=True, check=False)
        self.assertRegex(done.stdout, r'\Adamonfs \S+ on Linux \S+\nmounting +works\ndamonfs exec +works\n'
                                      r'methods for process %d:\n(  \w+ +(works|does not work).*\n)+\Z' % os.getpid())

    @unittest.skipUnless(HAVE_YOUNG, 'MISSING: the method young')
    def test_it_names_the_capability(self):
        for missing in (('sys_nice',), ('sys_admin', 'bpf'), ('sys_admin', 'perfmon')):
            status, report, _ = check(before=without(*missing))
            row = rows(report)['young']
            self.assertFalse(row['works'])
            self.assertIn('--cap-add ' + missing[-1].upper(), row['why'])
            self.assertIn('CAP_' + missing[-1].upper(), [row['capability'] for row in report['missing']])
            self.assertEqual(status, 1)

    @unittest.skipUnless(HAVE_YOUNG, 'MISSING: the method young')
    def test_without_btf(self):
        """libbpf answers ESRCH, which does not mean that the process is gone."""
        status, report, said = check(before=self.where('mount -t tmpfs none /sys/kernel/btf'))
        self.assertEqual((status, said), (1, ''))
        self.assertIn('no BTF', rows(report)['young']['why'])

    def test_without_the_device(self):
        _, report, _ = check(before=self.where('mount --bind /dev/null /dev/fuse'))
        for key in 'mount', 'exec':
            self.assertFalse(report[key]['works'])
        status, report, _ = check(program=self.program, before=self.where('mount -t tmpfs none /dev'))
        self.assertEqual(status, 2)
        for key in 'mount', 'exec':
            self.assertFalse(report[key]['works'])
            self.assertIn('--device /dev/fuse', report[key]['why'])

    def test_it_needs_no_place_of_its_own(self):
        """A container may not write to /tmp, or it is a link."""
        for program, setup in ((self.program, 'mount --bind /tmp /tmp; mount -o remount,bind,ro /tmp'),
                               ('/here/damonfs', 'mkdir -p real; chmod 777 real; mount -t tmpfs none /mnt; cd /mnt; '
                                + MAKE_ROOT + '; mkdir old; ln -s here/real tmp; pivot_root . old; umount -l old; cd /')):
            for user in [], as_user(NOBODY):
                _, report, said = check(program=program, before=self.where(
                    'mount --bind fuse /dev/fuse; ' + setup,
                    [*user, 'sh', '-c', '"$@"; status=$?; ! grep damonfs-check /proc/mounts >&2; exit $status', 'sh']))
                self.assertEqual(said, '', setup)
                for key in 'mount', 'exec':
                    self.assertTrue(report[key]['works'], (setup, report[key]))

    def test_it_waits_for_its_children(self):
        """Even if whoever starts it ignores the end of theirs."""
        done = subprocess.run([DAMONFS, 'check', '--json'], capture_output=True, check=False,
                              preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        self.assertTrue(json.loads(done.stdout)['mount']['works'])

    def test_as_an_ordinary_user(self):
        status, report, said = self.as_a_user()
        self.assertEqual((status, said), (1, ''))
        self.assertTrue(report['mount']['works'], report)
        self.assertTrue(report['exec']['works'], report)
        self.assertTrue(rows(report)['referenced']['works'])
        self.assertFalse(rows(report).get('young', {}).get('works'))
        self.assertFalse(rows(report, 'paddr')['referenced']['works'])
        self.assertEqual(len(report['missing']), len(CAPABILITIES))
        status, report, _ = self.as_a_user(setup='chmod 600 fuse; mount --bind fuse /dev/fuse')
        self.assertEqual(status, 2)
        self.assertIn('chmod 666', report['mount']['why'])
        _, report, _ = self.as_a_user(
            setup='chmod 666 fuse; mount --bind fuse /dev/fuse; echo "#!/bin/sh\necho fusermount3: not now >&2; exit 1" '
            '> helper; chmod 755 helper; mount --bind helper ' + shutil.which('fusermount3'))
        self.assertRegex(report['mount']['why'], 'damonfs lend.*; fusermount3: not now$')

    def test_a_process(self):
        with Workload() as workload:
            status, report, _ = check(workload.pid)
            self.assertEqual(status, 0 if HAVE_YOUNG else 1)
            self.assertEqual(report['pid'], workload.pid)
            # It is somebody else's.
            status, report, _ = self.as_a_user(workload.pid)
            self.assertEqual(status, 2)
            self.assertFalse(any(row['works'] for row in report['methods']))
        with running(*as_user(NOBODY), 'sleep', '60') as process:
            status, report, _ = self.as_a_user(process.pid)
            self.assertEqual(status, 1)
        status, report, said = check(process.pid)
        self.assertEqual((status, report), (2, None))
        self.assertIn('No such process', said)

    def test_privileges_of_the_program_file(self):
        """They are not lent for processes of others, nor are they for `exec'."""
        subprocess.run(['setcap', 'cap_sys_admin,cap_sys_ptrace,cap_sys_nice,cap_bpf,cap_perfmon+p', self.program],
                       check=True)
        status, report, _ = self.as_a_user(os.getpid())
        self.assertEqual((status, report), (2, None))
        status, report, _ = self.as_a_user()
        self.assertTrue(report['mount']['works'])
        self.assertFalse(report['exec']['works'])
        self.assertNotIn('paddr', report)
        if HAVE_YOUNG and not SANITIZED:
            self.assertEqual(status, 0)
            self.assertTrue(rows(report)['young']['taken'])

    def test_bad_words(self):
        for words in ['0'], ['-1'], ['x'], ['1x'], [str(1 << 32)], ['1', '2'], ['--nothing']:
            done = subprocess.run([DAMONFS, 'check', *words], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ''))
            self.assertIn('Usage:', done.stderr)


class OrdinaryUser(Users):
    """damonfs exec makes a user namespace for who may not make a mount namespace."""

    def exec(self, script, *options):
        done = subprocess.run([*self.where('mount --bind fuse /dev/fuse', as_user(NOBODY)), self.program, 'exec',
                               *options, '--', 'sh', '-c', script], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_exec(self):
        status, out, said = self.exec('id -u; cat /sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds; '
                                      'stat -f -c %T /sys/kernel/mm/damon /sys/kernel/debug/damon; exit 5')
        self.assertEqual((status, out), (5, '0\n0\nfuseblk\nfuseblk\n'), said)

    def test_it_watches_what_it_starts(self):
        status, out, said = self.exec(
            'cd /sys/kernel/mm/damon/admin/kdamonds; sleep 60 & echo 1 > nr_kdamonds; echo 1 > 0/contexts/nr_contexts; '
            'cd 0/contexts/0; echo vaddr > operations; echo 1 > targets/nr_targets; echo $! > targets/0/pid_target; '
            'echo on > ../../state; cat ../../state; kill $!', '-o', 'log=info')
        self.assertEqual((status, out), (0, 'on\n'), said)
        self.assertIn('using access method', said)

    def test_it_does_not_see_frames(self):
        """Which are number 0 to it: all memory would look cold."""
        status, out, said = self.exec(
            self.program + ' check --json; cd /sys/kernel/mm/damon/admin/kdamonds; echo 1 > nr_kdamonds; '
            'echo 1 > 0/contexts/nr_contexts; cd 0/contexts/0; echo paddr > operations; echo 1 > targets/nr_targets; '
            'cd targets/0/regions; echo 1 > nr_regions; echo 4096 > 0/start; echo 8192 > 0/end; '
            'cd ../../../../..; echo on > state; cat state >&2', '-o', 'log=info')
        self.assertEqual(status, 0)
        self.assertFalse(any(row['works'] for row in json.loads(out)['paddr']), out)
        self.assertRegex(said, r'reverse map(.*\n)*off\n')

    def test_it_gains_nothing(self):
        """Root in there is the user out here."""
        secret = os.path.join(self.dir, 'secret')
        with open(secret, 'w') as f:
            os.fchmod(f.fileno(), 0o600)
        status, out, _ = self.exec('cat %s 2>/dev/null || echo refused; kill -0 %d 2>/dev/null || echo refused'
                                   % (secret, os.getpid()))
        self.assertEqual((status, out), (0, 'refused\nrefused\n'))

    def test_where_it_may_not(self):
        # The ids of this user have no names outside, so that nobody can be mapped.
        done = subprocess.run([*without(*CAPABILITIES), 'unshare', '-U', self.program, 'exec', 'true'],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 125)
        self.assertIn('CAP_SYS_ADMIN', done.stderr)

    def test_too_many_namespaces(self):
        for kind, privileges in ('mnt', []), ('user', without(*CAPABILITIES)):
            done = subprocess.run(['unshare', '-U', '-r', 'sh', '-c', 'echo 0 > /proc/sys/user/max_%s_namespaces; '
                                   'exec "$@"' % kind, 'sh', *privileges, self.program, 'exec', 'true'],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 125)
            self.assertRegex(done.stderr, r'\(sysctl .*user\.max_%s_namespaces' % kind)

    def test_in_a_chroot(self):
        """Mounts cannot be kept apart there, unless / is a mount point; what is said to help does."""
        for bind, status, said in ('true', 125, 'mount --rbind DIR DIR'), ('mount --rbind /mnt/root /mnt/root', 0, ''):
            setup = 'mount -t tmpfs none /mnt; mkdir /mnt/root; cd /mnt/root; %s; %s' % (MAKE_ROOT, bind)
            done = subprocess.run(self.where(setup, ['chroot', '/mnt/root', '/here/damonfs', 'exec', 'true']),
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(said, done.stderr)

    def test_lend_waits_with_signals_for_its_command(self):
        """One that comes when there is a mount, but no command yet, leaves no mount behind."""
        slow = os.path.join(self.dir, 'slow')
        with open(slow, 'w') as f:
            f.write('#!/bin/sh\n%s/real "$@" || exit\n[ "$1" = -u ] || { kill $PPID; sleep 0.2; }\n' % self.dir)
        os.chmod(slow, 0o755)
        place = os.path.join(self.dir, 'own')
        os.mkdir(place)
        os.chown(place, NOBODY, NOBODY)
        helper = shutil.which('fusermount3')
        done = subprocess.run(
            self.where('mount --bind fuse /dev/fuse; cp -p %s real; mount --bind slow %s' % (helper, helper),
                       [*as_user(NOBODY), 'sh', '-c', '%s lend %s sleep 60; echo $?; grep -c %s /proc/mounts'
                        % (self.program, place, place)]), capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.stdout, '143\n0\n', done.stderr)


@unittest.skipUnless(os.geteuid() == 0, 'MISSING: root, to mount for others')
class Lend(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.mkdtemp(prefix='damonfs-test-')

    def tearDown(self):
        os.rmdir(self.place)

    def lend(self, *command, options=()):
        done = subprocess.run([DAMONFS, 'lend', *options, self.place, '--', *command], capture_output=True, text=True,
                              check=False)
        self.assertFalse(os.path.ismount(self.place))
        return done.returncode, done.stdout, done.stderr

    def test_a_daemon_that_may_not_mount(self):
        script = '''
            "$@" & damonfs=$!; exec 3>&-
            until cat %s/admin/kdamonds/nr_kdamonds; do sleep 0.1; done
            kill $damonfs; wait $damonfs''' % self.place
        status, out, said = self.lend('sh', '-c', script, 'sh', *without('sys_admin'), DAMONFS, '-f', '-o', 'sandbox=trap',
                                      '/dev/fd/3')
        self.assertEqual((status, out), (0, '0\n'), said)

    def test_what_the_command_has(self):
        """The mount's descriptor and no other; signals as they were."""
        files = 'import os; print(*sorted("%s:%s" % (fd, os.readlink("/proc/self/fd/" + fd)) for fd in "3456789" ' \
            'if os.path.exists("/proc/self/fd/" + fd))); print(*os.listdir("/proc/self/fd"))'
        for setup in '', 'exec <&-; ', 'exec 3</etc/passwd; ':
            out = subprocess.run(['sh', '-c', setup + 'exec "$@"', 'sh', DAMONFS, 'lend', self.place, '--', sys.executable,
                                  '-c', files], capture_output=True, text=True, check=True).stdout.splitlines()
            self.assertEqual(out[0], '3:/dev/fuse', setup)
            # The last one is of who looks.
            self.assertLessEqual(len(out[1].split()), 5, setup)
        _, out, _ = self.lend('grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status')
        masks = dict(line.split() for line in out.splitlines())
        with open('/proc/self/status') as f:
            ours = dict(line.split() for line in f if line.startswith(('SigBlk', 'SigIgn')))
        self.assertEqual(masks['SigBlk:'], ours['SigBlk:'])
        # Python ignores SIGPIPE, and gives it back to who it starts.
        self.assertEqual(int(masks['SigIgn:'], 16) & ~int(ours['SigIgn:'], 16), 0)

    def test_nobody_waits_for_a_daemon_that_ended(self):
        status, out, _ = self.lend('sh', '-c', 'exec 3>&-; ls %s 2>&1; exit 3' % self.place)
        self.assertEqual(status, 3)
        self.assertIn('not connected', out)

    def test_whose_pids_count(self):
        """Those of the container that serves and writes."""
        with contextlib.ExitStack() as stack:
            unshare = stack.enter_context(running('unshare', '--pid', '--fork', '--kill-child', '--mount-proc', 'sleep', '600'))
            until(lambda: children_of(unshare.pid), 5)
            first = str(children_of(unshare.pid)[0])
            inside = 'nsenter --pid --target %s ' % first
            # The daemon with a /proc of its own, as in a container.
            script = inside + '''--mount "$@" & nsenter=$!; exec 3>&-
                cd %s/admin/kdamonds
                until cat nr_kdamonds; do sleep 0.1; done
                echo 1 > nr_kdamonds; cd 0; echo 1 > contexts/nr_contexts; cd contexts/0; echo vaddr > operations
                echo 1 > targets/nr_targets; %s sh -c 'echo 1 > targets/0/pid_target; echo on > ../../state; cat ../../state'
                cd /; kill $(cat /proc/$nsenter/task/$nsenter/children); wait $nsenter''' % (self.place, inside)
            for options, answer in (('--pid', first), 'on'), ((), 'off'):
                _, out, said = self.lend('sh', '-c', script, 'sh', DAMONFS, '-f', '-o', 'sandbox=trap', '/dev/fd/3',
                                         options=options)
                self.assertEqual(out, '0\n%s\n' % answer, said)
        # Nobody is there any more: it ends a moment after its parent.
        until(lambda: not os.path.exists('/proc/%s/ns/pid' % first), 5)
        status, _, said = self.lend('true', options=('--pid', first))
        self.assertEqual(status, 125)
        self.assertIn('No such process', said)

    def test_status_and_signals(self):
        self.assertEqual(self.lend('sh', '-c', 'kill -TERM $PPID; exec sleep 60')[0], 128 + 15)
        self.assertEqual(self.lend('/nonexistent')[0], 127)
        self.assertEqual(self.lend('/etc/passwd')[0], 126)

    def test_options(self):
        status, out, _ = self.lend('grep', self.place, '/proc/self/mounts', options=('-o', 'ro', '-o', 'fsname=lent'))
        self.assertEqual(status, 0)
        self.assertRegex(out, r'^lent \S+ fuse\.damonfs ro,.*allow_other')
        for words in [[], [self.place], ['-x', self.place, 'true'], ['/nonexistent', 'true'],
                      ['--', '-x', 'true'], ['/dev/fd/0', 'true'], ['-o', 'ro,auto_unmount', self.place, 'true'],
                      *(['--pid', pid, self.place, 'true'] for pid in ('', '-1', 'x', '1x', '0', '4294967296'))]:
            with open('/dev/fuse', 'rb') as device:
                done = subprocess.run([DAMONFS, 'lend', *words], stdin=device, capture_output=True, check=False)
            self.assertEqual(done.returncode, 125, words)

    def test_any_name(self):
        os.mkdir(self.place + '/-x')
        done = subprocess.run([DAMONFS, 'lend', '--', '-x', 'grep', '-q', self.place + '/-x ', '/proc/self/mounts'],
                              cwd=self.place, check=False)
        os.rmdir(self.place + '/-x')
        self.assertEqual(done.returncode, 0)
