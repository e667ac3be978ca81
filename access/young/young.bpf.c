// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads the accessed bits of a process's page tables, a batch of addresses in one call.
 *
 * The walk is lockless: a page table that is freed meanwhile gives a wrong bit, never a fault,
 * because every read is a bpf_probe_read_kernel(), or a load that the kernel has checked to be
 * allowed to fault (bpf_rdonly_cast).  Nothing here can clear a bit; young.c does it
 * with process_madvise() and needs to know for that whether the page is mapped elsewhere too and
 * how large its folio is.
 *
 * The kernel's layout comes from BTF (CO-RE), so that the program is compiled once; where its
 * direct map and its struct pages lie is found by `calibrate'.  x86-64 only.
 */
#include "access/young/batch.h"

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "GPL";

/* The parts of the kernel's types that are read; CO-RE finds their real offsets. */
#define KERNEL_TYPE __attribute__((preserve_access_index))

typedef struct {
	int counter;
} KERNEL_TYPE atomic_t;

struct page {
	unsigned long compound_head;
	atomic_t _mapcount;
} KERNEL_TYPE;

/* Linux 6.1 and 6.2 keep the mappings of a whole compound page in its second struct page. */
struct page___compound {
	atomic_t compound_mapcount;
} KERNEL_TYPE;

struct folio {
	unsigned long _flags_1;
	atomic_t _large_mapcount; /* since 6.10 */
	atomic_t _entire_mapcount;
} KERNEL_TYPE;

enum pageflags { PG_head = 1, PG_lru = 2 };

struct vm_struct {
	struct page **pages;
} KERNEL_TYPE;

struct mm_struct {
	void *pgd;
	void *notifier_subscriptions; /* where there is CONFIG_MMU_NOTIFIER */
	unsigned long total_vm; /* pages */
} KERNEL_TYPE;

struct task_struct {
	int pid;
	__u64 start_boottime;
	__u32 self_exec_id; /* how many programs it has executed */
	struct mm_struct *mm;
	void *stack;
	struct vm_struct *stack_vm_area;
} KERNEL_TYPE;

struct bpf_iter__task {
	struct task_struct *task;
} KERNEL_TYPE;

/* Any type of the kernel's whose first member is a word: what bpf_rdonly_cast() makes of it. */
struct timespec64 {
	__s64 tv_sec;
} KERNEL_TYPE;

extern void *bpf_rdonly_cast(const void *object, __u32 btf_id) __ksym __weak;
extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

/* The kernel has bpf_rdonly_cast (6.2): a load instead of a call, a third of a large walk. */
const volatile _Bool inline_loads;

/* Of a small process, 1 GiB: clear_refs takes at most 20 ms. */
#define SMALL_PAGES (1UL << 18)

#define VSYSCALL_PAGE 0xffffffffff600000ULL

#define PTE_PRESENT   0x1
#define PTE_ACCESSED  0x20
#define PTE_LARGE     0x80
#define PTE_PROT_NONE 0x100 /* present to the kernel, but not to the processor */
#define PTE_SPECIAL   0x200 /* the zero page, devices: no page that is on a list */
#define PTE_FRAME     0x000ffffffffff000ULL

/* Found by calibrate, constant afterwards. */
__u64 direct_map; /* kernel address of frame 0 */
__u64 struct_pages; /* kernel address of frame 0's struct page */
__u64 frame_mask = PTE_FRAME; /* less the encryption bit, where memory is encrypted */
__u32 levels = 4;

/* Whether the kernel can clear a part of a process's memory without splitting its large folios. */
_Bool keeps_folios;

/* calibrate: in, a page of the caller's with these words in it. */
__u64 magic_address, magic[2];

/*
 * The number of each thread's slot, by which it has a batch.  What a map of maps holds stays there
 * for the next thread: every change of one waits until all processors have passed a quiet point.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} slots SEC(".maps");

struct batch_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__uint(value_size, sizeof(struct young_batch));
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__array(values, struct batch_map);
} batches SEC(".maps");

struct walk {
	struct young_batch *batch;
	__u64 pgd;
	__u64 kernel; /* whether addresses of the kernel are looked up as well */
	__u64 small; /* whether clear_refs, which goes over all pages, takes little time */
	__u64 by_bitmap;
	/* The tables of the last walk: neighbours share them. */
	__u64 pmd_span, pmd_table;
	__u64 pte_span, pte_table;
};

static __always_inline __u64 read_word(__u64 address)
{
	__u64 word = 0;

	/* A table may be freed or guessed; loads from this page are user space's to the fault
	 * handler. */
	if (address - VSYSCALL_PAGE < 4096)
		return 0;
	if (inline_loads) {
		struct timespec64 *words = bpf_rdonly_cast(
			(void *)address, bpf_core_type_id_kernel(struct timespec64));

		return words->tv_sec;
	}
	bpf_probe_read_kernel(&word, sizeof(word), (void *)address);
	return word;
}

/* The word that begins with FIELD; a smaller field is its lower part. */
#define READ_FIELD(object, field) \
	read_word((__u64)__builtin_preserve_access_index(&(object)->field))

static __always_inline __u64 entry_of(__u64 table, __u64 address, int shift)
{
	return read_word(table + ((address >> shift) & 511) * 8);
}

static __always_inline __u64 table_of(__u64 entry)
{
	return direct_map + (entry & frame_mask);
}

/*
 * The lowest entry for ADDRESS; *SIZE is the bytes that it maps, 0 if there is none.  The kernel's
 * half of the tables is nobody's to look at but ours, in `calibrate'.
 */
