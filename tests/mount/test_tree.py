# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree as a user meets it: names that come and go, and hostile input to every file."""
import errno
import os
import random
import re
import stat
import subprocess
import threading
import time
import unittest

from damon import Mount, error_of, read, tries, write

SEED = int(os.environ.get('DAMONFS_SEED', '20240607'))
WRITES = 1000

KEYWORDS = {
    'operations': ['vaddr', 'fvaddr', 'paddr'],
    'action': ['willneed', 'cold', 'pageout', 'hugepage', 'nohugepage', 'lru_prio', 'lru_deprio',
               'migrate_hot', 'migrate_cold', 'stat'],
    'metric': ['none', 'free_mem_rate'],
    'target_metric': ['user_input', 'some_mem_psi_us'],
    'type': ['anon', 'memcg', 'young', 'addr', 'target'],
}
SINCE_6_2 = ['migrate_hot', 'migrate_cold']
INTEGERS = ['target_nid', 'damon_target_idx']
UINT32 = ['sz_permil', 'nr_accesses_permil', 'age_permil']
RANGE_IS_INVALID = ['quotas/ms', 'quotas/bytes', 'quotas/reset_interval_ms', 'pid_target']


def parse_number(text, low, high):
    """kstrtoull() and kstrtoint(), from their description: (errno or 0, value)."""
    sign = -1 if text[:1] == '-' and low < 0 else 1
    body = text[1:] if text[:1] == '+' or sign < 0 else text
    if re.match(r'0[xX][0-9a-fA-F]', body):
        digits, base, skip = re.match(r'0[xX]([0-9a-fA-F]+)', body).group(1), 16, 2
    elif body.startswith('0'):
        digits, base, skip = re.match(r'[0-7]*', body).group(0), 8, 0
    else:
        digits, base, skip = re.match(r'[0-9]*', body).group(0), 10, 0
    value = int(digits, base) if digits else 0
    if value >= 2 ** 64:
        return errno.ERANGE, None
    if not digits or body[skip + len(digits):] not in ('', '\n'):
        return errno.EINVAL, None
    value *= sign
    return (0, value) if low <= value <= high else (errno.ERANGE, None)


def expect(path, text, abi):
    """What the kernel does with TEXT (cut at 4096 and NUL): (errno or 0, text to read back)."""
    name = os.path.basename(path)
    if name in KEYWORDS:
        words = [w for w in KEYWORDS[name] if abi != '6.1' or w not in SINCE_6_2]
        word = text[:-1] if text.endswith('\n') else text
        return (0, word) if word in words else (errno.EINVAL, None)
    if name == 'matching':
        if text[:1] and text[0] in 'yYtT1':
            return 0, 'Y'
        if text[:1] and text[0] in 'nNfF0':
            return 0, 'N'
        if text[:1] in ('o', 'O') and text[1:2] in ('n', 'N'):
            return 0, 'Y'
        if text[:1] in ('o', 'O') and text[1:2] in ('f', 'F'):
            return 0, 'N'
        return errno.EINVAL, None
    if name == 'memcg_path':
        return 0, text
    if name in INTEGERS or name == 'pid_target':
        error, value = parse_number(text, -2 ** 31, 2 ** 31 - 1)
    elif name in UINT32:
        error, value = parse_number(text, 0, 2 ** 32 - 1)
    else:
        error, value = parse_number(text, 0, 2 ** 64 - 1)
    if error == errno.ERANGE and any(path.endswith(p) for p in RANGE_IS_INVALID):
        error = errno.EINVAL
    return error, None if value is None else str(value)


def hostile(rng, name):
    """Text that a careless or malicious user might write; now and then it is good."""
    words = KEYWORDS.get(name, []) + ['Y', 'n', 'on', 'off', 'stat', 'N', '']
    number = rng.choice(['0', '1', '-1', '4294967295', '4294967296', '-2147483648', '2147483648',
                         '18446744073709551615', '18446744073709551616', '0x', '0xff', '0XfF',
                         '010', '08', '00', '1' * rng.randrange(1, 40), str(rng.getrandbits(70))])
    text = rng.choice([number, number, rng.choice(words), rng.choice(words).upper(),
                       ''.join(chr(rng.randrange(128)) for _ in range(rng.randrange(12)))])
    for _ in range(rng.randrange(3)):
        extra = rng.choice(['\n', ' ', '\t', '+', '-', '\0', '\n\n', '1', 'x', 'k', '.5', '%s%n',
                            '\xff', '\0garbage', '0' * 5000, ' ' * 4096, '../..'])
        text = text + extra if rng.random() < 0.7 else extra + text
    return text.encode('latin-1')


