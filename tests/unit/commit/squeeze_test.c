/* What is left of a buffer has the same effect as all of it. */
#include "commit/told/squeeze.h"
#include "model_text.h"
#include "store/format/record.h"
#include "toy_shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct store_record kept(uint32_t message, uint8_t qos, uint32_t publisher, uint8_t packet[TOY_PACKET_MAX])
{
	struct publication publication = toy_packet(100 + message, qos, packet);
	struct store_record record = {.kind = STORE_KEPT, .message = message, .publisher = publisher};
	store_record_set_publication(&record, &publication);
	record.body = slice_of(packet, publication.packet_bytes);
	return record;
}

/* Message 10 and those below it lie in the log. */
static bool find_place(void *context, uint32_t message, uint32_t *segment, uint32_t *offset)
{
	(void)context;
	*segment = 7;
	*offset = 100 * message;
	return message <= 10;
}

/* Squeezes the records, and writes what is left as text: kinds, and the names that matter. */
static char *left_of(const struct store_record *records, size_t count)
{
	uint8_t bytes[8192], left[8192];
	size_t size = 0;
	for (size_t i = 0; i < count; i++)
		size += store_record_encode(&records[i], bytes + size);
	struct squeeze_places places = {.find = find_place};
	struct squeeze squeeze = {.places = &places};
	struct squeezed squeezed;
	assert_int_equal(squeeze_run(&squeeze, slice_of(bytes, size), left, &squeezed), ERROR_OK);
	assert_int_equal(squeezed.records_before, count);
	static char text[4096];
	char *at = text;
	*at = '\0';
	uint32_t found = 0;
	for (size_t offset = 0; offset < squeezed.bytes; found++) {
		struct store_record record;
		size_t taken = store_record_decode(slice_of(left + offset, squeezed.bytes - offset), &record);
		assert_true(taken != 0);
		at += sprintf(at, "%s%s %u%s", offset != 0 ? ", " : "", store_kind_name(record.kind),
			      record.session + record.entry + record.message + record.publisher,
			      record.kind == STORE_QUEUED && record.message == 0 ? " without" : "");
		offset += taken;
	}
	assert_int_equal(found, squeezed.records);
	squeeze_fini(&squeeze);
	return text;
}

#define LEFT(...)                                                                                                      \
	left_of((struct store_record[]){__VA_ARGS__},                                                                  \
		sizeof((struct store_record[]){__VA_ARGS__}) / sizeof(struct store_record))
#define KEPT(name, qos, from) kept(name, qos, from, (uint8_t[TOY_PACKET_MAX]){0})
#define QUEUED(s, e, m)                                                                                                \
	(struct store_record)                                                                                          \
	{                                                                                                              \
		.kind = STORE_QUEUED, .session = s, .entry = e, .message = m, .flags = 1                               \
	}
#define ENTRY(k, e)                                                                                                    \
	(struct store_record)                                                                                          \
	{                                                                                                              \
		.kind = STORE_##k, .entry = e                                                                          \
	}
#define SENT(e, id)                                                                                                    \
	(struct store_record)                                                                                          \
	{                                                                                                              \
		.kind = STORE_SENT, .entry = e, .packet_id = id                                                        \
	}
#define FORGOTTEN(m)                                                                                                   \
	(struct store_record)                                                                                          \
	{                                                                                                              \
		.kind = STORE_FORGOTTEN, .message = m                                                                  \
	}

static void leaves_nothing_of_what_was_acknowledged(void **state)
{
	(void)state;
	assert_string_equal(LEFT(KEPT(10, 1, 0), QUEUED(2, 5, 10), ENTRY(DROPPED, 5), FORGOTTEN(10)), "");
	assert_string_equal(LEFT(KEPT(10, 1, 0), QUEUED(2, 5, 10), SENT(5, 1), ENTRY(DONE, 5), FORGOTTEN(10)),
			    "numbered 2");
	/* The last identifier of each session is enough. */
	assert_string_equal(LEFT(KEPT(10, 1, 0), QUEUED(2, 5, 10), QUEUED(3, 6, 10), QUEUED(2, 7, 10), SENT(5, 1),
				 SENT(6, 9), SENT(7, 2), ENTRY(DONE, 5), ENTRY(DONE, 6), ENTRY(DONE, 7), FORGOTTEN(10)),
			    "numbered 3, numbered 2");
}

