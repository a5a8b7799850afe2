/* What homes decide of two holders of one client id: alike, whatever numbers they have given the others. */
#include "cluster/takeover/home.h"
#include "cluster/takeover/takeover_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct told {
	struct home *home;
	uint8_t slot; /* who is to yield */
	uint32_t merges;
};

static void on_send(void *context, uint8_t slot, enum takeover_kind kind, const struct takeover_message *message)
{
	struct told *told = context;
	(void)message;
	assert_int_equal(kind, TAKEOVER_MERGE);
	told->slot = slot;
	told->merges++;
}

static void add(struct home_view *view, const struct hash_key *key, uint8_t slot, const char *name)
{
	struct home_member *member = &view->members[view->count++];
	member->slot = slot;
	member->name_bytes = (uint8_t)strlen(name);
	memcpy(member->name, name, member->name_bytes);
	member->name_hash = hash_slice(key, slice_string(name));
}

static void hold(struct home *home, uint8_t slot, uint32_t age_s)
{
	uint8_t body[TAKEOVER_HELD_BYTES + 2];
	size_t size = takeover_held_put(body, age_s, false, slice_string("id"));
	struct takeover_message message = {.view = home->view.number, .body = slice_of(body, size)};
	home_hears(home, slot, TAKEOVER_HELD, &message, 1000000);
}

/* Both of two nodes hold an id. Returns the name of the one that the home tells to yield; "b" is slot_of_b. */
static const char *decide(uint8_t slot_of_a, uint8_t slot_of_b, uint32_t age_of_a, uint32_t age_of_b)
{
	static struct home home;
	struct hash_key key = {{7}};
	struct told told = {.home = &home};
	struct home_view view = {.number = 1};
	home_init(&home, &key, 0, (struct home_observer){.context = &told, .send = on_send});
	add(&view, &key, HOME_SELF, "home");
	add(&view, &key, slot_of_a, "a");
	add(&view, &key, slot_of_b, "b");
	home_begin_view(&home, &view, 1000000, false);
	hold(&home, slot_of_a, age_of_a);
	hold(&home, slot_of_b, age_of_b);
	home_tick(&home, 1000000 + HOME_ANNOUNCE_MS);
	assert_int_equal(told.merges, 1);
	home_fini(&home);
	return told.slot == slot_of_a ? "a" : "b";
}

static void test_the_later_connection_stays(void **state)
{
	(void)state;
	assert_string_equal(decide(0, 1, 10, 5), "a");
	assert_string_equal(decide(0, 1, 5, 10), "b");
}

static void test_of_two_in_one_second_every_home_chooses_the_same(void **state)
{
	(void)state;
	assert_string_equal(decide(0, 1, 5, 5), decide(1, 0, 5, 5));
	assert_string_equal(decide(3, 9, 5, 5), decide(4, 2, 5, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_later_connection_stays),
		cmocka_unit_test(test_of_two_in_one_second_every_home_chooses_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
