/* A link's promises, one by one: two ends, and a bus that does what the test says. */
#include "cluster/link/link.h"

#include "failing_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define NEAR_RUN 0x1111u
#define FAR_RUN 0x2222u
#define SMALL_DATAGRAM 256u

/* What an end was given, one after another. */
struct inbox {
	struct bytes kinds;
	struct bytes bodies;
	size_t last_size;
};

struct pair {
	struct link near, far;
	struct inbox near_inbox, far_inbox;
};

static void on_message(void *context, uint8_t kind, struct slice body)
{
	struct inbox *inbox = context;
	bytes_append(&inbox->kinds, &kind, 1);
	bytes_append(&inbox->bodies, body.data, body.size);
	inbox->last_size = body.size;
}

static struct link_limits small_limits(void)
{
	struct link_limits limits = {.datagram_bytes = SMALL_DATAGRAM,
				     .window_bytes = 1024,
				     .buffer_bytes = 4096,
				     .message_bytes_max = 100000};
	return limits;
}

static void pair_init(struct pair *pair, struct link_limits limits)
{
	*pair = (struct pair){0};
	link_init(&pair->near, NEAR_RUN, FAR_RUN, &limits, (struct link_receiver){on_message, &pair->near_inbox});
	link_init(&pair->far, FAR_RUN, NEAR_RUN, &limits, (struct link_receiver){on_message, &pair->far_inbox});
}

static void inbox_fini(struct inbox *inbox)
{
	bytes_free(&inbox->kinds);
	bytes_free(&inbox->bodies);
}

static void pair_fini(struct pair *pair)
{
	link_fini(&pair->near);
	link_fini(&pair->far);
	inbox_fini(&pair->near_inbox);
	inbox_fini(&pair->far_inbox);
}

static void say(struct link *link, uint8_t kind, const char *text)
{
	struct slice body = slice_string(text);
	assert_int_equal(link_send(link, kind, &body, 1), ERROR_OK);
}

/* All that `from` has to send. Returns the number of datagrams. */
static uint32_t carry(struct link *from, struct link *to, uint64_t now_ms)
{
	struct slice datagram;
	uint32_t count = 0;
	for (; link_next_datagram(from, now_ms, &datagram); count++)
		link_receive(to, datagram, now_ms);
	return count;
}

static uint32_t lose(struct link *from, uint64_t now_ms)
{
	struct slice datagram;
	uint32_t count = 0;
	while (link_next_datagram(from, now_ms, &datagram))
		count++;
	return count;
}

static void assert_inbox(const struct inbox *inbox, const char *kinds, const char *bodies)
{
	assert_true(slice_equal(bytes_slice(&inbox->kinds), slice_string(kinds)));
	assert_true(slice_equal(bytes_slice(&inbox->bodies), slice_string(bodies)));
}

static void test_small_messages_share_a_datagram(void **state)
{
	struct pair pair;
	struct slice parts[] = {slice_string("on"), slice_of(NULL, 0), slice_string("e")};
	(void)state;
	pair_init(&pair, small_limits());
	assert_int_equal(link_send(&pair.near, 'a', parts, 3), ERROR_OK);
	say(&pair.near, 'b', "two");
	assert_int_equal(link_send(&pair.near, 'c', NULL, 0), ERROR_OK);
	assert_int_equal(carry(&pair.near, &pair.far, 1000), 1);
	assert_inbox(&pair.far_inbox, "abc", "onetwo");
	assert_false(link_is_empty(&pair.near));
	/* The acknowledgement comes alone, after a while. */
	assert_int_equal(link_next_deadline(&pair.far), 1000 + LINK_ACK_DELAY_MS);
	assert_false(link_has_datagram(&pair.far, 1000 + LINK_ACK_DELAY_MS - 1));
	assert_int_equal(carry(&pair.far, &pair.near, 1000 + LINK_ACK_DELAY_MS), 1);
	assert_true(link_is_empty(&pair.near));
	assert_int_equal(pair.near.buffered_bytes, 0);
	assert_int_equal(pair.far.counters.acknowledgements_sent, 1);
	assert_true(link_next_deadline(&pair.near) == UINT64_MAX && link_next_deadline(&pair.far) == UINT64_MAX);
	pair_fini(&pair);
}