class HostileInput(unittest.TestCase):
    def files_of(self, mount):
        """Every writable file but those that make directories or start something."""
        write(mount.admin + '/kdamonds/nr_kdamonds', 1)
        for path in ('contexts/nr_contexts', 'contexts/0/targets/nr_targets',
                     'contexts/0/targets/0/regions/nr_regions', 'contexts/0/schemes/nr_schemes',
                     'contexts/0/schemes/0/filters/nr_filters',
                     'contexts/0/schemes/0/quotas/goals/nr_goals'):
            full = mount.admin + '/kdamonds/0/' + path
            if os.path.exists(full):
                write(full, 1)
        for where, _, names in os.walk(mount.admin):
            for name in names:
                path = os.path.join(where, name)
                if os.stat(path).st_mode & 0o200 and not name.startswith('nr_') or \
                        name in UINT32:
                    if name != 'state':
                        yield path

    def attack(self, path, abi, rng):
        before = read_raw(path)
        for _ in range(WRITES):
            data = hostile(rng, os.path.basename(path))
            if not data:
                continue
            text = data[:4096].split(b'\0')[0].decode('latin-1')
            error, value = expect(path, text, abi)
            try:
                written, got = write(path, data), 0
            except OSError as e:
                written, got = None, e.errno
            self.assertEqual(got, error, '%s <- %r' % (path, data))
            if not error:
                self.assertEqual(written, min(len(data), 4096))
                before = (value + '\n').encode('latin-1')
            self.assertEqual(read_raw(path), before, '%s <- %r' % (path, data))

    def test_every_file_answers_as_the_kernel_and_keeps_its_value(self):
        for abi in ('6.1', '6.12'):
            rng = random.Random(SEED)
            with Mount('abi=' + abi) as mount:
                files = sorted(self.files_of(mount))
                self.assertGreater(len(files), 25)
                print('abi %s: %d files, %d hostile writes each, seed %d' %
                      (abi, len(files), WRITES, SEED))
                for path in files:
                    self.attack(path, abi, rng)
                self.assertIsNone(mount.process.poll())

    def test_counts(self):
        rng = random.Random(SEED)
        with Mount() as mount:
            mount.kdamonds(1)
            write(mount.admin + '/kdamonds/0/contexts/nr_contexts', 1)
            path = mount.admin + '/kdamonds/0/contexts/0/schemes/nr_schemes'
            for _ in range(WRITES):
                data = hostile(rng, 'nr')
                text = data[:4096].split(b'\0')[0].decode('latin-1')
                error, value = parse_number(text, -2 ** 31, 2 ** 31 - 1)
                if not data or (not error and 100 < value <= 524288):
                    continue
                if not error and value < 0:
                    error = errno.EINVAL
                elif not error and value > 524288:
                    error, value = errno.ENOMEM, 0
                before = read(path)
                try:
                    got = 0 if write(path, data) else None
                except OSError as e:
                    got = e.errno
                self.assertEqual(got, error, repr(data))
                if error in (0, errno.ENOMEM):
                    before = str(value)
                self.assertEqual(read(path), before)
                self.assertEqual(len(os.listdir(os.path.dirname(path))), int(before) + 1)

    def test_state_takes_only_its_words(self):
        rng = random.Random(SEED)
        words = ['on', 'off', 'commit', 'update_schemes_stats', 'update_tuned_intervals',
                 'clear_schemes_tried_regions']
        with Mount() as mount:
            kdamond, = mount.kdamonds(1)
            for _ in range(WRITES):
                # Without a context nothing can be turned on, so every write fails.
                data = hostile(rng, 'state') or rng.choice(words).encode()
                with self.assertRaises(OSError) as caught:
                    kdamond.state(data)
                self.assertEqual(caught.exception.errno, errno.EINVAL, repr(data))
            self.assertEqual(kdamond.state(), 'off')

    def test_half_a_million_directories(self):
        with Mount() as mount:
            mount.kdamonds(1)
            write(mount.admin + '/kdamonds/0/contexts/nr_contexts', 1)
            path = mount.admin + '/kdamonds/0/contexts/0/targets/nr_targets'
            write(path, 524288)
            self.assertEqual(read(path), '524288')
            self.assertTrue(os.path.isdir(os.path.dirname(path) + '/524287/regions'))
            write(path, 0)


