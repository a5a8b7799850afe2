/* Records between threads: order, the bound on batches, large records, returns; three senders and a receiver at once.
 */
#include "random.h"
#include "reactor/mailbox.h"
#include "reactor/poller.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#define SENDERS 3
#define MEMBERS (SENDERS + 1)
#define RECEIVER SENDERS
#define PARCELS_MAX (OUTBOX_BYTES_MAX / BATCH_BYTES)

struct record {
	uint32_t bytes; /* the whole record, padding to 8 included */
	uint32_t number;
	uint8_t text[];
};

struct scene {
	struct mailbox mailboxes[MEMBERS];
	struct outbox outboxes[MEMBERS];
};

static int scene_open(void **state)
{
	struct scene *scene = aligned_alloc(64, sizeof(*scene));
	assert_non_null(scene);
	memset(scene, 0, sizeof(*scene));
	for (uint16_t i = 0; i < MEMBERS; i++) {
		assert_int_equal(mailbox_open(&scene->mailboxes[i]), ERROR_OK);
		assert_int_equal(outbox_init(&scene->outboxes[i], scene->mailboxes, MEMBERS, i), ERROR_OK);
	}
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	for (uint16_t i = 0; i < MEMBERS; i++)
		outbox_fini(&scene->outboxes[i]);
	for (uint16_t i = 0; i < MEMBERS; i++)
		mailbox_close(&scene->mailboxes[i]);
	free(scene);
	return 0;
}

static bool record_write(struct outbox *outbox, uint16_t to, uint32_t bytes, uint32_t number)
{
	bool room = outbox_has_room(outbox, to, bytes);
	struct record *record = outbox_write(outbox, to, bytes);
	if (room != (record != NULL))
		abort(); /* an assertion would not be seen in another thread */
	if (record == NULL)
		return false;
	record->bytes = (bytes + 7u) & ~7u;
	record->number = number;
	memset(record->text, (int)(number * 31 + 7), bytes - sizeof(*record));
	return true;
}

static bool text_is_whole(const struct record *record, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes - sizeof(*record); i++) {
		if (record->text[i] != (uint8_t)(record->number * 31 + 7))
			return false;
	}
	return true;
}

/* The record's size as a rule of its number, so that the receiver can check it. */
static uint32_t bytes_of(uint32_t number)
{
	if (number % 97 == 0)
		return BATCH_BYTES + number % 5000;
	return (uint32_t)sizeof(struct record) + number * 7 % 700;
}

/* Reads all records that are there, from one sender, in order from *next. False where one is not as it was sent. */
static bool read_batch(const struct batch *batch, uint32_t *next)
{
	for (uint32_t at = 0; at < batch->used_bytes;) {
		const struct record *record = (const void *)(batch->bytes + at);
		if ((uintptr_t)record % 8 != 0 || record->number != *next ||
		    record->bytes != ((bytes_of(*next) + 7u) & ~7u) || !text_is_whole(record, bytes_of(*next)))
			return false;
		at += record->bytes;
		(*next)++;
	}
	return true;
}

static uint32_t receive_all(struct outbox *outbox, uint32_t next)
{
	struct batch *batch;
	while ((batch = outbox_receive(outbox)) != NULL) {
		assert_true(read_batch(batch, &next));
		outbox_return(outbox, batch);
	}
	return next;
}

static void test_letters_arrive_in_order(void **state)
{
	struct scene *scene = *state;
	struct outbox *from = &scene->outboxes[0];
	struct outbox *to = &scene->outboxes[RECEIVER];
	struct random random = {5};
	uint32_t sent = 0, read = 0;
	for (int turn = 0; turn < 3000; turn++) {
		for (uint32_t n = random_below(&random, 40); n != 0; n--) {
			if (!record_write(from, RECEIVER, bytes_of(sent), sent))
				break;
			sent++;
		}
		outbox_send(from);
		if (random_below(&random, 3) == 0)
			read = receive_all(to, read);
		outbox_collect(from);
	}
	assert_int_equal(receive_all(to, read), sent);
	assert_true(sent > 10000);
	assert_null(outbox_receive(to));
}