static void keeps_what_somebody_still_needs(void **state)
{
	(void)state;
	assert_string_equal(LEFT(KEPT(10, 1, 0), QUEUED(2, 5, 10), QUEUED(3, 6, 10), ENTRY(DONE, 5)),
			    "kept 10, queued 19");
	/* Of an entry from before. */
	assert_string_equal(LEFT(SENT(5, 1), ENTRY(DONE, 5), FORGOTTEN(10)), "sent 5, done 5, forgotten 10");
	/* Handed on, and the promise lasts. */
	assert_string_equal(LEFT(KEPT(10, 1, 0), QUEUED(2, 5, 10), ENTRY(HANDED_ON, 5)),
			    "kept 10, queued 17, handed_on 5");
	assert_string_equal(LEFT(KEPT(10, 1, 0), QUEUED(2, 5, 10), ENTRY(HANDED_ON, 5), FORGOTTEN(10)), "");
	/* A promise of a message from before. */
	assert_string_equal(LEFT(QUEUED(2, 5, 10), ENTRY(HANDED_ON, 5), FORGOTTEN(10)),
			    "queued 17, handed_on 5, forgotten 10");
}

static void drops_the_body_of_what_was_released(void **state)
{
	(void)state;
	assert_string_equal(LEFT(KEPT(10, 2, 0), QUEUED(2, 5, 10), SENT(5, 1), ENTRY(RELEASED, 5), FORGOTTEN(10)),
			    "queued 7 without, sent 5, released 5");
}

static void leaves_nothing_of_a_publisher_but_what_is_told_of_it(void **state)
{
	(void)state;
	assert_string_equal(LEFT(KEPT(10, 2, 4), QUEUED(2, 5, 10), ENTRY(DROPPED, 5), FORGOTTEN(10)), "");
	assert_string_equal(LEFT(KEPT(10, 1, 4), QUEUED(2, 5, 10), ENTRY(DONE, 5), FORGOTTEN(10)), "");
	struct store_record taken = {
		.kind = STORE_RECEIVED_FROM, .publisher = 4, .packet_id = 7, .text = slice_string("c")};
	assert_string_equal(LEFT(taken, KEPT(10, 2, 4), FORGOTTEN(10)), "received_from 4");
}

static void follows_names_that_move_and_are_used_again(void **state)
{
	(void)state;
	struct store_record moved = {.kind = STORE_MOVED, .entry = 5, .entry_to = 8};
	assert_string_equal(LEFT(KEPT(10, 1, 0), QUEUED(2, 5, 10), moved, ENTRY(DONE, 8), FORGOTTEN(10)), "");
	assert_string_equal(LEFT(moved, ENTRY(DONE, 8)), "moved 5, done 8");
	assert_string_equal(LEFT(FORGOTTEN(10), KEPT(10, 1, 0), QUEUED(2, 5, 10), ENTRY(DONE, 5), FORGOTTEN(10)),
			    "forgotten 10");
	/* The first life of the entry ended with its session. */
	struct store_record ended = {.kind = STORE_ENDED, .session = 2};
	assert_string_equal(LEFT(KEPT(10, 1, 0), QUEUED(2, 5, 10), ended, QUEUED(3, 5, 10), ENTRY(DONE, 5)),
			    "kept 10, queued 17, ended 2");
}