def read_raw(path):
    with open(path, 'rb', buffering=0) as f:
        return f.read(65536)


class Names(unittest.TestCase):
    def setUp(self):
        self.mount = Mount()
        self.addCleanup(self.mount.close)
        self.kdamonds = self.mount.admin + '/kdamonds/'

    def count(self, number):
        write(self.kdamonds + 'nr_kdamonds', number)

    def test_an_open_file_of_a_removed_directory_is_enodev(self):
        self.count(1)
        fd = os.open(self.kdamonds + '0/state', os.O_RDWR)
        self.addCleanup(os.close, fd)
        self.assertEqual(os.read(fd, 10), b'off\n')
        self.count(1)
        for act in (lambda: os.pread(fd, 10, 0), lambda: os.write(fd, b'on')):
            with self.assertRaises(OSError) as caught:
                act()
            self.assertEqual(caught.exception.errno, errno.ENODEV)
        self.assertEqual(read(self.kdamonds + '0/state'), 'off')

    def test_names_come_and_go_at_once_for_everybody(self):
        """Another process, with everything in its caches, sees each change as soon as it is made."""
        watcher = subprocess.Popen(
            ['python3', '-c', 'import os,sys\n'
             'for line in sys.stdin:\n'
             '    p = line.strip()\n'
             '    names = sorted(n for n in os.listdir(p) if n.isdigit())\n'
             '    ok = all(os.path.isdir(p + "/" + n + "/contexts") for n in names)\n'
             '    gone = not os.path.exists(p + "/%d" % len(names))\n'
             '    print(len(names), ok, gone, os.stat(p).st_nlink, flush=True)\n'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        rng = random.Random(SEED)
        try:
            for _ in range(200):
                number = rng.randrange(6)
                self.count(number)
                watcher.stdin.write(self.kdamonds + '\n')
                watcher.stdin.flush()
                self.assertEqual(watcher.stdout.readline().strip(),
                                 '%d True True %d' % (number, number + 2))
        finally:
            watcher.stdin.close()
            watcher.wait()
            watcher.stdout.close()

    def test_lookups_and_changes_at_the_same_time(self):
        """Nothing hangs and nothing is answered with an error that makes no sense."""
        stop, strange = threading.Event(), []

        def look():
            while not stop.is_set():
                try:
                    for name in os.listdir(self.kdamonds):
                        os.stat(self.kdamonds + name)
                    read(self.kdamonds + '0/state')
                except OSError as e:
                    if e.errno not in (errno.ENOENT, errno.ENODEV):
                        strange.append(e)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for i in range(300):
            self.count(i % 4)
        stop.set()
        for thread in threads:
            thread.join(20)
            self.assertFalse(thread.is_alive(), 'a look-up hangs')
        self.assertEqual(strange, [])

    def test_a_working_directory_that_goes(self):
        """As in sysfs: nothing is in it, but it leads to where it was."""
        self.count(1)
        script = ('cd "$1/0$2" && cat nr_contexts state 2> /dev/null; ls contexts > /dev/null 2>&1\n'
                  'echo 0 > "$1/nr_kdamonds"\n'
                  'cat $3; for f in nr_contexts state contexts .; do ls -d $f; done\n'
                  'ls; echo 1 > "$1/nr_kdamonds"; cat $3\n'
                  'cat "$1/0/state"; cat ${3%/*}/0/state; stat -c %F .\n')
        for below, up, own in (('', '../nr_kdamonds', 'off'), ('/contexts', '../../nr_kdamonds', '0')):
            done = subprocess.run(['sh', '-c', script, 'sh', self.kdamonds.rstrip('/'), below, up],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.stdout.split('\n'),
                             [own, '0', '.', '1', 'off', 'off', 'directory', ''], done.stderr)
            said = done.stderr.strip().split('\n')
            self.assertEqual([line.rsplit(': ')[-1] for line in said],
                             ['No such file or directory'] * 4, said)

    def test_a_descriptor_of_a_directory_that_goes(self):
        self.count(1)
        fd = os.open(self.kdamonds + '0', os.O_RDONLY)
        self.addCleanup(os.close, fd)
        os.stat('contexts', dir_fd=fd)
        self.count(1)
        for _ in range(3):
            for call in (lambda: os.stat('state', dir_fd=fd),
                         lambda: os.open('contexts', os.O_RDONLY, dir_fd=fd)):
                self.assertEqual(error_of(call), errno.ENOENT)
            self.assertFalse(os.access('state', os.F_OK, dir_fd=fd))
            self.assertEqual(os.listdir(fd), [])
            self.assertTrue(stat.S_ISDIR(os.fstat(fd).st_mode))
            self.assertEqual(read(self.kdamonds + '0/state'), 'off')
            os.chdir(fd)
            self.assertTrue(os.path.exists('../0/state'))
            os.chdir('/')

    def test_what_others_see_when_a_write_is_answered(self):
        """By any way to ask: nobody is shown what was there before."""
        asks = {
            'stat': os.path.exists,
            'open': lambda path: not error_of(lambda: os.close(os.open(path, os.O_RDONLY))),
            'path': lambda path: not error_of(lambda: os.close(os.open(path, os.O_PATH))),
            'access': lambda path: os.access(path, os.F_OK),
            'list': lambda path: not error_of(lambda: os.listdir(path)),
            'chdir': lambda path: not error_of(lambda: (os.chdir(path), os.chdir('/'))),
            'link': lambda path: error_of(lambda: os.readlink(path)) == errno.EINVAL,
        }
        self.addCleanup(os.chdir, os.getcwd())
        rng = random.Random(SEED)
        for _ in range(60):
            number = rng.randrange(4)
            self.count(number)
            for name, ask in rng.sample(sorted(asks.items()), len(asks)):
                there = [ask('%s%d%s' % (self.kdamonds, i, rng.choice(['', '/contexts'])))
                         for i in range(4)]
                self.assertEqual(there, [i < number for i in range(4)], name)

    def test_fresh_directories_are_fresh_at_once(self):
        """What was written to one of the same name before is not seen in it."""
        kdamond, = self.mount.kdamonds(1)
        write(kdamond.path + '/contexts/nr_contexts', 1)
        path = kdamond.context + '/addr_unit'
        for i in range(100):
            write(path, 2 + i)
            self.assertEqual(read(path), str(2 + i))
            write(kdamond.path + '/contexts/nr_contexts', 1)
            self.assertEqual(read(path), '1')

    def test_modes_and_owners(self):
        self.count(1)
        st = os.stat(self.kdamonds + '0/pid')
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_size, st.st_uid), (0o400, 4096, 0))
        with self.assertRaises(PermissionError) as caught:
            os.open(self.kdamonds + '0/pid', os.O_WRONLY)
        self.assertEqual(caught.exception.errno, errno.EACCES)

    def test_long_writes_are_cut_and_long_reads_work(self):
        kdamond, = self.mount.kdamonds(1)
        write(kdamond.path + '/contexts/nr_contexts', 1)
        path = kdamond.context + '/monitoring_attrs/intervals/sample_us'
        fd = os.open(path, os.O_WRONLY)
        self.addCleanup(os.close, fd)
        # 4096 zeros are a number; what comes after them is another command.
        self.assertEqual(os.write(fd, b'0' * 5000 + b'7'), 4096)
        self.assertEqual(read(path), '0')
        self.assertEqual(os.write(fd, b'0' * 904 + b'7'), 905)
        self.assertEqual(read(path), '7')


