/* Letters between threads: order, the bound on parcels, large letters, returns; three senders and a receiver at once.
 */
#include "net/inbox.h"
#include "net/poller.h"
#include "random.h"

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
#define PARCELS_MAX (POST_BYTES_MAX / PARCEL_BYTES)

struct letter {
	uint32_t bytes; /* the whole letter, padding to 8 included */
	uint32_t number;
	uint8_t text[];
};

struct scene {
	struct mailbox mailboxes[MEMBERS];
	struct post posts[MEMBERS];
};

static int scene_open(void **state)
{
	struct scene *scene = aligned_alloc(64, sizeof(*scene));
	assert_non_null(scene);
	memset(scene, 0, sizeof(*scene));
	for (uint16_t i = 0; i < MEMBERS; i++) {
		assert_int_equal(mailbox_open(&scene->mailboxes[i]), ERROR_OK);
		assert_int_equal(post_init(&scene->posts[i], scene->mailboxes, MEMBERS, i), ERROR_OK);
	}
	*state = scene;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *scene = *state;
	for (uint16_t i = 0; i < MEMBERS; i++)
		post_fini(&scene->posts[i]);
	for (uint16_t i = 0; i < MEMBERS; i++)
		mailbox_close(&scene->mailboxes[i]);
	free(scene);
	return 0;
}

static bool letter_write(struct post *post, uint16_t to, uint32_t bytes, uint32_t number)
{
	bool room = post_has_room(post, to, bytes);
	struct letter *letter = post_write(post, to, bytes);
	if (room != (letter != NULL))
		abort(); /* an assertion would not be seen in another thread */
	if (letter == NULL)
		return false;
	letter->bytes = (bytes + 7u) & ~7u;
	letter->number = number;
	memset(letter->text, (int)(number * 31 + 7), bytes - sizeof(*letter));
	return true;
}

static bool text_is_whole(const struct letter *letter, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes - sizeof(*letter); i++) {
		if (letter->text[i] != (uint8_t)(letter->number * 31 + 7))
			return false;
	}
	return true;
}

/* The letter's size as a rule of its number, so that the receiver can check it. */
static uint32_t bytes_of(uint32_t number)
{
	if (number % 97 == 0)
		return PARCEL_BYTES + number % 5000;
	return (uint32_t)sizeof(struct letter) + number * 7 % 700;
}

/* Reads all letters that are there, from one sender, in order from *next. False where one is not as it was sent. */
static bool read_parcel(const struct parcel *parcel, uint32_t *next)
{
	for (uint32_t at = 0; at < parcel->used_bytes;) {
		const struct letter *letter = (const void *)(parcel->bytes + at);
		if ((uintptr_t)letter % 8 != 0 || letter->number != *next ||
		    letter->bytes != ((bytes_of(*next) + 7u) & ~7u) || !text_is_whole(letter, bytes_of(*next)))
			return false;
		at += letter->bytes;
		(*next)++;
	}
	return true;
}

static uint32_t receive_all(struct post *post, uint32_t next)
{
	struct parcel *parcel;
	while ((parcel = post_receive(post)) != NULL) {
		assert_true(read_parcel(parcel, &next));
		post_return(post, parcel);
	}
	return next;
}

static void test_letters_arrive_in_order(void **state)
{
	struct scene *scene = *state;
	struct post *from = &scene->posts[0];
	struct post *to = &scene->posts[RECEIVER];
	struct random random = {5};
	uint32_t sent = 0, read = 0;
	for (int turn = 0; turn < 3000; turn++) {
		for (uint32_t n = random_below(&random, 40); n != 0; n--) {
			if (!letter_write(from, RECEIVER, bytes_of(sent), sent))
				break;
			sent++;
		}
		post_send(from);
		if (random_below(&random, 3) == 0)
			read = receive_all(to, read);
		post_collect(from);
	}
	assert_int_equal(receive_all(to, read), sent);
	assert_true(sent > 10000);
	assert_null(post_receive(to));
}

static void test_nothing_arrives_before_it_is_sent(void **state)
{
	struct scene *scene = *state;
	assert_true(letter_write(&scene->posts[0], RECEIVER, 100, 0));
	assert_false(post_has_mail(&scene->posts[RECEIVER]));
	assert_true(post_pending(&scene->posts[0], RECEIVER));
	post_send(&scene->posts[0]);
	assert_true(post_has_mail(&scene->posts[RECEIVER]));
	assert_false(post_has_mail(&scene->posts[1]));
	assert_false(post_pending(&scene->posts[0], 1));
}

