/* Two links over a bus that loses, repeats, reorders, spoils and holds back, from seeds: every message comes once and
 * in order, both ways, and memory stays within its limits. A seed that fails is in the assertion's line of output. */
#include "cluster/link/link.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEEDS 300u
#define MESSAGES 400u
#define BUS_DATAGRAMS_MAX 256u
#define MESSAGE_BYTES_MAX 6000u
#define TIME_MAX_MS 4000000u

struct flying {
	uint64_t due_ms;
	size_t size;
	uint32_t to;
	uint8_t *bytes;
};

struct end {
	struct link link;
	struct random sent; /* makes the bodies of the messages that are sent ... */
	struct random came; /* ... and those that are expected */
	uint32_t sent_count;
	uint32_t came_count;
};

struct play {
	uint32_t seed;
	struct random random;
	uint64_t now_ms;
	struct end ends[2];
	struct flying bus[BUS_DATAGRAMS_MAX];
	uint32_t bus_count;
	uint32_t loss, repeat, late, spoilt; /* of 1000 */
	bool is_torn;
};

static uint8_t scratch[MESSAGE_BYTES_MAX];

static struct slice next_body(struct random *random, uint8_t *kind)
{
	uint32_t size =
		random_below(random, 4) != 0 ? random_below(random, 60) : random_below(random, MESSAGE_BYTES_MAX);
	*kind = (uint8_t)random_next(random);
	for (uint32_t i = 0; i < size; i += 4) {
		uint32_t word = random_next(random);
		memcpy(scratch + i, &word, size - i < 4 ? size - i : 4);
	}
	return slice_of(scratch, size);
}

static void on_message(void *context, uint8_t kind, struct slice body)
{
	struct end *end = context;
	uint8_t wanted_kind;
	struct slice wanted = next_body(&end->came, &wanted_kind);
	assert_int_equal(kind, wanted_kind);
	assert_true(slice_equal(body, wanted));
	end->came_count++;
}

static void drop(struct play *play, uint32_t at)
{
	free(play->bus[at].bytes);
	play->bus[at] = play->bus[--play->bus_count];
}

static void put_on_bus(struct play *play, uint32_t to, struct slice datagram)
{
	uint64_t late_ms = random_below(&play->random, 1000) < play->late ? random_below(&play->random, 400) : 0;
	if (play->is_torn || play->bus_count == BUS_DATAGRAMS_MAX || random_below(&play->random, 1000) < play->loss)
		return;
	uint8_t *bytes = malloc(datagram.size);
	assert_non_null(bytes);
	memcpy(bytes, datagram.data, datagram.size);
	play->bus[play->bus_count++] =
		(struct flying){.due_ms = play->now_ms + 1 + late_ms, .size = datagram.size, .to = to, .bytes = bytes};
	/* drop() frees what is on the bus: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
}

static void send_all(struct play *play, uint32_t from)
{
	struct slice datagram;
	while (link_next_datagram(&play->ends[from].link, play->now_ms, &datagram)) {
		put_on_bus(play, 1 - from, datagram);
		if (random_below(&play->random, 1000) < play->repeat)
			put_on_bus(play, 1 - from, datagram);
	}
}

static void receive_due(struct play *play)
{
	for (uint32_t i = 0; i < play->bus_count;) {
		struct flying *flying = &play->bus[i];
		if (flying->due_ms > play->now_ms) {
			i++;
			continue;
		}
		if (random_below(&play->random, 1000) < play->spoilt)
			flying->bytes[random_below(&play->random, (uint32_t)flying->size)] ^= 1;
		link_receive(&play->ends[flying->to].link, slice_of(flying->bytes, flying->size), play->now_ms);
		/* The order of the rest changes: the bus reorders what is due together. */
		drop(play, i);
	}
}

