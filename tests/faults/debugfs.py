# SPDX-License-Identifier: GPL-2.0-or-later
"""The session of the debugfs tree."""
import os

from damon import read, until, write
from fault import answer_of
from session import Session, Step


class Debugfs(Session):
    def steps(self, pid):
        damon = self.mount.dir + '/damon'
        monitor_on = damon + '/monitor_on'
        if not os.path.exists(monitor_on):
            monitor_on += '_DEPRECATED'
        masked = ('kdamond_pid', '/stats/')
        scheme = '0 18446744073709551615 0 4294967295 0 4294967295 5 0 0 0 0 0 0 0 0 0 0 0\n'

        def off():
            if read(monitor_on) == 'on':
                answer_of(write, monitor_on, 'off')
            until(lambda: read(monitor_on) == 'off', 5)

        def plain():
            off()
            if os.path.exists(damon + '/foo'):
                write(damon + '/rm_contexts', 'foo')
            write(damon + '/schemes', '\n')
            write(damon + '/target_ids', '\n')
            write(damon + '/attrs', '5000 100000 1000000 10 1000')

        def targets():
            plain()
            write(damon + '/target_ids', pid)

        def ready():
            targets()
            write(damon + '/schemes', scheme)

        def running():
            ready()
            write(monitor_on, 'on')

        def made():
            plain()
            write(damon + '/mk_contexts', 'foo')

        def step(file, prepare, text, **more):
            return Step(file, prepare, lambda: write(damon + '/' + file, text), masked=masked, **more)

        def empty(file):
            return [lambda: write(damon + '/' + file, '\n')]

        return [
            step('attrs', plain, '5000 100000 1000000 10 500\n'),
            step('target_ids', plain, '%d' % pid),
            step('init_regions', targets, '0 4096 8192\n0 12288 16384\n', partly=empty('init_regions')),
            step('schemes', plain, scheme * 3),
            step('mk_contexts', plain, 'foo'),
            step('rm_contexts', made, 'foo'),
            Step('monitor_on=on', ready, lambda: write(monitor_on, 'on'), masked=(*masked, 'schemes'),
                 allowed=['EINVAL']),
            Step('reading while on', running,
                 lambda: [read(damon + '/' + f) for f in ('schemes', 'target_ids', 'attrs')],
                 masked=(*masked, 'schemes')),
            Step('monitor_on=off', running, lambda: write(monitor_on, 'off'), masked=(*masked, 'schemes')),
        ]