static void test_an_answer_carries_the_acknowledgement(void **state)
{
	struct pair pair;
	(void)state;
	pair_init(&pair, small_limits());
	say(&pair.near, 'q', "question");
	carry(&pair.near, &pair.far, 5);
	say(&pair.far, 'r', "answer");
	assert_int_equal(carry(&pair.far, &pair.near, 5), 1);
	assert_inbox(&pair.near_inbox, "r", "answer");
	assert_true(link_is_empty(&pair.near));
	assert_int_equal(pair.far.counters.acknowledgements_sent, 0);
	pair_fini(&pair);
}

static void test_a_lost_datagram_comes_after_a_gap_report(void **state)
{
	struct pair pair;
	(void)state;
	pair_init(&pair, small_limits());
	say(&pair.near, 'a', "1");
	lose(&pair.near, 1);
	say(&pair.near, 'b', "2");
	carry(&pair.near, &pair.far, 2);
	say(&pair.near, 'c', "3");
	carry(&pair.near, &pair.far, 2);
	assert_inbox(&pair.far_inbox, "", "");
	assert_int_equal(pair.far.counters.verdicts[LINK_GAP], 2);
	/* At once, and once for both. */
	assert_int_equal(carry(&pair.far, &pair.near, 2), 1);
	assert_int_equal(carry(&pair.near, &pair.far, 3), 3);
	assert_inbox(&pair.far_inbox, "abc", "123");
	assert_int_equal(pair.near.counters.datagrams_sent_again, 3);
	assert_int_equal(pair.near.counters.timeouts, 0);
	pair_fini(&pair);
}

static void test_a_lost_last_datagram_comes_after_a_timeout(void **state)
{
	struct pair pair;
	(void)state;
	pair_init(&pair, small_limits());
	say(&pair.near, 'a', "1");
	lose(&pair.near, 100);
	uint64_t deadline = link_next_deadline(&pair.near);
	assert_true(deadline > 100 && deadline <= 100 + LINK_RETRY_MS_MAX);
	link_tick(&pair.near, deadline - 1);
	assert_false(link_has_datagram(&pair.near, deadline - 1));
	/* Each wait is twice as long as the one before, up to a limit. */
	uint64_t wait = deadline - 100, now = deadline;
	for (uint32_t i = 0; i < 10; i++) {
		link_tick(&pair.near, now);
		assert_int_equal(lose(&pair.near, now), 1);
		wait = wait * 2 < LINK_RETRY_MS_MAX ? wait * 2 : LINK_RETRY_MS_MAX;
		assert_int_equal(link_next_deadline(&pair.near), now + wait);
		now += wait;
	}
	link_tick(&pair.near, now);
	carry(&pair.near, &pair.far, now);
	assert_inbox(&pair.far_inbox, "a", "1");
	carry(&pair.far, &pair.near, now + LINK_ACK_DELAY_MS);
	assert_true(link_is_empty(&pair.near));
	pair_fini(&pair);
}

static void test_after_a_timeout_one_datagram_asks(void **state)
{
	struct pair pair;
	(void)state;
	pair_init(&pair, small_limits());
	for (uint32_t i = 0; i < 3; i++) {
		say(&pair.near, 'a', "1");
		lose(&pair.near, 1);
	}
	link_tick(&pair.near, link_next_deadline(&pair.near));
	assert_int_equal(carry(&pair.near, &pair.far, 5000), 1);
	assert_int_equal(carry(&pair.far, &pair.near, 5000 + LINK_ACK_DELAY_MS), 1);
	assert_int_equal(carry(&pair.near, &pair.far, 5006), 2);
	assert_inbox(&pair.far_inbox, "aaa", "111");
	pair_fini(&pair);
}

static void test_a_repeated_datagram_has_no_effect_but_an_acknowledgement(void **state)
{
	struct pair pair;
	struct slice datagram;
	uint8_t copy[SMALL_DATAGRAM];
	(void)state;
	pair_init(&pair, small_limits());
	say(&pair.near, 'a', "1");
	assert_true(link_next_datagram(&pair.near, 1, &datagram));
	memcpy(copy, datagram.data, datagram.size);
	assert_int_equal(link_receive(&pair.far, slice_of(copy, datagram.size), 1), LINK_TAKEN);
	assert_true(link_has_datagram(&pair.far, 1 + LINK_ACK_DELAY_MS));
	carry(&pair.far, &pair.near, 100);
	assert_int_equal(link_receive(&pair.far, slice_of(copy, datagram.size), 200), LINK_DUPLICATE);
	assert_inbox(&pair.far_inbox, "a", "1");
	assert_true(link_has_datagram(&pair.far, 200));
	pair_fini(&pair);
}