static void leaves_alone_what_a_checkpoint_tells(void **state)
{
	(void)state;
	struct store_record again = QUEUED(2, 5, 10);
	again.flags |= STORE_FLAG_AGAIN;
	assert_string_equal(LEFT(again, SENT(5, 3), ENTRY(DONE, 5)), "queued 17, sent 5, done 5");
	struct store_record kept_again = KEPT(10, 1, 0);
	kept_again.flags |= STORE_FLAG_AGAIN;
	kept_again.message = 11;
	assert_string_equal(LEFT(kept_again, FORGOTTEN(11)), "kept 11, forgotten 11");
}

/* The body of a message that is told again is not written again where it lies in the log. */
static void names_the_place_of_what_is_told_again(void **state)
{
	(void)state;
	struct store_record again = KEPT(10, 1, 0);
	again.flags |= STORE_FLAG_AGAIN;
	assert_string_equal(LEFT(again, QUEUED(2, 5, 10)), "kept_at 10, queued 17");
	assert_string_equal(LEFT(again, FORGOTTEN(10)), "kept_at 10, forgotten 10");
	/* What lies there is another message of this name. */
	assert_string_equal(LEFT(FORGOTTEN(10), KEPT(10, 1, 0), QUEUED(2, 5, 10), again),
			    "forgotten 10, kept 10, queued 17, kept 10");
	assert_string_equal(LEFT(KEPT(10, 1, 0), QUEUED(2, 5, 10)), "kept 10, queued 17");
}

/* The entries of one message for many sessions are one record. */
static void joins_what_one_message_is_queued_for(void **state)
{
	(void)state;
	static uint8_t bytes[1 << 20], left[1 << 20];
	for (unsigned scatter = 0; scatter < 3; scatter++) {
		struct store_record queued = QUEUED(70000, 90000, 80000);
		size_t size = 0;
		unsigned seed = 1;
		static struct store_record told[40000];
		for (uint32_t i = 0; i < 40000; i++) {
			told[i] = queued;
			size += store_record_encode(&queued, bytes + size);
			queued.session += 2 + (scatter != 0 ? (uint32_t)rand_r(&seed) % 5 : 0);
			queued.entry += scatter == 2 ? (uint32_t)rand_r(&seed) % 3000 : 1;
		}
		struct squeeze squeeze = {.mark_count = 0};
		struct squeezed squeezed;
		assert_int_equal(squeeze_run(&squeeze, slice_of(bytes, size), left, &squeezed), ERROR_OK);
		assert_int_equal(squeezed.records, 3);
		static const size_t MOST[] = {100, 2 * 40000 + 100, 3 * 40000 + 100};
		assert_true(squeezed.bytes < MOST[scatter]);
		uint32_t found = 0;
		for (size_t at = 0; at < squeezed.bytes;) {
			struct store_record record;
			struct store_run run;
			at += store_record_decode(slice_of(left + at, squeezed.bytes - at), &record);
			assert_int_equal(record.kind, STORE_QUEUED_RUN);
			store_run_open(&run, &record);
			while (store_run_next(&run, &queued)) {
				const struct store_record *expected = &told[found++];
				assert_true(queued.session == expected->session && queued.entry == expected->entry &&
					    queued.message == expected->message && queued.flags == expected->flags);
			}
		}
		assert_int_equal(found, 40000);
		squeeze_fini(&squeeze);
	}
}

static void joins_only_what_is_alike(void **state)
{
	(void)state;
#define WIDE(s, e, m) QUEUED(70000 + s, 80000 + e, 90000 + m)
	struct store_record shared = WIDE(3, 3, 0), other = WIDE(4, 4, 0);
	shared.flags |= STORE_FLAG_SHARED;
	other.identifier = 7;
	assert_string_equal(LEFT(WIDE(1, 1, 0), WIDE(2, 2, 0), shared, other, WIDE(5, 5, 0), WIDE(6, 6, 1)),
			    "queued_run 240002, queued 240006, queued 240008, queued 240010, queued 240013");
	/* What goes is no gap. */
	assert_string_equal(LEFT(WIDE(1, 1, 0), WIDE(2, 2, 0), WIDE(3, 3, 0), WIDE(4, 4, 0), ENTRY(DROPPED, 80002)),
			    "queued_run 240002");
	/* Steps that are too far apart are records of their own. */
	assert_string_equal(LEFT(WIDE(1, 1, 0), WIDE(2, 1073741824u, 0)), "queued 240002, queued 1073981826");
}

