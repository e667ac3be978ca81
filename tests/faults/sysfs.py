# SPDX-License-Identifier: GPL-2.0-or-later
"""The session of the sysfs tree, by root and by a user who owns it."""
import contextlib
import os

from damon import read, write
from fault import answer_of
from session import Session, Step


class Sysfs(Session):
    def steps(self, pid):
        kdamonds = self.mount.admin + '/kdamonds'
        k = kdamonds + '/0'
        c = k + '/contexts/0'
        s = c + '/schemes/0'

        def off():
            if os.path.exists(k) and read(k + '/state') == 'on':
                answer_of(write, k + '/state', 'off')

        def nothing():
            off()
            write(kdamonds + '/nr_kdamonds', 0)

        def made():
            off()
            write(kdamonds + '/nr_kdamonds', 1)
            write(k + '/contexts/nr_contexts', 1)
            write(c + '/operations', 'vaddr')
            write(c + '/targets/nr_targets', 1)
            write(c + '/targets/0/pid_target', pid)
            write(c + '/monitoring_attrs/intervals/sample_us', 2000)
            write(c + '/monitoring_attrs/intervals/aggr_us', 10000)
            write(c + '/schemes/nr_schemes', 1)
            for n in ('sz', 'nr_accesses', 'age'):
                write(s + '/access_pattern/%s/max' % n, 2 ** 64 - 1)
            write(s + '/core_filters/nr_filters', 1)
            write(s + '/core_filters/0/type', 'addr')
            write(s + '/core_filters/0/matching', 'N')
            write(s + '/core_filters/0/allow', 'Y')
            write(s + '/core_filters/0/addr_end', 4096)
            write(s + '/quotas/goals/nr_goals', 1)
            write(s + '/quotas/goals/0/target_value', 10)

        def ready():
            off()
            if not os.path.exists(s + '/quotas/goals/0') or read(c + '/targets/nr_targets') != '1' or \
                    read(s + '/core_filters/nr_filters') != '1' or read(s + '/ops_filters/nr_filters') != '0':
                made()

        def running():
            if not os.path.exists(k) or read(k + '/state') != 'on':
                ready()
                write(k + '/state', 'on')
            write(k + '/state', 'clear_schemes_tried_regions')

        def count(path, number, prepare=ready):
            return Step('%s=%d' % (os.path.relpath(path, self.mount.dir), number), lambda: (prepare(), write(path, 0)),
                        lambda: write(path, number), partly=[lambda: write(path, 0)], masked=going)

        def command(word, **more):
            return Step(word, running, lambda: write(k + '/state', word), masked=live, **more)

        going = ('/0/pid', 'damon/kdamond_pid')
        live = (*going, '/stats/', '/tried_regions/', '/effective_bytes', 'damon/monitor_on')

        def names():
            os.listdir(s + '/core_filters')
            os.stat(c + '/monitoring_attrs/intervals')
            with contextlib.suppress(FileNotFoundError):
                os.stat(s + '/nothing')

        return [
            count(kdamonds + '/nr_kdamonds', 2, nothing),
            Step('nr_kdamonds again', nothing, lambda: write(kdamonds + '/nr_kdamonds', 1),
                 masked=going),
            count(k + '/contexts/nr_contexts', 1, made),
            count(c + '/targets/nr_targets', 3, made),
            count(c + '/targets/0/regions/nr_regions', 3, ready),
            count(c + '/schemes/nr_schemes', 3, made),
            count(s + '/core_filters/nr_filters', 3, made),
            count(s + '/ops_filters/nr_filters', 2, made),
            count(s + '/quotas/goals/nr_goals', 2, made),
            Step('memcg_path', lambda: (made(), write(s + '/ops_filters/nr_filters', 1)),
                 lambda: write(s + '/ops_filters/0/memcg_path', '/a'), masked=going),
            Step('an attribute', lambda: (ready(), write(s + '/quotas/bytes', 0)),
                 lambda: write(s + '/quotas/bytes', 12345), masked=going),
            Step('chmod', made, lambda: os.chmod(s + '/action', 0o640), masked=going),
            Step('reading a file', made, lambda: read(c + '/monitoring_attrs/nr_regions/min'), masked=going),
            Step('reading avail_operations', ready, lambda: read(c + '/avail_operations'), masked=going),
            Step('reading names', ready, names, masked=going),
            Step('on', ready, lambda: write(k + '/state', 'on'), masked=going, allowed=['EINVAL']),
            command('commit'),
            command('update_schemes_stats'),
            command('update_schemes_effective_quotas'),
            command('update_schemes_tried_regions'),
            command('update_schemes_tried_bytes'),
            command('commit_schemes_quota_goals'),
            command('update_tuned_intervals'),
            Step('reading while on', running, lambda: (read(k + '/state'), os.listdir(s), read(s + '/action')),
                 masked=live),
            # The kdamond itself may meet the fault, and end before it is told to.
            Step('off', running, lambda: write(k + '/state', 'off'),
                 partly=[lambda: write(k + '/state', 'off')], masked=live),
            Step('nr_kdamonds=0', ready, lambda: write(kdamonds + '/nr_kdamonds', 0), masked=live),
        ]


def as_user(uid, do):
    """DO, with the effective ids of UID."""
    def act():
        os.setegid(uid)
        os.seteuid(uid)
        try:
            do()
        finally:
            os.seteuid(0)
            os.setegid(0)
    return act


class Owner(Sysfs):
    """The same by a user whom the daemon has to ask the kernel about, and whose credentials it takes on."""

    def steps(self, pid):
        steps = super().steps(pid)
        for step in steps:
            step.prepare, step.do = as_user(self.uid, step.prepare), as_user(self.uid, step.do)
            step.partly = [as_user(self.uid, way) for way in step.partly]
        return [steps[0]] + [s for s in steps if s.name in ('on', 'commit', 'off', 'memcg_path')
                             or s.name.startswith('update_schemes_tried')]
