/* Notes: put and found, adopted at another address, by many threads, cleared; and every way in which another program
 * can have written them wrong. */
#include "outliving.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY 3000u

static int notes_setup(void **state)
{
	static struct outliving outliving;
	outliving_open(&outliving);
	*state = &outliving;
	return 0;
}

static int notes_teardown(void **state)
{
	outliving_close(*state);
	return 0;
}

static void assert_note(const struct notes *notes, const char *scope, const char *name, struct slice wanted)
{
	struct slice found;
	assert_true(notes_get(notes, scope, name, &found));
	assert_int_equal(found.size, wanted.size);
	assert_int_equal((uintptr_t)found.data % 8, 0);
	if (wanted.size != 0)
		assert_memory_equal(found.data, wanted.data, wanted.size);
}

static void test_what_was_put_is_found_by_the_next_program(void **state)
{
	struct outliving *outliving = *state;
	struct notes *notes = &outliving->notes;
	const uint32_t list[] = {7, 8, 9};
	struct slice found;
	assert_false(notes_get(notes, "a", "b", &found));
	assert_int_equal(notes_put(notes, "shard 0", "list", list, sizeof(list)), ERROR_OK);
	assert_int_equal(notes_put(notes, "shard 1", "list", NULL, 0), ERROR_OK);
	assert_int_equal(notes_put_u64(notes, "shard 0", "number", UINT64_MAX - 1), ERROR_OK);
	char *room = notes_put_room(notes, "gateway", "room", 5);
	assert_non_null(room);
	memcpy(room, "hello", 5);

	struct arena arena;
	outliving_adopt(outliving, &arena, "notes");
	const struct notes *next = &outliving->next_notes;
	assert_note(next, "shard 0", "list", slice_of(list, sizeof(list)));
	assert_note(next, "shard 1", "list", slice_of("", 0));
	assert_note(next, "gateway", "room", slice_string("hello"));
	uint64_t number;
	uint32_t exact[3];
	assert_true(notes_get_u64(next, "shard 0", "number", &number));
	assert_true(number == UINT64_MAX - 1);
	assert_false(notes_get_u64(next, "shard 0", "list", &number));
	assert_true(notes_get_exact(next, "shard 0", "list", exact, sizeof(exact)));
	assert_int_equal(exact[2], 9);
	assert_false(notes_get_exact(next, "shard 0", "list", exact, sizeof(exact) - 1));
	const void *items;
	uint32_t count;
	assert_true(notes_get_array(next, "shard 0", "list", sizeof(uint32_t), &items, &count));
	assert_int_equal(count, 3);
	assert_false(notes_get_array(next, "gateway", "room", sizeof(uint32_t), &items, &count));
	assert_false(notes_get(next, "shard 0lis", "t", &found)); /* scope and name do not run into each other */
	assert_false(notes_get(next, "shard 2", "list", &found));
	outliving_check_unchanged(outliving);
}

static void *put_many(void *notes)
{
	static _Atomic uint32_t threads;
	char scope[32], name[32];
	snprintf(scope, sizeof(scope), "thread %u", threads++ % 4);
	for (uint32_t i = 0; i < MANY; i++) {
		uint8_t data[200];
		memset(data, (int)(i % 251), sizeof(data));
		snprintf(name, sizeof(name), "note %u", i);
		assert_int_equal(notes_put(notes, scope, name, data, i % sizeof(data)), ERROR_OK);
	}
	return NULL;
}

static void test_threads_put_at_once(void **state)
{
	struct outliving *outliving = *state;
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_many, &outliving->notes), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	struct arena arena;
	outliving_adopt(outliving, &arena, "notes");
	assert_int_equal(outliving->next_notes.count, 4 * MANY);
	for (uint32_t i = 0; i < 4 * MANY; i++) {
		char scope[32], name[32];
		uint8_t data[200];
		snprintf(scope, sizeof(scope), "thread %u", i / MANY);
		snprintf(name, sizeof(name), "note %u", i % MANY);
		memset(data, (int)(i % MANY % 251), sizeof(data));
		assert_note(&outliving->next_notes, scope, name, slice_of(data, i % MANY % sizeof(data)));
	}
}

static void test_cleared_notes_are_gone_and_can_be_put_again(void **state)
{
	struct outliving *outliving = *state;
	struct notes *notes = &outliving->notes;
	struct slice found;
	for (uint64_t round = 0; round < 3; round++) {
		assert_false(notes_get(notes, "a", "b", &found));
		assert_int_equal(notes_put_u64(notes, "a", "b", round), ERROR_OK);
		const uint8_t *room = notes_put_room(notes, "a", "large", 3 << 20);
		assert_non_null(room);
		for (size_t i = 0; i < (size_t)3 << 20; i += 997)
			assert_int_equal(room[i], 0);
		memset((void *)(uintptr_t)room, 0xff, 3 << 20);
		notes_clear(notes);
	}
	struct arena arena;
	outliving_adopt(outliving, &arena, "notes");
	assert_int_equal(outliving->next_notes.count, 0);
}