def kernel_has_the_newest():
    return os.path.isdir('/sys/kernel/mm/damon/admin/kdamonds/0/contexts/0') and \
        tuple(int(n) for n in os.uname().release.split('.')[:2]) == (6, 18)


@unittest.skipUnless(kernel_has_the_newest(), 'MISSING: a kernel 6.18 with a kdamond to compare')
class BesideTheKernel(unittest.TestCase):
    KERNEL = '/sys/kernel/mm/damon/admin'

    def listed(self, top):
        """{path: mode} of all below.  Of the kernel's, nothing is read: they are in use."""
        out = {}
        for where, dirs, files in os.walk(top):
            for name in dirs + files:
                path = os.path.join(where, name)
                out[os.path.relpath(path, top)] = os.lstat(path).st_mode
        return out

    def grow(self, top, like):
        """Makes as many directories as LIKE has, level by level."""
        done = set()
        while True:
            counts = [path for path, mode in self.listed(top).items() if path not in done
                      and os.path.basename(path).startswith('nr_') and mode & 0o200
                      and stat.S_ISREG(mode)]
            if not counts:
                return
            for path in counts:
                done.add(path)
                parent = os.path.dirname(path)
                write(os.path.join(top, path), sum(
                    os.path.dirname(p) == parent and os.path.basename(p).isdigit() for p in like))

    @tries(3)
    def test_names_and_modes(self):
        kernel = self.listed(self.KERNEL)
        with Mount('abi=6.18') as mount:
            self.grow(mount.admin, kernel)
            ours = self.listed(mount.admin)
        # What schemes tried comes and goes.
        tried = re.compile(r'.*/tried_regions/\d+(/.*)?$')
        kernel = {path: mode for path, mode in kernel.items() if not tried.match(path)}
        self.assertEqual(ours, kernel)