static void test_nothing_arrives_before_it_is_sent(void **state)
{
	struct scene *scene = *state;
	assert_true(record_write(&scene->outboxes[0], RECEIVER, 100, 0));
	assert_false(outbox_has_mail(&scene->outboxes[RECEIVER]));
	assert_true(outbox_pending(&scene->outboxes[0], RECEIVER));
	outbox_send(&scene->outboxes[0]);
	assert_true(outbox_has_mail(&scene->outboxes[RECEIVER]));
	assert_false(outbox_has_mail(&scene->outboxes[1]));
	assert_false(outbox_pending(&scene->outboxes[0], 1));
}

/* At most OUTBOX_BYTES_MAX in batches; what comes back makes room, and only that. */
static void test_bound_and_room_after_returns(void **state)
{
	struct scene *scene = *state;
	struct outbox *from = &scene->outboxes[0];
	struct outbox *to = &scene->outboxes[RECEIVER];
	uint32_t sent = 0;
	while (record_write(from, RECEIVER, BATCH_BYTES, sent))
		sent++;
	assert_int_equal(sent, PARCELS_MAX);
	assert_true(outbox_has_room(from, 1, BATCH_BYTES)); /* each lane has its own */
	outbox_send(from);
	assert_false(outbox_has_room(from, RECEIVER, 8));
	assert_false(outbox_has_returns(from));
	assert_false(outbox_collect(from));

	outbox_return(to, outbox_receive(to));
	outbox_return(to, outbox_receive(to));
	assert_false(outbox_has_room(from, RECEIVER, 8)); /* not before it is collected */
	assert_true(outbox_has_returns(from));
	assert_true(outbox_collect(from));
	assert_true(record_write(from, RECEIVER, BATCH_BYTES, sent++));
	assert_true(record_write(from, RECEIVER, BATCH_BYTES, sent++));
	assert_false(outbox_has_room(from, RECEIVER, 8));
	assert_int_equal(from->allocation_count, PARCELS_MAX);
}

/* What counts is what was written, not the batches' size. */
static void test_room_is_counted_in_bytes(void **state)
{
	struct scene *scene = *state;
	struct outbox *from = &scene->outboxes[0];
	for (uint32_t i = 0; i < PARCELS_MAX; i++)
		assert_true(record_write(from, RECEIVER, BATCH_BYTES - 64, i));
	assert_true(outbox_has_room(from, RECEIVER, 64 * PARCELS_MAX));
	assert_false(outbox_has_room(from, RECEIVER, 64 * PARCELS_MAX + 1));
	assert_true(record_write(from, RECEIVER, 57, 0)); /* 64 with its padding */
	assert_false(outbox_has_room(from, RECEIVER, 64 * PARCELS_MAX - 63));
	assert_true(outbox_has_room(from, RECEIVER, 64 * PARCELS_MAX - 64));
}

/* A receiver that is late by many turns, in each of which there was little to say, is not a full inbox. */
static void test_nearly_empty_parcels_leave_room(void **state)
{
	struct scene *scene = *state;
	struct outbox *from = &scene->outboxes[0];
	for (uint32_t turn = 0; turn < OUTBOX_BATCHES_MAX; turn++) {
		assert_true(record_write(from, RECEIVER, 64, turn));
		outbox_send(from);
	}
	assert_false(outbox_has_room(from, RECEIVER, 64)); /* but there is an end to it */
}

static void assert_received(struct outbox *to, uint32_t bytes, uint32_t number)
{
	struct batch *batch = outbox_receive(to);
	assert_non_null(batch);
	const struct record *record = (const void *)batch->bytes;
	assert_int_equal(record->number, number);
	assert_true(text_is_whole(record, bytes));
	outbox_return(to, batch);
}

static void test_big_letters_get_parcels_of_their_own(void **state)
{
	struct scene *scene = *state;
	struct outbox *from = &scene->outboxes[0];
	static const uint32_t SIZES[] = {BATCH_BYTES + 1, 300000, BATCH_BYTES, 500000, 8 + BATCH_BYTES, 100};
	for (uint32_t i = 0; i < 6; i++)
		assert_true(record_write(from, RECEIVER, SIZES[i], i));
	outbox_send(from);
	for (uint32_t i = 0; i < 6; i++)
		assert_received(&scene->outboxes[RECEIVER], SIZES[i], i);
	assert_true(outbox_collect(from));
	assert_false(outbox_pending(from, RECEIVER));
}