static void test_a_large_message_takes_several_datagrams(void **state)
{
	struct pair pair;
	uint8_t *large = malloc(100000);
	(void)state;
	assert_non_null(large);
	for (uint32_t i = 0; i < 100000; i++)
		large[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t size = 200; size < 100000; size += size < 1000 ? 1 : 9973) {
		pair_init(&pair, small_limits());
		struct slice parts[] = {slice_of(large, 100), slice_of(large + 100, size - 100)};
		say(&pair.near, 'a', "in front");
		assert_int_equal(link_send(&pair.near, 'b', parts, 2), ERROR_OK);
		bool is_behind = false;
		for (uint64_t now = 1; !link_is_empty(&pair.near) || !is_behind; now++) {
			if (!is_behind && link_room(&pair.near) != 0) {
				say(&pair.near, 'c', "behind");
				is_behind = true;
			}
			carry(&pair.near, &pair.far, now);
			carry(&pair.far, &pair.near, now);
		}
		assert_true(slice_equal(bytes_slice(&pair.far_inbox.kinds), slice_string("abc")));
		assert_int_equal(pair.far_inbox.bodies.size, 8 + size + 6);
		assert_memory_equal(pair.far_inbox.bodies.data + 8, large, size);
		assert_int_equal(pair.far.message.size, 0);
		pair_fini(&pair);
	}
	free(large);
}

static void test_limits(void **state)
{
	struct pair pair;
	uint8_t *large = calloc(1, 100001);
	struct slice body = slice_of(large, 100001);
	(void)state;
	pair_init(&pair, small_limits());
	assert_int_equal(link_send(&pair.near, 'a', &body, 1), ERROR_PACKET_TOO_LARGE);
	assert_int_equal(link_room(&pair.near), 4096);
	/* One of any size goes, and then what must not wait does not either. */
	body.size = 100000;
	assert_int_equal(link_send(&pair.near, 'a', &body, 1), ERROR_OK);
	assert_int_equal(link_room(&pair.near), 0);
	body.size = 1;
	assert_int_equal(link_send(&pair.near, 'a', &body, 1), ERROR_LIMIT);
	/* No more than the window is under way. */
	assert_int_equal(lose(&pair.near, 1), 4);
	pair_fini(&pair);
	pair_init(&pair, small_limits());
	body.size = 5000;
	assert_int_equal(link_send(&pair.near, 'a', &body, 1), ERROR_OK);
	assert_int_equal(link_room(&pair.near), 0);
	body.size = 1;
	assert_int_equal(link_send(&pair.near, 'b', &body, 1), ERROR_OK);
	pair_fini(&pair);
	free(large);
}

static void test_what_has_been_sent_does_not_change(void **state)
{
	struct pair pair;
	(void)state;
	pair_init(&pair, small_limits());
	say(&pair.near, 'a', "1");
	lose(&pair.near, 1);
	link_tick(&pair.near, link_next_deadline(&pair.near));
	/* The first goes again, and must not have grown: the peer may have it. */
	say(&pair.near, 'b', "2");
	carry(&pair.near, &pair.far, 5000);
	assert_inbox(&pair.far_inbox, "a", "1");
	pair_fini(&pair);
}

static void test_a_suspended_link_goes_on_where_it_was(void **state)
{
	struct pair pair;
	(void)state;
	pair_init(&pair, small_limits());
	say(&pair.near, 'a', "1");
	lose(&pair.near, 1);
	link_suspend(&pair.near);
	say(&pair.near, 'b', "2");
	assert_true(link_next_deadline(&pair.near) == UINT64_MAX);
	link_tick(&pair.near, 100000);
	assert_int_equal(lose(&pair.near, 100000), 0);
	/* The other side has not noticed, and goes on sending. */
	say(&pair.far, 'x', "9");
	carry(&pair.far, &pair.near, 100000);
	assert_inbox(&pair.near_inbox, "x", "9");
	link_resume(&pair.near, 200000);
	for (uint64_t now = 200000; !link_is_empty(&pair.near); now++) {
		assert_true(now < 200100);
		carry(&pair.near, &pair.far, now);
		carry(&pair.far, &pair.near, now);
	}
	assert_inbox(&pair.far_inbox, "ab", "12");
	assert_true(link_is_empty(&pair.far));
	pair_fini(&pair);
}