/* At most POST_BYTES_MAX in parcels; what comes back makes room, and only that. */
static void test_bound_and_room_after_returns(void **state)
{
	struct scene *scene = *state;
	struct post *from = &scene->posts[0];
	struct post *to = &scene->posts[RECEIVER];
	uint32_t sent = 0;
	while (letter_write(from, RECEIVER, PARCEL_BYTES, sent))
		sent++;
	assert_int_equal(sent, PARCELS_MAX);
	assert_true(post_has_room(from, 1, PARCEL_BYTES)); /* each lane has its own */
	post_send(from);
	assert_false(post_has_room(from, RECEIVER, 8));
	assert_false(post_has_returns(from));
	assert_false(post_collect(from));

	post_return(to, post_receive(to));
	post_return(to, post_receive(to));
	assert_false(post_has_room(from, RECEIVER, 8)); /* not before it is collected */
	assert_true(post_has_returns(from));
	assert_true(post_collect(from));
	assert_true(letter_write(from, RECEIVER, PARCEL_BYTES, sent++));
	assert_true(letter_write(from, RECEIVER, PARCEL_BYTES, sent++));
	assert_false(post_has_room(from, RECEIVER, 8));
	assert_int_equal(from->allocation_count, PARCELS_MAX);
}

/* What counts is what was written, not the parcels' size. */
static void test_room_is_counted_in_bytes(void **state)
{
	struct scene *scene = *state;
	struct post *from = &scene->posts[0];
	for (uint32_t i = 0; i < PARCELS_MAX; i++)
		assert_true(letter_write(from, RECEIVER, PARCEL_BYTES - 64, i));
	assert_true(post_has_room(from, RECEIVER, 64 * PARCELS_MAX));
	assert_false(post_has_room(from, RECEIVER, 64 * PARCELS_MAX + 1));
	assert_true(letter_write(from, RECEIVER, 57, 0)); /* 64 with its padding */
	assert_false(post_has_room(from, RECEIVER, 64 * PARCELS_MAX - 63));
	assert_true(post_has_room(from, RECEIVER, 64 * PARCELS_MAX - 64));
}

/* A receiver that is late by many turns, in each of which there was little to say, is not a full inbox. */
static void test_nearly_empty_parcels_leave_room(void **state)
{
	struct scene *scene = *state;
	struct post *from = &scene->posts[0];
	for (uint32_t turn = 0; turn < POST_PARCELS_MAX; turn++) {
		assert_true(letter_write(from, RECEIVER, 64, turn));
		post_send(from);
	}
	assert_false(post_has_room(from, RECEIVER, 64)); /* but there is an end to it */
}

static void assert_received(struct post *to, uint32_t bytes, uint32_t number)
{
	struct parcel *parcel = post_receive(to);
	assert_non_null(parcel);
	const struct letter *letter = (const void *)parcel->bytes;
	assert_int_equal(letter->number, number);
	assert_true(text_is_whole(letter, bytes));
	post_return(to, parcel);
}

static void test_big_letters_get_parcels_of_their_own(void **state)
{
	struct scene *scene = *state;
	struct post *from = &scene->posts[0];
	static const uint32_t SIZES[] = {PARCEL_BYTES + 1, 300000, PARCEL_BYTES, 500000, 8 + PARCEL_BYTES, 100};
	for (uint32_t i = 0; i < 6; i++)
		assert_true(letter_write(from, RECEIVER, SIZES[i], i));
	post_send(from);
	for (uint32_t i = 0; i < 6; i++)
		assert_received(&scene->posts[RECEIVER], SIZES[i], i);
	assert_true(post_collect(from));
	assert_false(post_pending(from, RECEIVER));
}

/* Above the bound one letter may still go, alone. */
static void test_letter_above_the_bound_goes_alone(void **state)
{
	struct scene *scene = *state;
	struct post *from = &scene->posts[0];
	struct post *to = &scene->posts[RECEIVER];
	assert_true(letter_write(from, RECEIVER, 100, 0));
	assert_false(letter_write(from, RECEIVER, POST_BYTES_MAX, 1));
	post_send(from);
	post_return(to, post_receive(to));
	assert_true(post_collect(from));
	assert_true(letter_write(from, RECEIVER, 5 * POST_BYTES_MAX, 1));
	assert_false(letter_write(from, RECEIVER, 100, 2));
	post_send(from);
	assert_received(to, 5 * POST_BYTES_MAX, 1);
	assert_true(post_collect(from));
	assert_true(letter_write(from, RECEIVER, POST_BYTES_MAX, 2));
}