class Waiting(unittest.TestCase):
    def test_a_slow_kdamond_holds_up_nobody_else(self):
        sleeper = subprocess.Popen(['sleep', '1000'])
        self.addCleanup(sleeper.wait)
        self.addCleanup(sleeper.kill)
        with Mount() as mount:
            slow, other = mount.kdamonds(2)
            slow.target(sleeper.pid)
            slow.attrs(sample=10000000, aggr=100000000)
            slow.state('on')
            write(other.path + '/contexts/nr_contexts', 1)
            committer = subprocess.Popen(['sh', '-c', 'echo commit > "$1"', 'sh',
                                          slow.path + '/state'])
            time.sleep(0.2)
            self.assertIsNone(committer.poll(), 'a commit waits for the end of an aggregation')
            longest = self.longest_read(other, 0.5)
            off = subprocess.Popen(['sh', '-c', 'echo off > "$1"', 'sh', slow.path + '/state'])
            longest = max(longest, self.longest_read(other, 0.5))
            # It would be ten seconds and more.
            self.assertLess(longest, 1)
            self.assertEqual(off.wait(5), 0)
            # It is told that the kdamond did not get to it.
            self.assertEqual(committer.wait(5), 1)
            self.assertEqual(slow.state(), 'off')

    def longest_read(self, kdamond, seconds):
        longest, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.monotonic()
            self.assertEqual(kdamond.state(), 'off')
            write(kdamond.context + '/operations', 'vaddr')
            longest = max(longest, time.monotonic() - start)
        return longest

    def test_a_waiting_write_can_be_interrupted(self):
        sleeper = subprocess.Popen(['sleep', '1000'])
        self.addCleanup(sleeper.wait)
        self.addCleanup(sleeper.kill)
        with Mount() as mount:
            kdamond, = mount.kdamonds(1)
            kdamond.target(sleeper.pid)
            kdamond.attrs(sample=10000000, aggr=100000000)
            kdamond.state('on')
            script = ('import os,signal,sys\n'
                      'class Alarm(Exception): pass\n'
                      'def ring(*a): raise Alarm\n'
                      'signal.signal(signal.SIGALRM, ring)\n'
                      'signal.setitimer(signal.ITIMER_REAL, 0.3)\n'
                      'fd = os.open(sys.argv[1], os.O_WRONLY)\n'
                      'try: os.write(fd, b"commit")\n'
                      'except Alarm: sys.exit(42)\n')
            done = subprocess.run(['python3', '-c', script, kdamond.path + '/state'], timeout=5,
                                  check=False)
            self.assertEqual(done.returncode, 42)
            # The command itself is still under way, and the next one has to wait for it.
            with self.assertRaises(OSError) as caught:
                kdamond.state('update_schemes_stats')
            self.assertEqual(caught.exception.errno, errno.EBUSY)
            kdamond.state('off')