/* Above the bound one record may still go, alone. */
static void test_record_above_the_bound_goes_alone(void **state)
{
	struct scene *scene = *state;
	struct outbox *from = &scene->outboxes[0];
	struct outbox *to = &scene->outboxes[RECEIVER];
	assert_true(record_write(from, RECEIVER, 100, 0));
	assert_false(record_write(from, RECEIVER, OUTBOX_BYTES_MAX, 1));
	outbox_send(from);
	outbox_return(to, outbox_receive(to));
	assert_true(outbox_collect(from));
	assert_true(record_write(from, RECEIVER, 5 * OUTBOX_BYTES_MAX, 1));
	assert_false(record_write(from, RECEIVER, 100, 2));
	outbox_send(from);
	assert_received(to, 5 * OUTBOX_BYTES_MAX, 1);
	assert_true(outbox_collect(from));
	assert_true(record_write(from, RECEIVER, OUTBOX_BYTES_MAX, 2));
}

/* Batches are used again: the steady state allocates nothing. */
static void test_steady_state_allocates_nothing(void **state)
{
	struct scene *scene = *state;
	struct outbox *from = &scene->outboxes[0];
	for (uint32_t turn = 0; turn < 1000; turn++) {
		assert_true(record_write(from, RECEIVER, 400, turn));
		outbox_send(from);
		struct batch *batch = outbox_receive(&scene->outboxes[RECEIVER]);
		outbox_return(&scene->outboxes[RECEIVER], batch);
		outbox_collect(from);
	}
	assert_int_equal(from->allocation_count, 1);
}

static void test_letters_to_oneself(void **state)
{
	struct scene *scene = *state;
	struct outbox *self = &scene->outboxes[2];
	for (uint32_t i = 0; i < 3 * PARCELS_MAX; i++) {
		assert_true(record_write(self, 2, 2000, i));
		outbox_send(self);
		assert_true(outbox_has_mail(self));
		outbox_return(self, outbox_receive(self));
		assert_true(outbox_collect(self));
	}
}

/* What came home, by ticket. */
struct home {
	uint8_t times[20000];
	uint32_t count;
	uint64_t commit; /* of the last batch */
};

static void came_home(void *context, const struct batch *batch, const uint32_t *tickets)
{
	struct home *home = context;
	home->commit = batch->commit;
	for (uint32_t i = 0; i < batch->ticket_count; i++) {
		assert_in_range(tickets[i], 1, sizeof(home->times) - 1);
		home->times[tickets[i]]++;
		home->count++;
	}
}

/* Records of all sizes, one that fills a batch among them, each with its ticket or without one: each ticket comes home
 * once, with the batch of its record and not before, and no record is written over. */
static void test_tickets_come_home(void **state)
{
	static struct home home;
	struct scene *scene = *state;
	struct outbox *from = &scene->outboxes[0];
	struct outbox *to = &scene->outboxes[RECEIVER];
	struct random random = {9};
	home = (struct home){0};
	from->returned = came_home;
	from->context = &home;
	uint32_t sent = 0, read = 0, tickets = 0;
	while (sent < 10000) {
		for (uint32_t n = 1 + random_below(&random, 60); n != 0; n--) {
			if (!record_write(from, RECEIVER, bytes_of(sent), sent))
				break;
			sent++;
			if (sent % 5 != 0)
				outbox_attach(from, RECEIVER, ++tickets);
		}
		outbox_send(from);
		assert_false(outbox_collect(from));
		assert_true(home.count <= tickets);
		read = receive_all(to, read);
		assert_true(outbox_collect(from));
		assert_int_equal(home.count, tickets);
	}
	assert_int_equal(read, sent);
	for (uint32_t ticket = 1; ticket <= tickets; ticket++)
		assert_int_equal(home.times[ticket], 1);
}

