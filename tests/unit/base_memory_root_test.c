/* Memory that outlives the program text: the test runs itself again with execve() and finds its pool, slab and table as
 * they were; what is refused; and what descriptors and pages arenas hold. */
#include "broken_promise.h"
#include "memory/notes.h"
#include "memory/slab.h"
#include "memory/table.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)
#define LAYOUT UINT64_C(0x1234567890)
#define OBJECTS 50000u

struct object {
	uint32_t link; /* the pool's while the object is free */
	uint32_t text; /* slab reference */
	struct table_node node;
};

/* What a shard would have. */
struct kept {
	struct pool pool;
	struct slab slab;
	struct table table;
};

static uint32_t hash_of(uint32_t i)
{
	return i * 2654435761u;
}

static size_t text_bytes(uint32_t i)
{
	return 8 + i % 300;
}

static enum error kept_open(struct kept *kept, struct arena *arena)
{
	enum error error = pool_open_in(&kept->pool, arena, "objects", sizeof(struct object), 2 * OBJECTS);
	if (error == ERROR_OK)
		error = slab_open_in(&kept->slab, arena, "texts", 64 * MIB);
	if (error == ERROR_OK)
		error = table_open_in(&kept->table, arena, "table", &kept->pool, offsetof(struct object, node),
				      2 * OBJECTS);
	return error;
}

static void build(struct memory_root *root)
{
	struct arena arena;
	static struct kept kept_here;
	struct kept *kept = &kept_here;
	static struct notes notes;
	assert_int_equal(notes_open(&notes, root), ERROR_OK);
	assert_int_equal(arena_open(&arena, root, "shard0"), ERROR_OK);
	assert_int_equal(kept_open(kept, &arena), ERROR_OK);
	for (uint32_t i = 1; i <= OBJECTS; i++) {
		assert_int_equal(pool_take(&kept->pool), i);
		struct object *object = pool_at(&kept->pool, i);
		object->text = slab_take(&kept->slab, text_bytes(i));
		memset(slab_at(&kept->slab, object->text), (int)(i % 251), text_bytes(i));
		table_insert(&kept->table, i, hash_of(i));
	}
	assert_int_equal(pool_save(&kept->pool, &arena), ERROR_OK);
	assert_int_equal(slab_save(&kept->slab, &arena), ERROR_OK);
	assert_int_equal(table_save(&kept->table, &arena), ERROR_OK);
}

/* In the new program: 0 where all is as it was, and goes on. */
static int find_again(int fd)
{
	struct memory_root root;
	struct arena arena;
	struct notes notes;
	struct region region;
	struct kept kept_here;
	struct kept *kept = &kept_here;
	if (memory_root_adopt(&root, fd, LAYOUT) != ERROR_OK)
		return 10;
	memory_root_keep(&root, false);
	if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
		return 11;
	if (arena_find(&arena, &root, "shard1") != ERROR_NOT_FOUND || arena_find(&arena, &root, "shard0") != ERROR_OK)
		return 12;
	if (region_adopt(&region, &arena, "nothing") != ERROR_NOT_FOUND || notes_adopt(&notes, &root) != ERROR_OK)
		return 13;
	if (kept_open(kept, &arena) != ERROR_OK)
		return 14;
	for (uint32_t i = 1; i <= OBJECTS; i++) {
		uint32_t index = table_first(&kept->table, hash_of(i));
		if (index != i)
			return 15;
		const struct object *object = pool_at(&kept->pool, index);
		const uint8_t *text = slab_at(&kept->slab, object->text);
		for (size_t at = 0; at < text_bytes(i); at++) {
			if (text[at] != i % 251)
				return 16;
		}
	}
	/* It grows on, beyond what was usable before. */
	for (uint32_t i = OBJECTS + 1; i <= 2 * OBJECTS; i++) {
		if (pool_take(&kept->pool) != i || slab_take(&kept->slab, text_bytes(i)) == 0)
			return 17;
		table_insert(&kept->table, i, hash_of(i));
	}
	if (pool_take(&kept->pool) != 0)
		return 18;
	struct region later;
	if (region_open_in(&later, &arena, "later", MIB) != ERROR_NOT_FOUND)
		return 19; /* it is not made: a name that is missing is a fault */
	arena.adopted = false;
	if (region_open_in(&later, &arena, "later", MIB) != ERROR_OK || region_grow(&later, MIB) != ERROR_OK)
		return 20;
	later.base[MIB - 1] = 1;
	notes_close(&notes);
	return 0;
}

