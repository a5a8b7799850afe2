/* Who hears whom in a durable run. */
#include "bench/sessions/cast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct cast CAST = {.topic_prefix = "a/",
				 .publishers = 4,
				 .retained = 2,
				 .exact = 6,
				 .wildcards = 1,
				 .members = 3,
				 .offline_percent = 50,
				 .qos = CAST_QOS_MIXED};

/* Every stream has a hearer, and every hearer a stream. */
static void test_slots_and_streams_agree(void **state)
{
	(void)state;
	bool heard[6][8] = {{false}};
	assert_int_equal(cast_slots(&CAST), 4); /* two of one topic, one wildcard, one shared */
	for (uint32_t subscriber = 0; subscriber < cast_subscribers(&CAST); subscriber++) {
		for (uint32_t publisher = 0; publisher < cast_publishers(&CAST); publisher++) {
			uint32_t slot = cast_slot(&CAST, subscriber, publisher);
			if (slot == CAST_NO_SLOT)
				continue;
			assert_true(cast_has_stream(&CAST, publisher, slot));
			assert_int_equal(cast_slot_is_shared(&CAST, slot), subscriber >= 7);
			heard[publisher][slot] = true;
		}
	}
	for (uint32_t publisher = 0; publisher < cast_publishers(&CAST); publisher++) {
		for (uint32_t slot = 0; slot < cast_slots(&CAST); slot++)
			assert_int_equal(heard[publisher][slot], cast_has_stream(&CAST, publisher, slot));
	}
}

static void test_the_share_that_is_offline(void **state)
{
	(void)state;
	static const uint32_t publishers[] = {4, 5, 500};
	for (size_t i = 0; i < sizeof(publishers) / sizeof(publishers[0]); i++) {
		struct cast cast = {.topic_prefix = "a/", .publishers = publishers[i], .exact = 2 * publishers[i]};
		for (uint32_t percent = 0; percent <= 100; percent += 50) {
			uint32_t offline = 0;
			cast.offline_percent = percent;
			for (uint32_t subscriber = 0; subscriber < cast.exact; subscriber++)
				offline += cast_is_offline(&cast, subscriber, 0);
			assert_int_equal(offline, cast.exact * percent / 100);
		}
		/* Of each publisher's two one is offline, the other one in the next round. */
		cast.offline_percent = 50;
		for (uint32_t publisher = 0; publisher < publishers[i]; publisher++) {
			bool first = cast_is_offline(&cast, publisher, 0);
			assert_int_not_equal(cast_is_offline(&cast, publisher + publishers[i], 0), first);
			assert_int_not_equal(cast_is_offline(&cast, publisher, 1), first);
		}
	}
}

static void assert_text(const char *expected, const uint8_t *text, size_t size)
{
	assert_int_equal(size, strlen(expected));
	assert_memory_equal(text, expected, size);
}

static void test_topics_and_filters(void **state)
{
	(void)state;
	uint8_t text[CAST_TOPIC_BYTES_MAX];
	assert_text("a/t/3", text, cast_topic(&CAST, 3, text));
	assert_text("a/r/4", text, cast_topic(&CAST, 4, text));
	assert_text("a/t/1", text, cast_filter(&CAST, 5, text));
	assert_text("a/t/+", text, cast_filter(&CAST, 6, text));
	assert_text("$share/durable/a/t/+", text, cast_filter(&CAST, 7, text));
	assert_text("a/r/+", text, cast_retained_filter(&CAST, text));
}

static void test_qos_of_publishers(void **state)
{
	(void)state;
	static const uint8_t expected[] = {2, 1, 0, 2, 1, 2};
	for (uint32_t publisher = 0; publisher < 6; publisher++)
		assert_int_equal(cast_qos(&CAST, publisher), expected[publisher]);
	struct cast cast = CAST;
	cast.qos = 1;
	assert_int_equal(cast_qos(&cast, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_and_streams_agree),
		cmocka_unit_test(test_the_share_that_is_offline),
		cmocka_unit_test(test_topics_and_filters),
		cmocka_unit_test(test_qos_of_publishers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
