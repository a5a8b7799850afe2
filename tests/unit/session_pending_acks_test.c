/* Lines of acknowledgements, against a model that is a plain array: who may leave, in which order, and that nothing is
 * left behind. */
#include "random.h"
#include "session/pending_acks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CLIENTS 8u
#define OUTSTANDING 64u
#define STEPS 200000

static int acks_open(void **state)
{
	static struct pending_acks acks;
	assert_int_equal(pending_acks_open(&acks, NULL, CLIENTS), ERROR_OK);
	*state = &acks;
	return 0;
}

static int acks_close(void **state)
{
	struct pending_acks *acks = *state;
	assert_false(pending_acks_any(acks));
	assert_int_equal(acks->lines.used, 0);
	assert_int_equal(acks->by_client.count, 0);
	pending_acks_close(acks);
	return 0;
}

static uint32_t filed(struct pending_acks *acks, uint32_t client, uint16_t packet_id)
{
	uint32_t ticket = pending_acks_take(acks);
	assert_int_not_equal(ticket, 0);
	assert_int_equal(pending_acks_file(acks, (struct client_ref){client}, ticket, 1, packet_id), ERROR_OK);
	return ticket;
}

static void expect_next(struct pending_acks *acks, uint32_t client, uint16_t packet_id)
{
	struct pending_answer answer;
	assert_true(pending_acks_next(acks, &answer));
	assert_int_equal(answer.client.index, client);
	assert_int_equal(answer.packet_id, packet_id);
}

static void expect_none(struct pending_acks *acks)
{
	struct pending_answer answer;
	assert_false(pending_acks_next(acks, &answer));
	assert_false(pending_acks_are_ready(acks));
}

static void test_in_order_of_the_line(void **state)
{
	struct pending_acks *acks = *state;
	uint32_t first = filed(acks, 3, 1);
	uint32_t second = filed(acks, 3, 2);
	uint32_t other = filed(acks, 4, 9);
	pending_acks_is_safe(acks, second);
	expect_none(acks);
	pending_acks_is_safe(acks, other);
	expect_next(acks, 4, 9);
	pending_acks_is_safe(acks, first);
	expect_next(acks, 3, 1);
	expect_next(acks, 3, 2);
	expect_none(acks);
}

static void test_all_holders_have_to_say_so(void **state)
{
	struct pending_acks *acks = *state;
	uint32_t ticket = filed(acks, 1, 1);
	pending_acks_hold(acks, ticket);
	pending_acks_hold(acks, ticket);
	pending_acks_is_safe(acks, ticket);
	pending_acks_is_safe(acks, ticket);
	expect_none(acks);
	pending_acks_is_safe(acks, ticket);
	expect_next(acks, 1, 1);
}

static void test_in_no_line(void **state)
{
	struct pending_acks *acks = *state;
	uint32_t ticket = pending_acks_take(acks);
	pending_acks_hold(acks, ticket);
	pending_acks_is_safe(acks, ticket);
	assert_true(pending_acks_any(acks));
	pending_acks_is_safe(acks, ticket);
	assert_false(pending_acks_any(acks));
}

static void test_reason_and_failure(void **state)
{
	struct pending_acks *acks = *state;
	uint32_t ticket = pending_acks_take(acks);
	assert_int_equal(pending_acks_file(acks, (struct client_ref){2}, ticket, 2, 77), ERROR_OK);
	pending_acks_set_reason(acks, ticket, 0x97, true);
	pending_acks_is_safe(acks, ticket);
	struct pending_answer answer;
	assert_true(pending_acks_next(acks, &answer));
	assert_int_equal(answer.qos, 2);
	assert_int_equal(answer.reason, 0x97);
	assert_true(answer.failed && !answer.forgotten);
}

/* Those that are forgotten leave first all the same; what comes behind them is told. */
static void test_forgotten(void **state)
{
	struct pending_acks *acks = *state;
	uint32_t first = filed(acks, 1, 1);
	pending_acks_forget(acks, (struct client_ref){1});
	uint32_t second = filed(acks, 1, 1);
	assert_int_equal(pending_acks_of(acks, (struct client_ref){1}), 2);
	pending_acks_is_safe(acks, second);
	expect_none(acks);
	pending_acks_is_safe(acks, first);
	struct pending_answer answer;
	assert_true(pending_acks_next(acks, &answer) && answer.forgotten);
	assert_true(pending_acks_next(acks, &answer) && !answer.forgotten);
	expect_none(acks);
}