static void refuses_what_are_no_records(void **state)
{
	(void)state;
	struct squeeze squeeze = {0};
	struct squeezed squeezed;
	uint8_t to[8];
	assert_int_equal(squeeze_run(&squeeze, slice_of("\x12", 1), to, &squeezed), ERROR_SYSTEM);
	assert_int_equal(squeeze_run(&squeeze, slice_of("", 0), to, &squeezed), ERROR_OK);
	assert_true(squeezed.only_numbered && squeezed.records == 0);
	squeeze_fini(&squeeze);
}

/* ---- random journals ---- */

static uint32_t body_of_place(void *context, const struct model_message *message)
{
	const uint32_t *bodies = context;
	return bodies[message->place.offset];
}

/* Returns how many runs there were. */
static uint32_t apply_all(struct model *model, struct slice records, uint32_t *bodies, uint32_t *body_count)
{
	uint32_t runs = 0;
	while (records.size != 0) {
		struct store_record record;
		size_t size = store_record_decode(records, &record);
		assert_true(size != 0);
		struct store_place place = {.segment = 1, .offset = *body_count};
		if (record.kind == STORE_KEPT) {
			struct publication publication = store_record_publication(&record);
			bodies[(*body_count)++] = toy_body(record.body.data, &publication);
		}
		assert_int_equal(model_apply(model, 0, &record, place), ERROR_OK);
		records = slice_of(records.data + size, records.size - size);
		runs += record.kind == STORE_QUEUED_RUN;
	}
	return runs;
}

static void means_the_same_after_random_turns(void **state)
{
	(void)state;
	uint64_t records_before = 0, records = 0, runs = 0;
	for (unsigned seed = 1; seed <= 300; seed++) {
		struct sleeper sleeper = {0};
		struct store_common common = {.buffer_bytes_max = UINT64_MAX};
		struct store_shard store = {.common = &common, .writer = &sleeper}, plain = store;
		assert_int_equal(buffers_init(&store.buffers), ERROR_OK);
		assert_int_equal(buffers_init(&plain.buffers), ERROR_OK);
		assert_int_equal(connected_init(&store.connected, NULL, 0), ERROR_OK);
		assert_int_equal(connected_init(&plain.connected, NULL, 0), ERROR_OK);
		struct toy_retained retained = {0};
		static struct toy_shard toy;
		toy_shard_init(&toy, &store, &plain, seed, &retained);
		toy.loose = true;
		struct model *whole = model_new(), *squeezed_model = model_new();
		assert_int_equal(model_begin_epoch(whole, 1), ERROR_OK);
		assert_int_equal(model_begin_epoch(squeezed_model, 1), ERROR_OK);
		static uint32_t bodies[2][100000];
		uint32_t body_counts[2] = {1, 1};
		struct squeeze squeeze = {0};
		for (unsigned commit = 0; commit < 12; commit++) {
			for (unsigned turns = 1 + seed % 7 + commit % 3; turns > 0; turns--)
				toy_shard_turn(&toy, 1 + (seed + turns) % 23);
			struct buffer *buffer = buffers_take(&store.buffers);
			struct slice told = slice_of(buffer->region.base, buffer->size);
			uint8_t *left = malloc(told.size + 1);
			struct squeezed squeezed;
			assert_int_equal(squeeze_run(&squeeze, told, left, &squeezed), ERROR_OK);
			assert_int_equal(squeezed.records_before, buffer->records);
			apply_all(whole, told, bodies[0], &body_counts[0]);
			runs += apply_all(squeezed_model, slice_of(left, squeezed.bytes), bodies[1], &body_counts[1]);
			records_before += squeezed.records_before;
			records += squeezed.records;
			free(left);
			buffers_give(&store.buffers, buffer);
		}
		assert_int_equal(model_finish(whole), ERROR_OK);
		assert_int_equal(model_finish(squeezed_model), ERROR_OK);
		char *texts[2] = {model_text(whole, true, body_of_place, bodies[0]),
				  model_text(squeezed_model, true, body_of_place, bodies[1])};
		assert_string_equal(texts[0], texts[1]);
		free(texts[0]);
		free(texts[1]);
		model_free(&whole);
		model_free(&squeezed_model);
		squeeze_fini(&squeeze);
		buffers_fini(&store.buffers);
		buffers_fini(&plain.buffers);
		connected_fini(&store.connected);
		connected_fini(&plain.connected);
	}
	/* Otherwise the test has tested nothing. */
	assert_true(records < records_before / 10 * 9 && runs > 100);
}