/* Parcels are used again: the steady state allocates nothing. */
static void test_steady_state_allocates_nothing(void **state)
{
	struct scene *scene = *state;
	struct post *from = &scene->posts[0];
	for (uint32_t turn = 0; turn < 1000; turn++) {
		assert_true(letter_write(from, RECEIVER, 400, turn));
		post_send(from);
		struct parcel *parcel = post_receive(&scene->posts[RECEIVER]);
		post_return(&scene->posts[RECEIVER], parcel);
		post_collect(from);
	}
	assert_int_equal(from->allocation_count, 1);
}

static void test_letters_to_oneself(void **state)
{
	struct scene *scene = *state;
	struct post *self = &scene->posts[2];
	for (uint32_t i = 0; i < 3 * PARCELS_MAX; i++) {
		assert_true(letter_write(self, 2, 2000, i));
		post_send(self);
		assert_true(post_has_mail(self));
		post_return(self, post_receive(self));
		assert_true(post_collect(self));
	}
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
	letter_write(&scene->posts[0], RECEIVER, 100, 0);
	post_send(&scene->posts[0]);
	assert_false(woken(receiver));
	waker_sleep(&receiver->waker);
	letter_write(&scene->posts[0], RECEIVER, 100, 0);
	assert_false(woken(receiver));
	post_send(&scene->posts[0]);
	assert_true(woken(receiver));
	assert_false(woken(receiver));
}

static void test_return_wakes_who_awaits_room(void **state)
{
	struct scene *scene = *state;
	struct post *to = &scene->posts[RECEIVER];
	for (int i = 0; i < 2; i++) {
		letter_write(&scene->posts[0], RECEIVER, PARCEL_BYTES, 0);
		post_send(&scene->posts[0]);
	}
	waker_sleep(&scene->mailboxes[0].waker);
	post_return(to, post_receive(to));
	assert_false(woken(&scene->mailboxes[0]));
	post_await_room(&scene->posts[0], true);
	post_return(to, post_receive(to));
	assert_true(woken(&scene->mailboxes[0]));
}

/* ---- threads ---- */

#define LETTERS_EACH 20000u

struct sender {
	struct scene *scene;
	uint16_t number;
};

/* Sleeps as a shard does: says so, looks once more, and only then waits for its waker. */
static void await(struct post *post, struct poller *poller, bool for_room)
{
	struct waker *waker = &post->mailboxes[post->self].waker;
	struct poller_event event;
	post_await_room(post, for_room);
	waker_sleep(waker);
	bool ready = for_room ? post_has_returns(post) : post_has_mail(post);
	poller_wait(poller, &event, 1, ready ? 0 : -1);
	waker_awake(waker);
	post_await_room(post, false);
}

static void poller_for(struct poller *poller, struct post *post)
{
	if (poller_open(poller) != ERROR_OK ||
	    poller_add(poller, post->mailboxes[post->self].waker.fd, 0, POLLER_EDGE_READ) != ERROR_OK)
		abort();
}

static void *send_letters(void *argument)
{
	struct sender *sender = argument;
	struct post *post = &sender->scene->posts[sender->number];
	struct random random = {sender->number + 1u};
	struct poller poller;
	poller_for(&poller, post);
	for (uint32_t number = 0; number < LETTERS_EACH; number++) {
		post_collect(post);
		while (!letter_write(post, RECEIVER, bytes_of(number), number)) {
			post_send(post);
			await(post, &poller, true);
			post_collect(post);
		}
		if (random_below(&random, 20) == 0)
			post_send(post);
	}
	post_send(post);
	poller_close(&poller);
	return NULL;
}

static void test_three_senders_and_a_receiver(void **state)
{
	struct scene *scene = *state;
	struct post *post = &scene->posts[RECEIVER];
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	struct poller poller;
	poller_for(&poller, post);
	for (uint16_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.scene = scene, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, send_letters, &senders[i]), 0);
	}
	uint32_t next[SENDERS] = {0};
	uint64_t total = 0;
	while (total < (uint64_t)SENDERS * LETTERS_EACH) {
		struct parcel *parcel = post_receive(post);
		if (parcel == NULL) {
			await(post, &poller, false);
			continue;
		}
		uint32_t *from = &next[parcel->owner];
		total -= *from;
		assert_true(read_parcel(parcel, from));
		total += *from;
		post_return(post, parcel);
	}
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(next[i], LETTERS_EACH);
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
		IN_SCENE(test_letter_above_the_bound_goes_alone),
		IN_SCENE(test_steady_state_allocates_nothing),
		IN_SCENE(test_letters_to_oneself),
		IN_SCENE(test_wakes_only_those_who_sleep),
		IN_SCENE(test_return_wakes_who_awaits_room),
		IN_SCENE(test_three_senders_and_a_receiver),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