/* A line that is dropped while it is ready, and another of the same client behind it. */
static void test_dropped_while_ready(void **state)
{
	struct pending_acks *acks = *state;
	uint32_t held = filed(acks, 1, 2);
	pending_acks_hold(acks, held);
	pending_acks_is_safe(acks, filed(acks, 2, 1));
	uint32_t behind = filed(acks, 2, 2);
	pending_acks_drop(acks, (struct client_ref){2});
	assert_int_equal(pending_acks_of(acks, (struct client_ref){2}), 0);
	pending_acks_is_safe(acks, filed(acks, 2, 3));
	expect_next(acks, 2, 3);
	expect_none(acks);
	pending_acks_is_safe(acks, behind);
	pending_acks_drop(acks, (struct client_ref){1});
	pending_acks_is_safe(acks, held);
	pending_acks_is_safe(acks, held);
}

/* ---- at random ---- */

struct modelled {
	uint32_t ticket; /* 0: it has left */
	uint32_t client;
	uint32_t holders;
	uint16_t packet_id;
	bool in_line;
	bool forgotten;
};

struct play {
	struct pending_acks *acks;
	struct random random;
	struct modelled items[OUTSTANDING]; /* in the order in which they came */
	uint32_t count;
	uint16_t packet_id;
};

static void remove_item(struct play *play, uint32_t at)
{
	play->count--;
	memmove(&play->items[at], &play->items[at + 1], (play->count - at) * sizeof(play->items[0]));
}

/* The first of its client must be safe, and is the one that leaves. */
static void leaves(struct play *play, const struct pending_answer *answer)
{
	uint32_t at = 0;
	while (at < play->count && !(play->items[at].in_line && play->items[at].client == answer->client.index))
		at++;
	assert_true(at < play->count);
	assert_int_equal(play->items[at].holders, 0);
	assert_int_equal(play->items[at].packet_id, answer->packet_id);
	assert_int_equal(play->items[at].forgotten, answer->forgotten);
	remove_item(play, at);
}

static void take_all(struct play *play)
{
	struct pending_answer answer;
	while (pending_acks_next(play->acks, &answer))
		leaves(play, &answer);
	/* Nobody is left who might have. */
	bool seen[CLIENTS + 1] = {false};
	for (uint32_t i = 0; i < play->count; i++) {
		struct modelled *item = &play->items[i];
		if (!item->in_line)
			continue;
		assert_true(seen[item->client] || item->holders != 0);
		seen[item->client] = true;
	}
}

static void comes(struct play *play)
{
	if (play->count == OUTSTANDING)
		return;
	uint32_t client = 1 + random_below(&play->random, CLIENTS);
	struct modelled *item = &play->items[play->count++];
	*item = (struct modelled){.client = client, .packet_id = ++play->packet_id, .in_line = true};
	item->ticket = filed(play->acks, client, item->packet_id);
	for (item->holders = 1; random_below(&play->random, 2) != 0; item->holders++)
		pending_acks_hold(play->acks, item->ticket);
}

static void says_safe(struct play *play)
{
	if (play->count == 0)
		return;
	uint32_t at = random_below(&play->random, play->count);
	struct modelled *item = &play->items[at];
	if (item->holders == 0)
		return;
	pending_acks_is_safe(play->acks, item->ticket);
	if (--item->holders == 0 && !item->in_line)
		remove_item(play, at);
}

static void ends(struct play *play, bool session)
{
	uint32_t client = 1 + random_below(&play->random, CLIENTS);
	if (session)
		pending_acks_drop(play->acks, (struct client_ref){client});
	else
		pending_acks_forget(play->acks, (struct client_ref){client});
	for (uint32_t i = 0; i < play->count;) {
		struct modelled *item = &play->items[i];
		bool concerned = item->in_line && item->client == client;
		item->forgotten |= concerned;
		item->in_line &= !(concerned && session);
		if (!item->in_line && item->holders == 0)
			remove_item(play, i);
		else
			i++;
	}
}

static void test_at_random(void **state)
{
	struct play play = {.acks = *state, .random = {11}};
	for (int i = 0; i < STEPS; i++) {
		uint32_t what = random_below(&play.random, 100);
		if (what < 35)
			comes(&play);
		else if (what < 80)
			says_safe(&play);
		else if (what < 95)
			take_all(&play);
		else
			ends(&play, what < 98);
	}
	while (play.count != 0) {
		says_safe(&play);
		take_all(&play);
	}
}