/* Frames in a datagram that is right otherwise. */
static enum link_verdict receive_frames(struct link *link, uint64_t sequence, const uint8_t *frames, size_t size)
{
	uint8_t datagram[SMALL_DATAGRAM];
	struct link_head head = {.from = NEAR_RUN, .to = FAR_RUN, .sequence = sequence};
	if (size != 0)
		memcpy(datagram + LINK_HEAD_BYTES, frames, size);
	link_head_write(&head, datagram, LINK_HEAD_BYTES + size);
	return link_receive(link, slice_of(datagram, LINK_HEAD_BYTES + size), 1);
}

static void test_malformed_frames_have_no_effect(void **state)
{
	static const struct {
		uint8_t size;
		uint8_t frames[12];
	} CASES[] = {
		{0, {0}},
		{3, {'a', 3, 0}},
		{4, {'a', 3, 1, 0}},
		{6, {'a', 3, 0, 0, 'b', 3}},
		{8, {'a', 3, 0, 0, 'b', 2, 0, 0}},
		{8, {'a', 3, 0, 0, 'b', 0, 0, 0}},
		{8, {'a', 3, 0, 0, 'b', 0x83, 0, 0}},
		{8, {'a', 1, 0, 0, 'a', 3, 0, 0}},
		{8, {'a', 1, 0, 0, 'b', 2, 0, 0}},
	};
	struct pair pair;
	(void)state;
	pair_init(&pair, small_limits());
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		assert_int_equal(receive_frames(&pair.far, 1, CASES[i].frames, CASES[i].size), LINK_MALFORMED);
	assert_inbox(&pair.far_inbox, "", "");
	assert_int_equal(pair.far.received, 0);
	const uint8_t good[] = {'a', 3, 0, 0};
	assert_int_equal(receive_frames(&pair.far, 1, good, sizeof(good)), LINK_TAKEN);
	assert_inbox(&pair.far_inbox, "a", "");
	pair_fini(&pair);
}

static void test_a_message_without_end_stops_at_the_limit(void **state)
{
	struct pair pair;
	uint8_t frame[204] = {'a', LINK_FRAME_BEGINS, 200, 0};
	(void)state;
	pair_init(&pair, small_limits());
	enum link_verdict verdict = LINK_TAKEN;
	for (uint64_t sequence = 1; verdict == LINK_TAKEN; sequence++) {
		verdict = receive_frames(&pair.far, sequence, frame, sizeof(frame));
		frame[1] = 0;
		assert_true(sequence <= 501);
	}
	assert_int_equal(verdict, LINK_TOO_LARGE);
	assert_true(pair.far.message.capacity < 200000);
	pair_fini(&pair);
}

static void test_what_is_not_for_this_link_is_counted_and_dropped(void **state)
{
	struct pair pair;
	uint8_t datagram[LINK_HEAD_BYTES];
	(void)state;
	pair_init(&pair, small_limits());
	struct link_head head = {.from = NEAR_RUN + 1, .to = FAR_RUN};
	link_head_write(&head, datagram, sizeof(datagram));
	assert_int_equal(link_receive(&pair.far, slice_of(datagram, sizeof(datagram)), 1), LINK_OTHER_RUN);
	head = (struct link_head){.from = NEAR_RUN, .to = FAR_RUN + 1};
	link_head_write(&head, datagram, sizeof(datagram));
	assert_int_equal(link_receive(&pair.far, slice_of(datagram, sizeof(datagram)), 1), LINK_OTHER_RUN);
	head = (struct link_head){.from = NEAR_RUN, .to = FAR_RUN, .acknowledged = 1};
	link_head_write(&head, datagram, sizeof(datagram));
	assert_int_equal(link_receive(&pair.far, slice_of(datagram, sizeof(datagram)), 1), LINK_NEVER_SENT);
	assert_int_equal(link_receive(&pair.far, slice_of(datagram, sizeof(datagram) - 1), 1), LINK_SHORT);
	datagram[30] ^= 1;
	assert_int_equal(link_receive(&pair.far, slice_of(datagram, sizeof(datagram)), 1), LINK_CHECKSUM);
	datagram[2]++;
	assert_int_equal(link_receive(&pair.far, slice_of(datagram, sizeof(datagram)), 1), LINK_VERSION_UNKNOWN);
	datagram[0]++;
	assert_int_equal(link_receive(&pair.far, slice_of(datagram, sizeof(datagram)), 1), LINK_FOREIGN);
	assert_int_equal(pair.far.counters.verdicts[LINK_OTHER_RUN], 2);
	for (uint32_t verdict = 0; verdict < LINK_VERDICT_COUNT; verdict++)
		assert_true(link_verdict_name(verdict)[0] != '\0' && link_verdict_sentence(verdict)[0] != '\0');
	assert_false(link_has_datagram(&pair.far, 1000));
	pair_fini(&pair);
}