/* The receiver's number comes home with the batch, and a batch that is used again begins without one. */
/* A thread has ended before all of its batches were back, and another one has its number now. */
static void test_batches_of_an_earlier_run_are_freed(void **state)
{
	struct scene *scene = *state;
	struct outbox *outbox = &scene->outboxes[0];
	outbox_set_run(outbox, 1);
	assert_true(record_write(outbox, RECEIVER, 100, 1));
	outbox_send(outbox);
	struct batch *batch = outbox_receive(&scene->outboxes[RECEIVER]);
	assert_non_null(batch);
	outbox_fini(outbox);
	assert_int_equal(outbox_init(outbox, scene->mailboxes, MEMBERS, 0), ERROR_OK);
	outbox_set_run(outbox, 2);
	assert_true(record_write(outbox, RECEIVER, 100, 1));
	outbox_send(outbox);
	outbox_return(&scene->outboxes[RECEIVER], batch);
	assert_true(outbox_collect(outbox));
	assert_int_equal(outbox->out_batches, 1);
	batch = outbox_receive(&scene->outboxes[RECEIVER]);
	outbox_return(&scene->outboxes[RECEIVER], batch);
	assert_true(outbox_collect(outbox));
	assert_int_equal(outbox->out_batches, 0);
}

static void test_a_commit_comes_home(void **state)
{
	static struct home home;
	struct scene *scene = *state;
	struct outbox *from = &scene->outboxes[0];
	struct outbox *to = &scene->outboxes[RECEIVER];
	static const uint64_t COMMITS[] = {7, 0, (uint64_t)1 << 40, 0};
	from->returned = came_home;
	from->context = &home;
	for (size_t i = 0; i < sizeof(COMMITS) / sizeof(COMMITS[0]); i++) {
		assert_true(record_write(from, RECEIVER, 100, (uint32_t)i));
		outbox_attach(from, RECEIVER, 1);
		outbox_send(from);
		struct batch *batch = outbox_receive(to);
		assert_int_equal(batch->commit, 0);
		batch->commit = COMMITS[i];
		outbox_return(to, batch);
		assert_true(outbox_collect(from));
		assert_int_equal(home.commit, COMMITS[i]);
	}
	assert_int_equal(from->allocation_count, 1);
}

/* Four bytes a record are kept free for them. */
static void test_a_full_batch_has_room_for_its_tickets(void **state)
{
	static struct home home;
	struct scene *scene = *state;
	struct outbox *from = &scene->outboxes[0];
	home = (struct home){0};
	from->returned = came_home;
	from->context = &home;
	uint32_t count = 0;
	do {
		assert_true(record_write(from, RECEIVER, sizeof(struct record), count));
		outbox_attach(from, RECEIVER, ++count);
	} while (from->out_batches == 1);
	assert_in_range(count, BATCH_BYTES / (sizeof(struct record) + 4), BATCH_BYTES / sizeof(struct record) + 1);
	assert_true(record_write(from, 1, BATCH_BYTES, 0));
	outbox_attach(from, 1, ++count);
	outbox_send(from);
	for (uint16_t to = 1; to <= RECEIVER; to++) {
		struct batch *batch;
		while ((batch = outbox_receive(&scene->outboxes[to])) != NULL)
			outbox_return(&scene->outboxes[to], batch);
	}
	assert_true(outbox_collect(from));
	assert_int_equal(home.count, count);
}

static bool woken(struct mailbox *mailbox)
{
	eventfd_t value;
	return eventfd_read(mailbox->waker.fd, &value) == 0;
}

static void test_wakes_only_those_who_sleep(void **state)
{
	struct scene *scene = *state;
	struct mailbox *receiver = &scene->mailboxes[RECEIVER];
	record_write(&scene->outboxes[0], RECEIVER, 100, 0);
	outbox_send(&scene->outboxes[0]);
	assert_false(woken(receiver));
	waker_sleep(&receiver->waker);
	record_write(&scene->outboxes[0], RECEIVER, 100, 0);
	assert_false(woken(receiver));
	outbox_send(&scene->outboxes[0]);
	assert_true(woken(receiver));
	assert_false(woken(receiver));
}

