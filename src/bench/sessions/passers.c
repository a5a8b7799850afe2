#include "bench/sessions/passers.h"

#include "bench/client/packets.h"
#include "bench/measure/stamp.h"
#include "bench/report/progress.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>

#define IN_PROGRESS_MAX 64u
#define TIMEOUT_NS 20000000000u
#define TURN_MS 10

static void on_visitor_ready(void *owner, uint32_t index)
{
	client_pool_leave(owner, index);
}

bool passers_visit(const struct client_plan *plan, uint32_t count)
{
	struct client_plan visit = *plan;
	struct client_pool pool;
	uint64_t end_ns = clock_now_ns() + TIMEOUT_NS;
	visit.session_expiry_s = 0;
	if (!client_pool_open(&pool, &visit, 0, count))
		return false;
	pool.owner = &pool;
	pool.events.ready = on_visitor_ready;
	while ((pool.started < count || pool.in_progress > 0) && !progress_interrupted()) {
		while (pool.started < count && pool.in_progress < IN_PROGRESS_MAX)
			client_pool_start_next(&pool);
		client_pool_turn(&pool, TURN_MS);
		if (clock_now_ns() > end_ns)
			client_pool_give_up(&pool);
	}
	bool good = losses_total(&pool.losses) == 0;
	client_pool_close(&pool);
	return good;
}

/* Who reads retained messages. */
struct reader {
	struct client_pool pool;
	const struct cast *cast;
	uint64_t *numbers;
	bool is_subscribed;
};

static size_t reader_filter_of(void *owner, uint32_t index, uint8_t *out)
{
	const struct reader *reader = owner;
	CHECK(index == 0);
	return cast_retained_filter(reader->cast, out);
}

/* Retained messages follow SUBACK, and precede the answer to a PINGREQ that follows it. */
static void on_reader_ready(void *owner, uint32_t index)
{
	struct reader *reader = owner;
	reader->is_subscribed = true;
	client_pool_ping(&reader->pool, index);
}

static void on_reader_message(void *owner, uint32_t index, const struct mqtt_publish *publish)
{
	struct reader *reader = owner;
	struct stamp stamp;
	(void)index;
	if (!stamp_read(publish->payload, &stamp) || stamp.publisher < reader->cast->publishers)
		return;
	uint32_t place = stamp.publisher - reader->cast->publishers;
	if (place < reader->cast->retained)
		reader->numbers[place] = stamp.number;
}

bool passers_read_retained(const struct client_plan *plan, const struct cast *cast, uint64_t *numbers)
{
	char prefix[CLIENT_PREFIX_BYTES_MAX + 1];
	struct client_plan look = *plan;
	struct reader reader = {.cast = cast, .numbers = numbers};
	uint64_t end_ns = clock_now_ns() + TIMEOUT_NS;
	snprintf(prefix, sizeof(prefix), "%.50s-look-", plan->client_prefix);
	look.session_expiry_s = 0;
	look.client_prefix = prefix;
	for (uint32_t i = 0; i < cast->retained; i++)
		numbers[i] = UINT64_MAX;
	if (!client_pool_open(&reader.pool, &look, 0, 1))
		return false;
	reader.pool.owner = &reader;
	reader.pool.events = (struct client_events){
		.filter_of = reader_filter_of, .ready = on_reader_ready, .message = on_reader_message};
	client_pool_start_next(&reader.pool);
	while ((reader.pool.in_progress > 0 || reader.pool.pings_pending > 0) && clock_now_ns() < end_ns)
		client_pool_turn(&reader.pool, TURN_MS);
	bool good = reader.is_subscribed && reader.pool.ready == 1 && reader.pool.pings_pending == 0;
	client_pool_leave(&reader.pool, 0);
	client_pool_close(&reader.pool);
	return good;
}