static __noinline __u64 find_entry(struct walk *w, __u64 address, __u64 *size)
{
	__u64 table, entry;

	if (!w || !size)
		return 0;
	*size = 0;
	if (address >> (levels == 5 ? 56 : 47) && !w->kernel)
		return 0;
	if (w->pte_table && address >> 21 == w->pte_span) {
		table = w->pte_table;
		goto pte;
	}
	if (w->pmd_table && address >> 30 == w->pmd_span) {
		table = w->pmd_table;
		goto pmd;
	}
	table = w->pgd;
	if (levels == 5) {
		entry = entry_of(table, address, 48);
		if (!(entry & PTE_PRESENT))
			return 0;
		table = table_of(entry);
	}
	entry = entry_of(table, address, 39);
	if (!(entry & PTE_PRESENT))
		return 0;
	entry = entry_of(table_of(entry), address, 30);
	if (!(entry & PTE_PRESENT) || entry & PTE_LARGE)
		return 0; /* a gigantic page is hugetlbfs's and cannot be cleared */
	table = table_of(entry);
	w->pmd_span = address >> 30;
	w->pmd_table = table;
pmd:
	entry = entry_of(table, address, 21);
	if (!(entry & (PTE_PRESENT | PTE_LARGE)))
		return 0;
	if (entry & PTE_LARGE) {
		*size = 1 << 21;
		return entry;
	}
	table = table_of(entry);
	w->pte_span = address >> 21;
	w->pte_table = table;
pte:
	entry = entry_of(table, address, 12);
	if (entry & (PTE_PRESENT | PTE_PROT_NONE) && !(entry & PTE_SPECIAL))
		*size = 1 << 12;
	return entry;
}

static __always_inline __u8 flags_of(__u64 entry, __u64 size)
{
	__u8 flags = 0;

	if (size)
		flags |= YOUNG_PRESENT;
	if (size && entry & PTE_ACCESSED)
		flags |= YOUNG_YOUNG;
	if (size == 1 << 21)
		flags |= YOUNG_HUGE;
	return flags;
}

static __always_inline struct page *page_of(__u64 frame)
{
	return (void *)(struct_pages + frame * bpf_core_type_size(struct page));
}

/* Mappings beyond the first of a folio that is mapped by one large entry. */
static __always_inline int entire_mapcount(struct page *head)
{
	struct folio *folio = (void *)head;

	if (bpf_core_field_exists(folio->_large_mapcount))
		return BPF_CORE_READ(folio, _large_mapcount.counter);
	if (bpf_core_field_exists(folio->_entire_mapcount))
		return BPF_CORE_READ(folio, _entire_mapcount.counter);
	struct page___compound *second = (void *)head + bpf_core_type_size(struct page);

	if (bpf_core_field_exists(second->compound_mapcount))
		return BPF_CORE_READ(second, compound_mapcount.counter);
	return 1; /* unknown: take it for shared, which is right and only dearer */
}

/* A small entry of a larger folio: whether all of the folio is mapped here, once, in order. */
static __always_inline void look_at_folio(struct walk *w, struct young_leaf *leaf, __u64 address,
					  __u64 frame, struct page *page, struct page *head)
{
	struct folio *folio = (void *)head;
	__u64 first, last, nr, index, size, order;

	leaf->flags |= YOUNG_SHARED;
	/* Before 6.10, MADV_COLD splits every such folio. */
	if (!bpf_core_field_exists(folio->_large_mapcount))
		return;
	order = BPF_CORE_READ(folio, _flags_1) & 0xff;
	if (order > YOUNG_MAX_ORDER)
		return;
	leaf->order = order;
	nr = 1ULL << order;
	if (BPF_CORE_READ(folio, _large_mapcount.counter) + 1 != nr)
		return;
	index = ((__u64)page - (__u64)head) / bpf_core_type_size(struct page);
	leaf->index = index;
	first = find_entry(w, address - index * 4096, &size);
	if (size != 4096 || (first & frame_mask) >> 12 != frame - index)
		return;
	last = find_entry(w, address + (nr - 1 - index) * 4096, &size);
	if (size != 4096 || (last & frame_mask) >> 12 != frame - index + nr - 1)
		return;
	leaf->flags &= ~YOUNG_SHARED;
	leaf->flags |= YOUNG_FOLIO;
}

