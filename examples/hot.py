#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints what is hot of a process, about once a second:  hot.py PID SECONDS"""
import ctypes
import os
import select
import sys
import time

damon = ctypes.CDLL('libdamon.so.0')
damon.damon_ctx_destroy.restype = None
damon.damon_snapshot_nr.restype = ctypes.c_size_t
CALLED = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


def check(r):
    if r < 0:
        raise OSError(-r, os.strerror(-r))
    return r


def regions(snapshot):
    """(start, end, accesses) of each region."""
    target, accesses, age = ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint()
    start, end = ctypes.c_uint64(), ctypes.c_uint64()
    for i in range(damon.damon_snapshot_nr(ctypes.c_void_p(snapshot))):
        check(damon.damon_snapshot_region(ctypes.c_void_p(snapshot), ctypes.c_size_t(i), ctypes.byref(target),
                                          ctypes.byref(start), ctypes.byref(end), ctypes.byref(accesses),
                                          ctypes.byref(age)))
        yield start.value, end.value, accesses.value


def main(pid, seconds):
    ctx, target = ctypes.c_void_p(), ctypes.c_void_p()
    count = 0

    @CALLED
    def show(snapshot, _data):
        nonlocal count
        count += 1
        if count % 10:
            return
        print('aggregation', count)
        for start, end, accesses in regions(snapshot):
            if accesses >= 10:
                print('%#x-%#x %d' % (start, end, accesses), flush=True)

    check(damon.damon_ctx_new(ctypes.byref(ctx)))
    check(damon.damon_new_target_pid(ctx, pid, ctypes.byref(target)))
    check(damon.damon_on_aggregation(ctx, show, None))
    # The calls come from here, not from a thread that Python does not know.
    ready = select.poll()
    ready.register(check(damon.damon_fd(ctx)), select.POLLIN)
    check(damon.damon_start(ctx))
    until = time.monotonic() + seconds
    while time.monotonic() < until and damon.damon_is_running(ctx):
        ready.poll(1000)
        check(damon.damon_dispatch(ctx))
    damon.damon_ctx_destroy(ctx)


main(int(sys.argv[1]), float(sys.argv[2]))