#define IN_LINES(test) cmocka_unit_test_setup_teardown(test, acks_open, acks_close)

/* Answers that are out keep the line, count, and are forgotten with the connection. */
static void test_answers_that_are_out(void **state)
{
	struct pending_acks *acks = *state;
	struct client_ref client = {3};
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(pending_acks_answer_begin(acks, client), ERROR_OK);
	uint32_t ticket = filed(acks, 3, 1);
	assert_int_equal(pending_acks_of(acks, client), 1);
	assert_int_equal(pending_acks_all_of(acks, client), 4);
	assert_int_equal(pending_acks_count(acks), 4);
	pending_acks_is_safe(acks, ticket);
	expect_next(acks, 3, 1);
	expect_none(acks);
	pending_acks_answer_end(acks, client);
	assert_int_equal(pending_acks_all_of(acks, client), 2);
	assert_int_equal(acks->lines.used, 1);
	pending_acks_forget(acks, client);
	assert_int_equal(pending_acks_all_of(acks, client), 0);
	assert_int_equal(pending_acks_count(acks), 0);
	/* Of a session that ends, and of another client meanwhile. */
	assert_int_equal(pending_acks_answer_begin(acks, client), ERROR_OK);
	assert_int_equal(pending_acks_answer_begin(acks, (struct client_ref){4}), ERROR_OK);
	pending_acks_drop(acks, client);
	assert_int_equal(pending_acks_count(acks), 1);
	pending_acks_answer_end(acks, (struct client_ref){4});
	assert_int_equal(pending_acks_count(acks), 0);
}

/* One holder had no memory to wait for its commit; what the router says later does not make up for that. */
static void test_a_failure_stays(void **state)
{
	struct pending_acks *acks = *state;
	uint32_t ticket = filed(acks, 1, 5);
	pending_acks_hold(acks, ticket);
	pending_acks_set_reason(acks, ticket, 0x97, true);
	pending_acks_is_safe(acks, ticket);
	pending_acks_set_reason(acks, ticket, 0, false);
	pending_acks_is_safe(acks, ticket);
	struct pending_answer answer;
	assert_true(pending_acks_next(acks, &answer));
	assert_true(answer.failed);
	assert_int_equal(answer.reason, 0x97);
}

/* Only what is answered by PUBREC, and only the client's own. */
static void test_marks(void **state)
{
	struct pending_acks *acks = *state;
	uint64_t ids[PACKET_ID_WORDS] = {0};
	assert_int_equal(pending_acks_mark(acks, (struct client_ref){1}, ids), 0);
	static const uint16_t QOS_2[] = {1, 63, 64, UINT16_MAX};
	uint32_t tickets[6] = {filed(acks, 1, 7), filed(acks, 2, 8)};
	for (uint32_t i = 0; i < 4; i++) {
		tickets[2 + i] = pending_acks_take(acks);
		assert_int_equal(pending_acks_file(acks, (struct client_ref){1}, tickets[2 + i], 2, QOS_2[i]),
				 ERROR_OK);
	}
	assert_int_equal(pending_acks_mark(acks, (struct client_ref){1}, ids), 5);
	assert_true(ids[0] == (UINT64_C(1) << 1 | UINT64_C(1) << 63));
	assert_true(ids[1] == 1 && ids[PACKET_ID_WORDS - 1] == UINT64_C(1) << 63);
	for (uint32_t i = 2; i < PACKET_ID_WORDS - 1; i++)
		assert_true(ids[i] == 0);
	struct pending_answer answer;
	for (uint32_t i = 0; i < 6; i++)
		pending_acks_is_safe(acks, tickets[i]);
	for (uint32_t i = 0; i < 6; i++)
		assert_true(pending_acks_next(acks, &answer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_LINES(test_in_order_of_the_line),
		IN_LINES(test_answers_that_are_out),
		IN_LINES(test_a_failure_stays),
		IN_LINES(test_all_holders_have_to_say_so),
		IN_LINES(test_in_no_line),
		IN_LINES(test_reason_and_failure),
		IN_LINES(test_forgotten),
		IN_LINES(test_dropped_while_ready),
		IN_LINES(test_marks),
		IN_LINES(test_at_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
