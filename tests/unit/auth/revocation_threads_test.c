/* Threads that look up while one writes: what was revoked before they began, and is not touched, they always find; what
 * never was, never. */
#include "auth/revocation/revocation.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S INT64_C(1700000000)
#define READERS 2
#define STABLE 200u
#define MOVING 3000u
#define ROUNDS 6u

static struct revocations *table;
static const struct hash_key KEY = {{1}};
static _Atomic bool writing;
static _Atomic uint64_t looked_up;
static _Atomic uint64_t wrong;

static struct slice id_of(char text[32], const char *group, unsigned number)
{
	return slice_of(text, (size_t)snprintf(text, 32, "%s-%u", group, number));
}

static void *look_up(void *argument)
{
	(void)argument;
	char text[32];
	do {
		for (unsigned i = 0; i < STABLE; i++) {
			if (!revocations_has(table, REVOCATION_USER, id_of(text, "stable", i), NOW_S))
				atomic_fetch_add(&wrong, 1);
			if (revocations_has(table, REVOCATION_USER, id_of(text, "never", i), NOW_S))
				atomic_fetch_add(&wrong, 1);
			(void)revocations_has(table, REVOCATION_TOKEN, id_of(text, "moving", i), NOW_S);
		}
		atomic_fetch_add(&looked_up, STABLE);
	} while (atomic_load(&writing));
	return NULL;
}

static void add(enum revocation_kind kind, struct slice id, int64_t until_s)
{
	enum revocation_change change;
	struct revocation revocation = {.kind = kind, .id = id, .until_s = until_s};
	assert_int_equal(revocations_add(table, &revocation, NOW_S, &change), ERROR_OK);
}

/* The table grows several times in the first round, and is emptied in every one. */
static void write_all(void)
{
	char text[32];
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < MOVING; i++)
			add(REVOCATION_TOKEN, id_of(text, "moving", i), NOW_S + 1 + i % 2);
		for (unsigned i = 0; i < MOVING; i += 3)
			add(REVOCATION_TOKEN, id_of(text, "moving", i), NOW_S); /* lifts it */
		revocations_expire(table, NOW_S + 1);
		revocations_expire(table, NOW_S + 2);
	}
}

static void test_readers_beside_a_writer(void **state)
{
	(void)state;
	pthread_t readers[READERS];
	char text[32];
	table = revocations_new(STABLE + MOVING, &KEY);
	for (unsigned i = 0; i < STABLE; i++)
		add(REVOCATION_USER, id_of(text, "stable", i), REVOKED_FOR_EVER);
	atomic_store(&writing, true);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, look_up, NULL), 0);
	write_all();
	atomic_store(&writing, false);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	assert_true(atomic_load(&looked_up) >= READERS * STABLE);
	assert_true(atomic_load(&wrong) == 0);
	assert_int_equal(revocations_count(table), STABLE);
	revocations_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_readers_beside_a_writer)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