/* ---- notes of another program that are wrong ---- */

static void assert_notes_refused(struct outliving *outliving)
{
	struct memory_root root;
	struct notes notes;
	assert_int_equal(memory_root_adopt(&root, outliving->root.fd, 7), ERROR_OK);
	assert_int_equal(notes_adopt(&notes, &root), ERROR_NOT_FOUND);
	assert_null(root.notes);
}

static void test_damaged_notes_are_refused(void **state)
{
	struct outliving *outliving = *state;
	struct notes *notes = &outliving->notes;
	assert_int_equal(notes_put(notes, "one", "first", "data", 4), ERROR_OK);
	assert_int_equal(notes_put(notes, "one", "other", "more data", 9), ERROR_OK);
	uint64_t *head = (uint64_t *)(void *)notes->region.base;
	size_t bytes = head[2];
	uint8_t good[512];
	assert_true(bytes < sizeof(good));
	memcpy(good, head, bytes);
	uint8_t *at = notes->region.base;
#define REFUSED(type, offset, value)                                                                                   \
	do {                                                                                                           \
		type damage = (value);                                                                                 \
		memcpy(at + (offset), &damage, sizeof(damage));                                                        \
		assert_notes_refused(outliving);                                                                       \
		memcpy(at, good, bytes);                                                                               \
	} while (0)
	REFUSED(uint64_t, 0, 0);                                  /* magic */
	REFUSED(uint32_t, 8, NOTES_VERSION + 1);                  /* version */
	REFUSED(uint32_t, 12, 1);                                 /* count */
	REFUSED(uint64_t, 16, bytes - 8);                         /* end: within a note */
	REFUSED(uint64_t, 16, bytes + 8);                         /* behind the last one */
	REFUSED(uint64_t, 16, 0);                                 /* before the first one */
	REFUSED(uint64_t, 16, bytes + 1);                         /* not aligned */
	REFUSED(uint64_t, 16, UINT64_MAX - 7);                    /* outside of the region */
	REFUSED(uint64_t, 24, UINT64_MAX);                        /* bytes of data */
	REFUSED(uint64_t, 24, bytes);                             /* of data, beyond the end */
	REFUSED(uint32_t, 32, 0);                                 /* of the name */
	REFUSED(uint32_t, 32, NOTES_NAME_BYTES + 1);              /* of the name, too long */
	REFUSED(uint32_t, 32, 9);                                 /* the name has no end */
	REFUSED(uint8_t, 40 + 3, 'x');                            /* nor the scope */
	REFUSED(uint8_t, 40 + 6, 0);                              /* the name ends early */
	REFUSED(uint64_t, 40 + 16 + 8 + 16, 0x7269660000656e6fu); /* not the same name: both end wrong */
	/* The second one has the first one's name. */
	memcpy(at + 64 + 16, at + 24 + 16, 10);
	assert_notes_refused(outliving);
	memcpy(at, good, bytes);
	struct arena arena;
	outliving_adopt(outliving, &arena, "notes"); /* undamaged it is taken */
}

static void test_without_notes_there_is_nothing_to_adopt(void **state)
{
	(void)state;
	struct memory_root root;
	struct notes notes;
	assert_int_equal(memory_root_open(&root, 7), ERROR_OK);
	assert_int_equal(notes_adopt(&notes, &root), ERROR_NOT_FOUND);
	struct arena arena;
	assert_int_equal(arena_open(&arena, &root, "notes"), ERROR_OK);
	assert_int_equal(notes_adopt(&notes, &root), ERROR_NOT_FOUND);
	struct region region;
	assert_int_equal(region_open_in(&region, &arena, "notes", 4096), ERROR_OK);
	assert_int_equal(notes_adopt(&notes, &root), ERROR_NOT_FOUND);
	memory_root_close(&root);
}

#define WITH_NOTES(test) cmocka_unit_test_setup_teardown(test, notes_setup, notes_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_NOTES(test_what_was_put_is_found_by_the_next_program),
		WITH_NOTES(test_threads_put_at_once),
		WITH_NOTES(test_cleared_notes_are_gone_and_can_be_put_again),
		WITH_NOTES(test_damaged_notes_are_refused),
		cmocka_unit_test(test_without_notes_there_is_nothing_to_adopt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