static __always_inline _Bool has_flag(__u64 flags, int bit)
{
	return flags >> bit & 1;
}

/* A page that is no part of a folio: whether MADV_COLD leaves it alone. */
static __always_inline _Bool is_left_alone(const struct walk *w, struct page *page, __u64 flags)
{
	if ((int)READ_FIELD(page, _mapcount) > 0)
		return 1;
	/*
	 * Each processor keeps a few new pages off the lists for a while.  They look touched as
	 * long, unless another way to clear them is cheap.
	 */
	return w->small && !has_flag(flags, bpf_core_enum_value(enum pageflags, PG_lru));
}

/* The frame whose bit of the idle bitmap clears the page: its own, or that of its folio's head. */
static __always_inline void find_tracked_frame(struct young_leaf *leaf, __u64 frame,
					       struct page *page, struct page *head)
{
	leaf->frame = frame - ((__u64)page - (__u64)head) / bpf_core_type_size(struct page);
	if (!has_flag(read_word((__u64)head), bpf_core_enum_value(enum pageflags, PG_lru)))
		leaf->flags |= YOUNG_SHARED;
}

static __always_inline void look_at_page(struct walk *w, struct young_leaf *leaf, __u64 address,
					 __u64 entry)
{
	__u64 frame = (entry & frame_mask) >> 12;
	struct page *page = page_of(frame), *head = page;
	__u64 compound = READ_FIELD(page, compound_head), flags;

	if (w->by_bitmap) {
		if (compound & 1)
			head = (void *)(compound - 1);
		find_tracked_frame(leaf, frame, page, head);
		return;
	}
	if (leaf->flags & YOUNG_HUGE) {
		/* An entry of 2 MiB maps from the head on. */
		if (entire_mapcount(page_of(frame & ~511ULL)) > 0)
			leaf->flags |= YOUNG_SHARED;
		return;
	}
	if (compound & 1) {
		head = (void *)(compound - 1);
	} else {
		flags = read_word((__u64)page);
		if (!has_flag(flags, bpf_core_enum_value(enum pageflags, PG_head))) {
			if (is_left_alone(w, page, flags))
				leaf->flags |= YOUNG_SHARED;
			return;
		}
	}
	look_at_folio(w, leaf, address, frame, page, head);
}

static long look_at_prepared(__u32 i, void *context)
{
	struct walk *w = context;
	struct young_batch *b = w->batch;
	__u64 size;

	if (i >= YOUNG_BATCH)
		return 1;
	__u64 entry = find_entry(w, b->prepared[i], &size);

	b->prepared_flags[i] = flags_of(entry, size);
	return 0;
}

static long look_at_next(__u32 i, void *context)
{
	struct walk *w = context;
	struct young_batch *b = w->batch;
	struct young_leaf leaf = {};
	__u64 size;

	if (i >= YOUNG_BATCH)
		return 1;
	__u64 entry = find_entry(w, b->next[i], &size);

	leaf.flags = flags_of(entry, size);
	if (leaf.flags & YOUNG_YOUNG)
		look_at_page(w, &leaf, b->next[i], entry);
	b->leaf[i] = leaf;
	return 0;
}

/* The batch of the slot NUMBER, which may be NULL. */
static __always_inline struct young_batch *batch_of(const __u32 *number)
{
	void *inner = number ? bpf_map_lookup_elem(&batches, number) : NULL;
	__u32 zero = 0;

	return inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
}

static __always_inline struct young_batch *my_batch(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	return batch_of(bpf_map_lookup_elem(&slots, &tid));
}

/* Makes W a walk over TASK's memory, if it is that of the batch.  Return: enum young_result. */
static __always_inline int begin_walk(struct walk *w, const struct young_batch *b,
				      struct task_struct *task)
{
	struct mm_struct *mm;

