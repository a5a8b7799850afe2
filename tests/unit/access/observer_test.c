/* Who hears of revocations, so that other nodes of a cluster do: of what is revoked and lifted here, once for each
 * change, and not of what came from other nodes. */
#include "access/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S 1700000000

static const struct hash_key KEY = {{9}};

struct scene {
	struct access_settings settings;
	struct mailbox mailbox;
	struct access *access;
	uint32_t heard;
	int64_t until_s; /* of the last that was */
	char id[32];
};

static void hear(void *context, const struct revocation *revocation)
{
	struct scene *scene = context;
	scene->heard++;
	scene->until_s = revocation->until_s;
	snprintf(scene->id, sizeof(scene->id), "%.*s", (int)revocation->id.size, (const char *)revocation->id.data);
}

static int scene_open(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_int_equal(mailbox_open(&scene->mailbox), ERROR_OK);
	scene->access = access_new(&scene->settings, &KEY, &scene->mailbox, 1);
	assert_non_null(scene->access);
	access_observe(scene->access, (struct access_observer){.changed = hear, .context = scene});
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	access_free(scene->access);
	mailbox_close(&scene->mailbox);
	free(scene);
	return 0;
}

static struct revocation user(const char *id, int64_t until_s)
{
	return (struct revocation){.kind = REVOCATION_USER, .id = slice_string(id), .until_s = until_s};
}

static bool is_revoked(struct scene *scene, const char *id)
{
	return access_check_revoked(scene->access, slice_of(NULL, 0), slice_string(id), slice_of(NULL, 0), NOW_S) !=
	       ERROR_OK;
}

static void test_changes_are_heard_of(void **state)
{
	struct scene *scene = *state;
	struct revocation revocation = user("alice", NOW_S + 60);
	assert_int_equal(access_revoke(scene->access, ACCESS_EMBEDDED, &revocation, NOW_S), ERROR_OK);
	assert_int_equal(scene->heard, 1);
	assert_string_equal(scene->id, "alice");
	assert_int_equal(scene->until_s, NOW_S + 60);
	assert_int_equal(access_revoke(scene->access, ACCESS_EMBEDDED, &revocation, NOW_S), ERROR_OK);
	assert_int_equal(scene->heard, 1); /* it was so already */
	assert_true(access_lift(scene->access, ACCESS_EMBEDDED, REVOCATION_USER, slice_string("alice"), NOW_S));
	assert_int_equal(scene->heard, 2);
	assert_int_equal(scene->until_s, REVOCATION_LIFTED_S);
	assert_int_equal(access_revoke(scene->access, ACCESS_EXTERNAL, &revocation, NOW_S), ERROR_OK);
	assert_int_equal(scene->heard, 2); /* each node follows Redis itself */
	access_observe(scene->access, (struct access_observer){0});
	assert_int_equal(access_revoke(scene->access, ACCESS_EMBEDDED, &revocation, NOW_S), ERROR_OK);
	assert_int_equal(scene->heard, 2);
}

static void test_what_other_nodes_say_is_done_and_not_heard_of(void **state)
{
	struct scene *scene = *state;
	struct revocation revocation = user("bob", REVOKED_FOR_EVER);
	assert_int_equal(access_follow(scene->access, &revocation, NOW_S), ERROR_OK);
	assert_true(is_revoked(scene, "bob"));
	revocation.until_s = REVOCATION_LIFTED_S;
	assert_int_equal(access_follow(scene->access, &revocation, NOW_S), ERROR_OK);
	assert_false(is_revoked(scene, "bob"));
	assert_int_equal(access_follow(scene->access, &revocation, NOW_S), ERROR_OK);
	assert_int_equal(scene->heard, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_changes_are_heard_of, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_what_other_nodes_say_is_done_and_not_heard_of, scene_open,
						scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