static void test_peek(void **state)
{
	struct pair pair;
	struct slice datagram;
	uint64_t from = 0, to = 0;
	(void)state;
	pair_init(&pair, small_limits());
	say(&pair.near, 'a', "1");
	assert_true(link_next_datagram(&pair.near, 1, &datagram));
	assert_true(link_peek(datagram, &from, &to));
	assert_true(from == NEAR_RUN && to == FAR_RUN);
	assert_false(link_peek(slice_of(datagram.data, LINK_HEAD_BYTES - 1), &from, &to));
	pair_fini(&pair);
}

/* A refusal leaves no part of a message behind. */
static void play_without_memory(void *context)
{
	struct pair pair;
	uint8_t *large = calloc(1, 3000);
	struct slice body = slice_of(large, 3000);
	size_t sent = 0;
	(void)context;
	assert_non_null(large);
	pair_init(&pair, small_limits());
	bytes_reserve(&pair.far_inbox.kinds, 16);
	bytes_reserve(&pair.far_inbox.bodies, 10000);
	failing_memory_start();
	for (uint32_t i = 0; i < 2; i++) {
		enum error error = link_send(&pair.near, 'a', &body, 1);
		assert_true(error == ERROR_OK || error == ERROR_NO_MEMORY);
		sent += error == ERROR_OK;
	}
	for (uint64_t now = 1; now < 30; now++) {
		carry(&pair.near, &pair.far, now);
		carry(&pair.far, &pair.near, now);
	}
	failing_memory_stop();
	for (uint64_t now = 30; !link_is_empty(&pair.near); now = link_next_deadline(&pair.near)) {
		link_tick(&pair.near, now);
		carry(&pair.near, &pair.far, now);
		carry(&pair.far, &pair.near, now + LINK_ACK_DELAY_MS);
		assert_true(now < 100000);
	}
	assert_int_equal(pair.far_inbox.kinds.size, sent);
	assert_int_equal(pair.far_inbox.bodies.size, sent * 3000);
	pair_fini(&pair);
	free(large);
}

static void test_each_refusal_of_memory(void **state)
{
	(void)state;
	assert_true(failing_memory_sweep(FAILING_ALL, FAILING_ONCE, play_without_memory, NULL) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_messages_share_a_datagram),
		cmocka_unit_test(test_an_answer_carries_the_acknowledgement),
		cmocka_unit_test(test_a_lost_datagram_comes_after_a_gap_report),
		cmocka_unit_test(test_a_lost_last_datagram_comes_after_a_timeout),
		cmocka_unit_test(test_after_a_timeout_one_datagram_asks),
		cmocka_unit_test(test_a_repeated_datagram_has_no_effect_but_an_acknowledgement),
		cmocka_unit_test(test_a_large_message_takes_several_datagrams),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_what_has_been_sent_does_not_change),
		cmocka_unit_test(test_a_suspended_link_goes_on_where_it_was),
		cmocka_unit_test(test_malformed_frames_have_no_effect),
		cmocka_unit_test(test_a_message_without_end_stops_at_the_limit),
		cmocka_unit_test(test_what_is_not_for_this_link_is_counted_and_dropped),
		cmocka_unit_test(test_peek),
		cmocka_unit_test_setup_teardown(test_each_refusal_of_memory, NULL, failing_memory_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