static int exit_of(pid_t child)
{
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static pid_t run_again(const struct memory_root *root)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char fd[16];
		snprintf(fd, sizeof(fd), "%d", root->fd);
		execl("/proc/self/exe", "base_memory_root_test", "find-again", fd, NULL);
		_exit(100);
	}
	return child;
}

static void test_found_again_after_execve(void **state)
{
	build(*state);
	memory_root_keep(*state, true);
	assert_int_equal(exit_of(run_again(*state)), 0);
}

static void test_closed_by_execve_unless_asked_for(void **state)
{
	build(*state);
	assert_int_equal(exit_of(run_again(*state)), 10);
	memory_root_keep(*state, true);
	memory_root_keep(*state, false);
	assert_int_equal(exit_of(run_again(*state)), 10);
}

static void assert_refused(const struct memory_root *root, uint64_t layout)
{
	struct memory_root other = {.fd = -7};
	assert_int_equal(memory_root_adopt(&other, root->fd, layout), ERROR_NOT_FOUND);
	assert_int_equal(other.fd, -7);
}

/* Each field that could lead the new program astray. */
static void test_root_that_contradicts_itself_is_refused(void **state)
{
	struct memory_root *root = *state;
	build(root);
	struct root_block *block = root->block;
	struct root_arena *arena = &block->arenas[1];
	struct root_region *region = &block->regions[2];
	struct root_block *good = malloc(sizeof(*good));
	assert_non_null(good);
	memcpy(good, block, sizeof(*good));
	assert_refused(root, LAYOUT + 1);
#define REFUSED(field, value)                                                                                          \
	do {                                                                                                           \
		(field) = (value);                                                                                     \
		assert_refused(root, LAYOUT);                                                                          \
		memcpy(block, good, sizeof(*good));                                                                    \
	} while (0)
	REFUSED(block->magic, 0);
	REFUSED(block->version, 2);
	REFUSED(block->arena_count, ROOT_ARENAS_MAX + 1);
	REFUSED(block->arena_count, 0);
	REFUSED(block->region_count, ROOT_REGIONS_MAX + 1);
	REFUSED(arena->fd, 987654);
	REFUSED(arena->fd, STDERR_FILENO);
	REFUSED(arena->fd, root->fd);
	REFUSED(arena->end, arena->end + 4096);
	REFUSED(arena->name[0], '\0');
	REFUSED(region->arena, 2);
	REFUSED(region->offset, region->offset + 1);
	REFUSED(region->offset, UINT64_MAX - 4095);
	REFUSED(region->offset, arena->end);
	REFUSED(region->reserved_bytes, arena->end);
	REFUSED(region->reserved_bytes, UINT64_MAX - 4095);
	REFUSED(region->usable_bytes, region->reserved_bytes + 4096);
	REFUSED(region->usable_bytes, 1);
	memset(region->name, 'x', ROOT_NAME_BYTES);
	assert_refused(root, LAYOUT);
	memcpy(block, good, sizeof(*good));
	memset(arena->name, 'x', ROOT_NAME_BYTES);
	assert_refused(root, LAYOUT);
	memcpy(block, good, sizeof(*good));
	free(good);
	struct memory_root again;
	assert_int_equal(memory_root_adopt(&again, root->fd, LAYOUT), ERROR_OK);
	assert_int_equal(again.block->arena_count, 2);
	assert_int_equal(munmap(again.block, sizeof(*again.block)), 0);
}

static void test_what_is_no_root_is_refused(void **state)
{
	(void)state;
	const int fds[] = {-1, 987654, STDERR_FILENO, memfd_create("other", MFD_CLOEXEC)};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		assert_refused(&(struct memory_root){.fd = fds[i]}, LAYOUT);
	assert_int_equal(close(fds[3]), 0);
}

