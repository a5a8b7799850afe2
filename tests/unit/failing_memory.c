#include "failing_memory.h"

#include "tries.h"

#include "base/check.h"
#include "memory/list.h"
#include "memory/pool.h"
#include "memory/slab.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FRAMES_MAX 32
/* A play that asks for more is not one to sweep over. */
#define REQUESTS_MAX 10000000u
#define EACH_OF_FIRST 100u

struct failing {
	unsigned kinds;
	enum failing_mode mode;
	uint64_t nth;
	uint64_t count; /* of this run so far */
	bool active;
	bool sweeping;
	const char *refused;
	void *frames[FRAMES_MAX]; /* of the first that was refused */
	int frame_count;
};

static _Thread_local struct failing failing;
static _Thread_local struct check_context failing_context = {.thread = "memory sweep, refusing request"};

static bool is_refused(enum failing_kind kind, const char *name)
{
	if (!failing.active || (failing.kinds & (unsigned)kind) == 0)
		return false;
	failing.count++;
	if (failing.count < failing.nth || (failing.count > failing.nth && failing.mode == FAILING_ONCE))
		return false;
	if (failing.refused == NULL) {
		failing.active = false; /* backtrace() may allocate */
		failing.refused = name;
		failing.frame_count = backtrace(failing.frames, FRAMES_MAX);
		failing.active = true;
	}
	return true;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names (--wrap) */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
enum error __real_region_grow(struct region *region, size_t bytes);
enum error __wrap_region_grow(struct region *region, size_t bytes);
uint32_t __real_pool_take(struct pool *pool);
uint32_t __wrap_pool_take(struct pool *pool);
uint32_t __real_slab_take(struct slab *slab, size_t bytes);
uint32_t __wrap_slab_take(struct slab *slab, size_t bytes);
void *__real_list_grow(void *items, uint32_t *capacity, size_t item_bytes);
void *__wrap_list_grow(void *items, uint32_t *capacity, size_t item_bytes);

void *__wrap_malloc(size_t size)
{
	return is_refused(FAILING_MALLOC, "malloc") ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_refused(FAILING_MALLOC, "calloc") ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
	return is_refused(FAILING_REALLOC, "realloc") ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return is_refused(FAILING_MALLOC, "aligned_alloc") ? NULL : __real_aligned_alloc(alignment, size);
}

enum error __wrap_region_grow(struct region *region, size_t bytes)
{
	if (bytes <= region->usable_bytes)
		return ERROR_OK;
	return is_refused(FAILING_REGION, "region_grow") ? ERROR_NO_MEMORY : __real_region_grow(region, bytes);
}

uint32_t __wrap_pool_take(struct pool *pool)
{
	return is_refused(FAILING_POOL, "pool_take") ? 0 : __real_pool_take(pool);
}

uint32_t __wrap_slab_take(struct slab *slab, size_t bytes)
{
	return is_refused(FAILING_SLAB, "slab_take") ? 0 : __real_slab_take(slab, bytes);
}

void *__wrap_list_grow(void *items, uint32_t *capacity, size_t item_bytes)
{
	bool active = failing.active;
	failing.active = false;
	void *grown = __real_list_grow(items, capacity, item_bytes);
	failing.active = active;
	return grown;
}
/* NOLINTEND(bugprone-reserved-identifier) */

void failing_memory_start(void)
{
	CHECK(failing.sweeping && !failing.active);
	failing.active = true;
}

bool failing_memory_stop(void)
{
	failing.active = false;
	return failing.refused != NULL;
}

const char *failing_memory_refused(void)
{
	return failing.refused;
}

uint64_t failing_memory_sweep(unsigned kinds, enum failing_mode mode, void (*play)(void *context), void *context)
{
	void *frame[1];
	CHECK(backtrace(frame, 1) == 1); /* loads what it needs */
	check_context_set(&failing_context);
	for (uint64_t nth = 1;; nth += nth < EACH_OF_FIRST ? 1 : TRIES_STEP) {
		CHECK_LE(nth, REQUESTS_MAX);
		failing = (struct failing){.kinds = kinds, .mode = mode, .nth = nth, .sweeping = true};
		failing_context.number = (uint32_t)nth;
		play(context);
		CHECK(!failing.active); /* stopped by the play: what it frees and checks afterwards is not to be refused
					 */
		if (failing.refused == NULL) {
			uint64_t requests = failing.count;
			failing = (struct failing){0};
			check_context_set(NULL);
			return requests;
		}
	}
}

int failing_memory_teardown(void **state)
{
	(void)state;
	struct failing ended = failing;
	failing = (struct failing){0};
	check_context_set(NULL);
	if (ended.sweeping) {
		fprintf(stderr, "in run %lu, %s was refused%s\n", ended.nth,
			ended.refused != NULL ? ended.refused : "nothing", ended.frame_count != 0 ? ", here:" : "");
		backtrace_symbols_fd(ended.frames, ended.frame_count, STDERR_FILENO);
	}
	return 0;
}