static void test_return_wakes_who_awaits_room(void **state)
{
	struct scene *scene = *state;
	struct outbox *to = &scene->outboxes[RECEIVER];
	for (int i = 0; i < 2; i++) {
		record_write(&scene->outboxes[0], RECEIVER, BATCH_BYTES, 0);
		outbox_send(&scene->outboxes[0]);
	}
	waker_sleep(&scene->mailboxes[0].waker);
	outbox_return(to, outbox_receive(to));
	assert_false(woken(&scene->mailboxes[0]));
	outbox_await_returns(&scene->outboxes[0], true);
	outbox_return(to, outbox_receive(to));
	assert_true(woken(&scene->mailboxes[0]));
}

/* ---- threads ---- */

#define RECORDS_EACH 20000u

struct sender {
	struct scene *scene;
	uint16_t number;
};

/* Sleeps as a shard does: says so, looks once more, and only then waits for its waker. */
static void await(struct outbox *outbox, struct poller *poller, bool for_room)
{
	struct waker *waker = &outbox->mailboxes[outbox->self].waker;
	struct poller_event event;
	outbox_await_returns(outbox, for_room);
	waker_sleep(waker);
	bool ready = for_room ? outbox_has_returns(outbox) : outbox_has_mail(outbox);
	poller_wait(poller, &event, 1, ready ? 0 : -1);
	waker_awake(waker);
	outbox_await_returns(outbox, false);
}

static void poller_for(struct poller *poller, struct outbox *outbox)
{
	if (poller_open(poller) != ERROR_OK ||
	    poller_add(poller, outbox->mailboxes[outbox->self].waker.fd, 0, POLLER_EDGE_READ) != ERROR_OK)
		abort();
}

static void *send_records(void *argument)
{
	struct sender *sender = argument;
	struct outbox *outbox = &sender->scene->outboxes[sender->number];
	struct random random = {sender->number + 1u};
	struct poller poller;
	poller_for(&poller, outbox);
	for (uint32_t number = 0; number < RECORDS_EACH; number++) {
		outbox_collect(outbox);
		while (!record_write(outbox, RECEIVER, bytes_of(number), number)) {
			outbox_send(outbox);
			await(outbox, &poller, true);
			outbox_collect(outbox);
		}
		if (random_below(&random, 20) == 0)
			outbox_send(outbox);
	}
	outbox_send(outbox);
	poller_close(&poller);
	return NULL;
}

static void test_three_senders_and_a_receiver(void **state)
{
	struct scene *scene = *state;
	struct outbox *outbox = &scene->outboxes[RECEIVER];
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	struct poller poller;
	poller_for(&poller, outbox);
	for (uint16_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.scene = scene, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, send_records, &senders[i]), 0);
	}
	uint32_t next[SENDERS] = {0};
	uint64_t total = 0;
	while (total < (uint64_t)SENDERS * RECORDS_EACH) {
		struct batch *batch = outbox_receive(outbox);
		if (batch == NULL) {
			await(outbox, &poller, false);
			continue;
		}
		uint32_t *from = &next[batch->owner];
		total -= *from;
		assert_true(read_batch(batch, from));
		total += *from;
		outbox_return(outbox, batch);
	}
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(next[i], RECORDS_EACH);
	}
	poller_close(&poller);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_letters_arrive_in_order),
		IN_SCENE(test_nothing_arrives_before_it_is_sent),
		IN_SCENE(test_bound_and_room_after_returns),
		IN_SCENE(test_room_is_counted_in_bytes),
		IN_SCENE(test_nearly_empty_parcels_leave_room),
		IN_SCENE(test_big_letters_get_parcels_of_their_own),
		IN_SCENE(test_record_above_the_bound_goes_alone),
		IN_SCENE(test_steady_state_allocates_nothing),
		IN_SCENE(test_letters_to_oneself),
		IN_SCENE(test_tickets_come_home),
		IN_SCENE(test_a_commit_comes_home),
		IN_SCENE(test_batches_of_an_earlier_run_are_freed),
		IN_SCENE(test_a_full_batch_has_room_for_its_tickets),
		IN_SCENE(test_wakes_only_those_who_sleep),
		IN_SCENE(test_return_wakes_who_awaits_room),
		IN_SCENE(test_three_senders_and_a_receiver),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