	if (BPF_CORE_READ(task, start_boottime) != b->start_time)
		return YOUNG_NO_TASK;
	if (BPF_CORE_READ(task, self_exec_id) != b->exec_id)
		return YOUNG_OTHER_PROGRAM;
	mm = BPF_CORE_READ(task, mm);
	if (!mm)
		return YOUNG_NO_MEMORY;
	if (b->by_bitmap && bpf_core_field_exists(mm->notifier_subscriptions) &&
	    BPF_CORE_READ(mm, notifier_subscriptions))
		return YOUNG_OTHER_TABLES;
	w->by_bitmap = b->by_bitmap;
	w->pgd = (__u64)BPF_CORE_READ(mm, pgd);
	w->small = READ_FIELD(mm, total_vm) <= SMALL_PAGES;
	return YOUNG_DONE;
}

static __always_inline int walk_task(struct young_batch *b, struct task_struct *task)
{
	struct walk w = { .batch = b };
	int result = begin_walk(&w, b, task);

	if (result != YOUNG_DONE)
		return result;
	if (b->nr_prepared)
		bpf_loop(b->nr_prepared, look_at_prepared, &w, 0);
	if (b->nr_next)
		bpf_loop(b->nr_next, look_at_next, &w, 0);
	return YOUNG_DONE;
}

/* Linux 6.2 and later: one system call. */
SEC("syscall") int walk_by_pid(void *context)
{
	struct young_batch *b = my_batch();
	struct task_struct *task;

	if (!b)
		return 0;
	task = bpf_task_from_pid(b->pid);
	if (!task) {
		b->result = YOUNG_NO_TASK;
		return 0;
	}
	b->result = walk_task(b, task);
	bpf_task_release(task);
	return 0;
}

/* Linux 6.1: by an iterator over one task. */
SEC("iter/task") int walk_by_iterator(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct young_batch *b = my_batch();

	if (task && b)
		b->result = walk_task(b, task);
	return 0;
}

#include "access/young/ticks.bpf.h"

/* What task the iterator was opened for: its global id, and when it started. */
SEC("iter/task") int identify(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct young_batch *b = my_batch();

	if (!task || !b)
		return 0;
	b->pid = BPF_CORE_READ(task, pid);
	b->start_time = BPF_CORE_READ(task, start_boottime);
	b->exec_id = BPF_CORE_READ(task, self_exec_id);
	b->result = YOUNG_DONE;
	return 0;
}

SEC("syscall") int enrol(struct young_enrolment *context)
{
	context->pid_tgid = bpf_get_current_pid_tgid();
	context->now = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int magic_found(struct walk *w)
{
	__u64 size = 0, entry, words[2] = {};

	w->pmd_table = w->pte_table = 0;
	entry = find_entry(w, magic_address, &size);
	if (size != 4096)
		return 0;
	if (bpf_probe_read_kernel(words, sizeof(words), (void *)table_of(entry)))
		return 0;
	return words[0] == magic[0] && words[1] == magic[1];
}

/*
 * Try the I-th place for the direct map: it starts at a multiple of 1 GiB below the kernel address
 * of our own pgd, and only from the right start the walk ends at the magic words.
 */
static long try_direct_map(__u32 i, void *context)
{
	/* Four and five levels; no memory encryption, or its bit at 47 or 51. */
	static const __u64 masks[] = { 0, 1ULL << 47, 1ULL << 51 };
	struct walk *w = context;

	direct_map = (w->pgd & ~((1ULL << 30) - 1)) - ((__u64)i << 30);
	for (int m = 0; m < 3; m++) {
		frame_mask = PTE_FRAME & ~masks[m];
		levels = 4;
		if (magic_found(w))
			return 1;
		levels = 5;
		if (magic_found(w))
			return 1;
	}
	direct_map = 0;
	return 0;
}

/* struct_pages: from the caller's kernel stack, whose pages are known by struct and by frame. */
static __always_inline void find_struct_pages(struct walk *w, struct task_struct *task)
{
	struct page **pages = BPF_CORE_READ(task, stack_vm_area, pages);
	__u64 stack = (__u64)BPF_CORE_READ(task, stack);
	__u64 page = pages ? read_word((__u64)pages) : 0, size, entry;

	if (!page)
		return;
	w->pmd_table = w->pte_table = 0;
	w->kernel = 1;
	entry = find_entry(w, stack, &size);
	if (size == 4096)
		struct_pages =
			page - ((entry & frame_mask) >> 12) * bpf_core_type_size(struct page);
}

SEC("syscall") int calibrate(void *context)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct walk w = { .pgd = (__u64)BPF_CORE_READ(task, mm, pgd) };
	struct folio *folio = NULL;

	keeps_folios = bpf_core_field_exists(folio->_large_mapcount);
	bpf_loop(1 << 16, try_direct_map, &w, 0);
	if (direct_map)
		find_struct_pages(&w, task);
	return 0;
}