static void send_some(struct play *play, uint32_t from)
{
	struct end *end = &play->ends[from];
	for (uint32_t count = random_below(&play->random, 12); count != 0 && end->sent_count < MESSAGES; count--) {
		if (link_room(&end->link) == 0)
			return;
		uint8_t kind;
		struct slice body = next_body(&end->sent, &kind);
		struct slice parts[] = {slice_of(body.data, body.size / 3),
					slice_of(body.data + body.size / 3, body.size - body.size / 3)};
		assert_int_equal(link_send(&end->link, kind, parts, 2), ERROR_OK);
		end->sent_count++;
	}
}

/* The bus is away for both, and the ends notice it at different times, or not at all. */
static void tear_or_mend(struct play *play)
{
	if (random_below(&play->random, 200) == 0)
		play->is_torn = !play->is_torn;
	for (uint32_t i = 0; i < 2; i++) {
		if (random_below(&play->random, 100) != 0)
			continue;
		if (play->is_torn)
			link_suspend(&play->ends[i].link);
		else
			link_resume(&play->ends[i].link, play->now_ms);
	}
}

static bool is_done(const struct play *play)
{
	for (uint32_t i = 0; i < 2; i++) {
		if (play->ends[i].came_count < MESSAGES || !link_is_empty(&play->ends[i].link))
			return false;
	}
	return true;
}

static void step(struct play *play)
{
	tear_or_mend(play);
	for (uint32_t i = 0; i < 2; i++) {
		struct link *link = &play->ends[i].link;
		if (random_below(&play->random, 3) == 0)
			send_some(play, i);
		if (link_next_deadline(link) <= play->now_ms)
			link_tick(link, play->now_ms);
		send_all(play, i);
		assert_true(link->buffered_bytes <= 2 * link->limits.buffer_bytes + 2 * MESSAGE_BYTES_MAX);
		assert_true(link->message.capacity <= 2 * MESSAGE_BYTES_MAX + 65536);
	}
	receive_due(play);
	play->now_ms += 1 + random_below(&play->random, 10);
}

static void play_init(struct play *play, uint32_t seed)
{
	static const uint32_t LOSSES[] = {0, 10, 100, 300};
	struct link_limits limits = LINK_LIMITS_DEFAULT;
	*play = (struct play){.seed = seed, .random = {.state = seed * 0x9E3779B97F4A7C15u}, .now_ms = 1};
	play->loss = LOSSES[random_below(&play->random, 4)];
	play->repeat = LOSSES[random_below(&play->random, 4)];
	play->late = LOSSES[random_below(&play->random, 4)];
	play->spoilt = random_below(&play->random, 3) == 0 ? 20 : 0;
	limits.datagram_bytes = random_below(&play->random, 3) == 0 ? 65536 : 110 + random_below(&play->random, 2000);
	limits.window_bytes = 1000 + random_below(&play->random, 20000);
	limits.buffer_bytes = 2000 + random_below(&play->random, 40000);
	limits.message_bytes_max = MESSAGE_BYTES_MAX;
	for (uint32_t i = 0; i < 2; i++) {
		struct end *end = &play->ends[i];
		end->sent.state = play->ends[1 - i].came.state = seed * 77u + i + 1;
		link_init(&end->link, seed * 2ull + i + 1, seed * 2ull + 2 - i, &limits,
			  (struct link_receiver){on_message, end});
	}
}

static void run(uint32_t seed)
{
	struct play play;
	play_init(&play, seed);
	while (!is_done(&play)) {
		step(&play);
		if (play.now_ms > TIME_MAX_MS)
			fail_msg("seed %u: not done after %u ms: loss %u, %u and %u of %u came", seed, TIME_MAX_MS,
				 play.loss, play.ends[0].came_count, play.ends[1].came_count, MESSAGES);
	}
	while (play.bus_count != 0)
		drop(&play, 0);
	for (uint32_t i = 0; i < 2; i++)
		link_fini(&play.ends[i].link);
}

static void test_every_message_comes_once_and_in_order(void **state)
{
	const char *one = getenv("SEED");
	(void)state;
	if (one != NULL) {
		run((uint32_t)strtoul(one, NULL, 10));
		return;
	}
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		/* The last line before a failure names its seed: SEED=n runs it alone. */
		printf("# seed %u\n", seed);
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_message_comes_once_and_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