/* Journals that keep no contract: what is left is sound all the same. */
static void survives_events_in_any_order(void **state)
{
	(void)state;
	static const enum store_kind KINDS[] = {STORE_KEPT,     STORE_FORGOTTEN, STORE_QUEUED,   STORE_SENT,
						STORE_RELEASED, STORE_DONE,      STORE_DROPPED,  STORE_HANDED_ON,
						STORE_MOVED,    STORE_WILL_SET,  STORE_QUEUED,   STORE_NUMBERED,
						STORE_ENDED,    STORE_RECEIVED,  STORE_COMPLETED};
	unsigned seed = 1;
	struct squeeze squeeze = {0};
	for (int round = 0; round < 20000; round++) {
		uint8_t bytes[8192], left[8192], packet[TOY_PACKET_MAX];
		size_t size = 0;
		for (int i = 0; i < 30 && size < sizeof(bytes) - 1000; i++) {
			uint32_t name = (uint32_t)rand_r(&seed) % 3 << rand_r(&seed) % 30;
			uint32_t other = (uint32_t)rand_r(&seed) % 3 << rand_r(&seed) % 30;
			struct store_record record = kept(name, (uint8_t)(rand_r(&seed) % 3), other, packet);
			enum store_kind kind = KINDS[(size_t)rand_r(&seed) / 3 % (sizeof(KINDS) / sizeof(KINDS[0]))];
			if (kind != STORE_KEPT)
				record = (struct store_record){.kind = kind,
							       .session = other,
							       .entry = name,
							       .entry_to = other,
							       .message = name,
							       .packet_id = name % 60000};
			size += store_record_encode(&record, bytes + size);
		}
		struct squeezed squeezed;
		assert_int_equal(squeeze_run(&squeeze, slice_of(bytes, size), left, &squeezed), ERROR_OK);
		assert_true(squeezed.bytes <= size);
		for (size_t at = 0; at < squeezed.bytes; squeezed.records--) {
			struct store_record record;
			size_t taken = store_record_decode(slice_of(left + at, squeezed.bytes - at), &record);
			assert_true(taken != 0);
			at += taken;
		}
		assert_int_equal(squeezed.records, 0);
	}
	squeeze_fini(&squeeze);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_nothing_of_what_was_acknowledged),
		cmocka_unit_test(keeps_what_somebody_still_needs),
		cmocka_unit_test(drops_the_body_of_what_was_released),
		cmocka_unit_test(leaves_nothing_of_a_publisher_but_what_is_told_of_it),
		cmocka_unit_test(follows_names_that_move_and_are_used_again),
		cmocka_unit_test(leaves_alone_what_a_checkpoint_tells),
		cmocka_unit_test(names_the_place_of_what_is_told_again),
		cmocka_unit_test(joins_what_one_message_is_queued_for),
		cmocka_unit_test(joins_only_what_is_alike),
		cmocka_unit_test(refuses_what_are_no_records),
		cmocka_unit_test(survives_events_in_any_order),
		cmocka_unit_test(means_the_same_after_random_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