static uint64_t held_bytes(const struct arena *arena)
{
	struct stat status;
	assert_int_equal(fstat(arena_fd(arena), &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

static void *forget_half(void *region)
{
	/* A table of its own without the memfd in it, as shards have. */
	assert_int_equal(unshare(CLONE_FILES), 0);
	assert_int_equal(close_range(3, UINT32_MAX, 0), 0);
	region_forget(region, 0, MIB);
	assert_int_equal(region_grow(region, 3 * MIB), ERROR_OK);
	memset(((struct region *)region)->base + 2 * MIB, 1, MIB);
	return NULL;
}

static void test_arena_holds_what_was_written_and_not_forgotten(void **state)
{
	struct arena arena;
	struct region region;
	assert_int_equal(arena_open(&arena, *state, "pages"), ERROR_OK);
	assert_int_equal(region_open_in(&region, &arena, "region", 1024 * MIB), ERROR_OK);
	assert_int_equal(region_grow(&region, 2 * MIB), ERROR_OK);
	assert_int_equal(held_bytes(&arena), 0);
	memset(region.base, 1, 2 * MIB);
	assert_int_equal(held_bytes(&arena), 2 * MIB);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, forget_half, &region), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(held_bytes(&arena), 2 * MIB); /* one less, one more */
	assert_int_equal(region.base[0], 0);
	region_close(&region);
	assert_int_equal(held_bytes(&arena), 0);
	arena_close(&arena);
}

static void test_entries_are_used_again(void **state)
{
	struct memory_root *root = *state;
	for (int round = 0; round < 3; round++) {
		struct arena first, second;
		struct region region;
		assert_int_equal(arena_open(&first, root, "first"), ERROR_OK);
		assert_int_equal(arena_open(&second, root, "second"), ERROR_OK);
		assert_int_equal(region_open_in(&region, &first, "region", 1), ERROR_OK);
		region_close(&region);
		assert_int_equal(region_open_in(&region, &second, "region", 1), ERROR_OK);
		region_close(&region);
		arena_close(&first);
		arena_close(&second);
	}
	assert_int_equal(root->block->arena_count, 2);
	assert_int_equal(root->block->region_count, 1);
}

static void test_limits_of_the_process(void **state)
{
	struct arena arena, other;
	struct region region;
	struct rlimit before, limit;
	assert_int_equal(arena_open(&arena, *state, "limits"), ERROR_OK);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){.rlim_cur = 4 * MIB, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(region_open_in(&region, &arena, "large", 5 * MIB), ERROR_LIMIT); /* not SIGXFSZ */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(region_open_in(&region, &arena, "large", SIZE_MAX / 2 - 2 * MIB), ERROR_NO_MEMORY);
	assert_null(arena_region(&arena, "large"));

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = (struct rlimit){.rlim_cur = (rlim_t)arena_fd(&arena) + 1, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(arena_open(&other, *state, "more"), ERROR_NO_DESCRIPTORS);
	struct memory_root more;
	assert_int_equal(memory_root_open(&more, LAYOUT), ERROR_NO_DESCRIPTORS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(arena_open(&other, *state, "more"), ERROR_OK);
}

static void test_without_an_arena_memory_is_anonymous(void **state)
{
	(void)state;
	struct pool pool;
	assert_int_equal(pool_open_in(&pool, NULL, "objects", 8, 10), ERROR_OK);
	assert_null(pool.region.place);
	assert_int_equal(pool_take(&pool), 1);
	pool_close(&pool);
}

static void open_twice(void *root)
{
	struct arena arena;
	arena_open(&arena, root, "shard0");
}

static void open_region_twice(void *root)
{
	struct arena arena;
	struct region region;
	arena_find(&arena, root, "shard0");
	arena.adopted = false;
	region_open_in(&region, &arena, "texts", 1);
}

static void close_with_regions_in_it(void *root)
{
	struct arena arena;
	arena_find(&arena, root, "shard0");
	arena_close(&arena);
}

static void open_with_a_long_name(void *root)
{
	struct arena arena;
	arena_open(&arena, root, "a name of thirty-two characters.");
}

static void test_broken_promises(void **state)
{
	char text[BROKEN_PROMISE_BYTES];
	build(*state);
	assert_breaks_promise(open_twice, *state, text);
	assert_breaks_promise(open_region_twice, *state, text);
	assert_breaks_promise(close_with_regions_in_it, *state, text);
	assert_breaks_promise(open_with_a_long_name, *state, text);
}

static int root_setup(void **state)
{
	static struct memory_root root;
	assert_int_equal(memory_root_open(&root, LAYOUT), ERROR_OK);
	*state = &root;
	return 0;
}

static int root_teardown(void **state)
{
	struct memory_root *root = *state;
	if (root->notes != NULL)
		notes_close(root->notes);
	memory_root_close(root);
	return 0;
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, root_setup, root_teardown)

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "find-again") == 0)
		return find_again(atoi(argv[2]));
	const struct CMUnitTest tests[] = {
		WITH_ROOT(test_found_again_after_execve),
		WITH_ROOT(test_closed_by_execve_unless_asked_for),
		WITH_ROOT(test_root_that_contradicts_itself_is_refused),
		cmocka_unit_test(test_what_is_no_root_is_refused),
		WITH_ROOT(test_arena_holds_what_was_written_and_not_forgotten),
		WITH_ROOT(test_entries_are_used_again),
		WITH_ROOT(test_limits_of_the_process),
		cmocka_unit_test(test_without_an_arena_memory_is_anonymous),
		WITH_ROOT(test_broken_promises),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
