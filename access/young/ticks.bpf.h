/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rounds in the kernel: a timer does what the worker does (young_round()), as long as no page has
 * to be cleared, and wakes it otherwise.  Part of young.bpf.c.
 *
 * The worker and the timer take turns with the batch: see `on' of struct young_ticks.
 */
/* Of headers that cannot be included here, or are newer than Debian 12's. */
#define CLOCK_MONOTONIC 1
#define BPF_F_TIMER_ABS 1ULL

#define STANDSTILL_NS 500000000ULL

struct young_timer {
	struct bpf_timer timer;
};

/* By thread: a timer goes with its entry. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct young_timer);
} timers SEC(".maps");

/* What wakes the worker: it polls, and reads nothing.  By slot, as `batches'. */
struct wake_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__array(values, struct wake_map);
} wakes SEC(".maps");

struct tick {
	struct walk walk;
	__u64 now; /* ns */
	__u32 rounds; /* since the last tick: 1, or more if it is late */
	__u32 waits; /* pages that are to be cleared */
};

/* Checks the address that was prepared, and looks at the next one. */
static long tick_look(__u32 i, void *context)
{
	struct tick *tick = context;
	struct young_batch *b = tick->walk.batch;
	struct young_ticks *t = &b->ticks;
	struct young_leaf leaf = {};
	struct access_run *run;
	__u64 entry, size;

	if (i >= YOUNG_TICK_REGIONS)
		return 1;
	run = &t->run[i];
	run->probe.prepared = run->probe.next;
	entry = find_entry(&tick->walk, run->probe.prepared, &size);
	estimate_check(&run->probe, flags_of(entry, size) & YOUNG_YOUNG);
	if (run->probe.accessed)
		run->hits += tick->rounds;
	run->probe.next = random_range(t->random, run->start, run->end);
	entry = find_entry(&tick->walk, run->probe.next, &size);
	leaf.flags = flags_of(entry, size);
	if (leaf.flags & YOUNG_YOUNG) {
		look_at_page(&tick->walk, &leaf, run->probe.next, entry);
		if (estimate_is_due(&t->clock, &run->probe) &&
		    (tick->now >= t->clear_refs_at || !young_needs_clear_refs(&leaf, &run->probe)))
			tick->waits++;
	}
	b->leaf[i] = leaf;
	return 0;
}

/* Prepares the next address, whose page is not to be cleared. */
static long tick_prepare(__u32 i, void *context)
{
	struct tick *tick = context;
	struct young_batch *b = tick->walk.batch;
	struct young_ticks *t = &b->ticks;

	if (i >= YOUNG_TICK_REGIONS)
		return 1;
	young_prepare_uncleared(&b->leaf[i], &t->run[i].probe, t->clear_refs_used);
	return 0;
}

/*
 * How many rounds have passed since the last deadline, of those that are left.  If the machine
 * stood still, it is one, and the deadline moves on: see schedule_stood_still() of the engine.
 */
static __always_inline __u32 rounds_passed(struct young_ticks *t, __u64 now)
{
	__u64 rounds = now > t->deadline && t->interval ? (now - t->deadline) / t->interval : 0;

	if (rounds > 3 && rounds * t->interval > STANDSTILL_NS) {
		t->deadline = now - t->interval;
		return 1;
	}
	if (!rounds)
		return 1;
	return rounds < t->left ? rounds : t->left;
}

/* A tick over TASK.  Return: enum young_result. */
static __always_inline __u32 tick_over(struct young_batch *b, struct task_struct *task)
{
	struct young_ticks *t = &b->ticks;
	struct tick tick = { .walk.batch = b, .now = bpf_ktime_get_ns() };
	__u32 result = begin_walk(&tick.walk, b, task);
	__u64 cost;

	if (result != YOUNG_DONE)
		return result;
	tick.rounds = rounds_passed(t, tick.now);
	estimate_next_round(&t->clock);
	bpf_loop(t->nr, tick_look, &tick, 0);
	if (!tick.waits)
		bpf_loop(t->nr, tick_prepare, &tick, 0);
	t->waits = tick.waits;
	t->done += tick.rounds;
	t->left -= tick.rounds;
	t->deadline += t->interval * tick.rounds;
	t->last = tick.now;
	/* An interrupt, or a machine that stood still, is not the regions' cost. */
	cost = (bpf_ktime_get_ns() - tick.now) / (t->nr ? t->nr : 1);
	if (cost > 2 * t->cost)
		cost = 2 * t->cost;
	t->cost = (t->cost * 7 + cost) / 8;
	return YOUNG_DONE;
}

/* A tick for the thread TID: makes a round, and goes on or hands the batch back to the worker. */
static int on_tick(void *map, __u32 *tid, struct young_timer *timer)
{
	const __u32 *number = bpf_map_lookup_elem(&slots, tid), zero = 0;
	struct young_batch *b = batch_of(number);
	struct task_struct *task;
	__u64 next, soonest;
	void *ring;

	if (!number || !b || !b->ticks.on)
		return 0;
	b->result = YOUNG_NO_TASK;
	task = bpf_task_from_pid(b->pid);
	if (task) {
		b->result = tick_over(b, task);
		bpf_task_release(task);
	}
	if (b->result == YOUNG_DONE && !b->ticks.waits && b->ticks.left &&
	    b->ticks.nr * b->ticks.cost <= b->ticks.limit) {
		/* Memory needs time to be touched before it is checked. */
		next = b->ticks.deadline + b->ticks.interval;
		soonest = b->ticks.last + b->ticks.interval / 4 * 3;
		if (!bpf_timer_start(&timer->timer, next > soonest ? next : soonest,
				     BPF_F_TIMER_ABS))
			return 0;
	}
	/*
	 * After the last round, the worker awakes by itself.  Woken while `on' is still set, it
	 * cancels the timer, which waits for the end of this function.
	 */
	ring = b->ticks.left || b->ticks.waits ? bpf_map_lookup_elem(&wakes, number) : NULL;
	if (ring)
		bpf_ringbuf_output(ring, (void *)&zero, sizeof(zero), BPF_RB_FORCE_WAKEUP);
	__atomic_exchange_n(&b->ticks.on, 0, __ATOMIC_SEQ_CST);
	return 0;
}

/* When the first tick is due (ns). */
struct ticks_start {
	__u64 first;
};

/* Return: 0, or a negative errno. */
SEC("syscall") int start_ticks(struct ticks_start *context)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct young_timer *timer = bpf_map_lookup_elem(&timers, &tid);

	if (!timer)
		return -2; /* ENOENT */
	/* It is initialised once; that it is already is no failure. */
	bpf_timer_init(&timer->timer, &timers, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&timer->timer, on_tick);
	return bpf_timer_start(&timer->timer, context->first, BPF_F_TIMER_ABS);
}

/* Afterwards no tick runs any more. */
SEC("syscall") int stop_ticks(void *context)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct young_timer *timer = bpf_map_lookup_elem(&timers, &tid);

	if (timer)
		bpf_timer_cancel(&timer->timer);
	return 0;
}
