/* What a shard keeps for a store beside its arena, from one program to the next: claims of publishers, and how far a
 * checkpoint is. */
#include "../outliving.h"
#include "deliver/resumed.h"
#include "lifecycle/stored/retell.h"
#include "state/shard.h"
#include "store/model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 2u

/* ---- claims ---- */

struct heard {
	char text[4096];
	size_t size;
};

static void hear_begin(void *context, int64_t wall_s)
{
	(void)context, (void)wall_s;
}

static void hear_taken(void *context, const struct journal_taken *told)
{
	struct heard *heard = context;
	heard->size += (size_t)snprintf(heard->text + heard->size, sizeof(heard->text) - heard->size,
					"%u/%u id %u: %s%.*s\n", told->publisher.shard, told->publisher.session.index,
					told->packet_id, told->is_group ? "group " : "", (int)told->receiver.size,
					(const char *)told->receiver.data);
}

static void hear_completed(void *context, struct client_ref session, uint16_t packet_id)
{
	(void)context, (void)session, (void)packet_id;
}

static const struct journal_events EVENTS = {.begin = hear_begin, .taken = hear_taken, .completed = hear_completed};

static struct shard *new_shards(struct heard *heard)
{
	struct shard *shards = aligned_alloc(64, SHARDS * sizeof(*shards));
	memset(shards, 0, SHARDS * sizeof(*shards));
	for (uint16_t i = 0; i < SHARDS; i++) {
		shards[i].env.number = i;
		shards[i].env.shard_count = SHARDS;
		shards[i].sessions.journal = (struct journal){.events = &EVENTS, .context = heard};
	}
	return shards;
}

static void free_shards(struct shard *shards)
{
	for (uint16_t i = 0; i < SHARDS; i++)
		resumed_close(&shards[i]);
	free(shards);
}

/* The claims that are open, as a checkpoint tells them. */
static const char *claims_of(struct shard *shards, struct heard *heard)
{
	heard->size = 0;
	heard->text[0] = '\0';
	for (uint16_t i = 0; i < SHARDS; i++) {
		for (uint32_t session = 1; session < 5; session++)
			resumed_tell(&shards[i], (struct client_ref){session}, 1);
	}
	return heard->text;
}

static void claim(struct resumed_list *lists, uint16_t shard, uint32_t session, uint16_t packet_id,
		  const char *receiver)
{
	struct model_claim claim = {
		.receiver = slice_string(receiver), .packet_id = packet_id, .is_group = receiver[0] == '$'};
	assert_int_equal(resumed_list_add(&lists[shard], shard, (struct client_ref){session}, &claim), ERROR_OK);
}

static void claims_go_on(void **state)
{
	(void)state;
	struct heard heard;
	struct outliving outliving;
	struct arena arena, next_arena;
	struct shard *shards = new_shards(&heard), *next = new_shards(&heard);
	struct resumed_list *lists = calloc(SHARDS, sizeof(*lists));
	claim(lists, 0, 1, 7, "a");
	claim(lists, 0, 1, 7, "$share/g/t");
	claim(lists, 0, 1, 8, "");
	claim(lists, 0, 2, 7, "b");
	claim(lists, 1, 1, 7, "somebody with a longer name");
	claim(lists, 1, 4, 65535, "c");
	assert_int_equal(resumed_make(lists, shards, SHARDS), ERROR_OK);
	resumed_lists_free(&lists, SHARDS);
	/* One has ended, and of one the end is not safe yet. */
	resumed_end(&shards[0], (struct client_ref){1}, 8);
	char before[4096];
	snprintf(before, sizeof(before), "%s", claims_of(shards, &heard));
	assert_non_null(strstr(before, "0/1 id 7: group $share/g/t\n"));
	assert_null(strstr(before, "id 8"));
	outliving_open(&outliving);
	assert_int_equal(arena_open(&arena, &outliving.root, "shared"), ERROR_OK);
	assert_int_equal(resumed_save(shards, &arena), ERROR_OK);
	outliving_adopt(&outliving, &next_arena, "shared");
	assert_int_equal(resumed_adopt(next, SHARDS, &next_arena), ERROR_OK);
	assert_string_equal(claims_of(next, &heard), before);
	/* They are open still, and end as they would have. */
	assert_int_equal(resumed_publish(&next[0], (struct client_ref){1}, 7, true), RESUMED_AGAIN);
	assert_int_equal(resumed_publish(&next[0], (struct client_ref){1}, 8, true), RESUMED_NOT);
	assert_int_equal(resumed_publish(&next[1], (struct client_ref){4}, 65535, false), RESUMED_NOT);
	assert_null(strstr(claims_of(next, &heard), "65535"));
	resumed_end_session(&next[0], (struct client_ref){1});
	assert_null(strstr(claims_of(next, &heard), "0/1"));
	outliving_check_unchanged(&outliving);
	free_shards(next);
	free_shards(shards);
	outliving_close(&outliving);
}

static void without_claims_there_is_nothing(void **state)
{
	(void)state;
	struct heard heard;
	struct outliving outliving;
	struct arena arena, next_arena;
	struct shard *shards = new_shards(&heard);
	outliving_open(&outliving);
	assert_int_equal(arena_open(&arena, &outliving.root, "shared"), ERROR_OK);
	assert_int_equal(resumed_adopt(shards, SHARDS, &arena), ERROR_NOT_FOUND);
	assert_int_equal(resumed_save(shards, &arena), ERROR_OK);
	outliving_adopt(&outliving, &next_arena, "shared");
	assert_int_equal(resumed_adopt(shards, SHARDS, &next_arena), ERROR_OK);
	assert_null(shards[0].sessions.resumed);
	free_shards(shards);
	outliving_close(&outliving);
}

/* What contradicts itself is refused: a note that is cut, of other shards, in another order. */
static void wrong_claims_are_refused(void **state)
{
	(void)state;
	struct heard heard;
	struct outliving outliving;
	struct arena arena;
	struct shard *shards = new_shards(&heard), *next = new_shards(&heard);
	struct resumed_list *lists = calloc(SHARDS, sizeof(*lists));
	claim(lists, 0, 1, 7, "a");
	claim(lists, 1, 1, 7, "b");
	assert_int_equal(resumed_make(lists, shards, SHARDS), ERROR_OK);
	resumed_lists_free(&lists, SHARDS);
	outliving_open(&outliving);
	assert_int_equal(arena_open(&arena, &outliving.root, "shared"), ERROR_OK);
	assert_int_equal(resumed_save(shards, &arena), ERROR_OK);
	struct slice kept;
	assert_true(arena_get(&arena, "resumed", &kept));
	uint8_t *bytes = (uint8_t *)(uintptr_t)kept.data;
	assert_int_equal(resumed_adopt(next, 1, &arena), ERROR_NOT_FOUND); /* shard 1 */
	for (size_t i = 0; i < 2; i++) {
		size_t half = (kept.size - 2) / 2; /* two heads, and a text of one byte each */
		uint8_t *head = bytes + i * half;
		uint8_t good[64];
		memcpy(good, head, half);
		head[7] = i == 0 ? 1 : 0; /* its shard: the order is another one, or there are two of a key */
		head[2] = 1;
		if (i == 0)
			assert_int_equal(resumed_adopt(next, SHARDS, &arena), ERROR_NOT_FOUND);
		memcpy(head, good, half);
		head[16]++; /* the length of its text */
		assert_int_equal(resumed_adopt(next, SHARDS, &arena), ERROR_NOT_FOUND);
		memcpy(head, good, half);
		head[21] = 2; /* its state: it has ended */
		assert_int_equal(resumed_adopt(next, SHARDS, &arena), ERROR_NOT_FOUND);
		memcpy(head, good, half);
	}
	assert_int_equal(resumed_adopt(next, SHARDS, &arena), ERROR_OK);
	free_shards(next);
	free_shards(shards);
	outliving_close(&outliving);
}

/* ---- a checkpoint that is under way ---- */

static struct shard *new_teller(struct arena *arena)
{
	struct shard *shard = aligned_alloc(64, sizeof(*shard));
	memset(shard, 0, sizeof(*shard));
	shard->env.shard_count = SHARDS;
	shard->env.arena = arena;
	shard->mem.clients.touched = 100;
	assert_int_equal(retell_open(shard), ERROR_OK);
	shard->routing.outbox.peers = calloc(SHARDS, sizeof(*shard->routing.outbox.peers));
	return shard;
}

static void free_teller(struct shard *shard)
{
	free(shard->routing.outbox.peers);
	retell_close(shard);
	free(shard);
}

static void a_checkpoint_goes_on_where_it_was(void **state)
{
	(void)state;
	struct outliving outliving;
	struct arena arena, next_arena;
	outliving_open(&outliving);
	assert_int_equal(arena_open(&arena, &outliving.root, "shard 0"), ERROR_OK);
	struct shard *shard = new_teller(&arena), *next = new_teller(&next_arena);
	uint32_t *marks = shard->sessions.retell.marks;
	shard->sessions.retell = (struct retell){.number = 3,
						 .next = 17,
						 .last = 99,
						 .walk = {.node = 12},
						 .stage = RETELL_ARRIVING,
						 .is_retained_told = true,
						 .own_until = 5,
						 .marks = marks,
						 .begun = 2,
						 .has_run = true,
						 .all_begun = true};
	/* The outbox of this program has opened more batches than that of the next will for long. */
	marks[0] = marks[1] = shard->routing.outbox.peers[1].opened = 1000;
	assert_int_equal(retell_save(shard), ERROR_OK);
	outliving_adopt(&outliving, &next_arena, "shard 0");
	assert_int_equal(retell_adopt(next), ERROR_OK);
	const struct retell *retell = &next->sessions.retell;
	for (uint16_t to = 0; to < SHARDS; to++)
		assert_true(outbox_has_arrived(&next->routing.outbox, to, retell->marks[to]));
	struct retell expected = shard->sessions.retell, got = *retell;
	expected.marks = got.marks = NULL;
	assert_int_equal(got.number, expected.number);
	assert_int_equal(got.next, expected.next);
	assert_int_equal(got.last, expected.last);
	assert_int_equal(got.walk.node, expected.walk.node);
	assert_int_equal(got.stage, expected.stage);
	assert_int_equal(got.own_until, expected.own_until);
	assert_int_equal(got.begun, expected.begun);
	assert_true(got.is_retained_told && got.has_run && got.all_begun);
	outliving_check_unchanged(&outliving);
	/* Of more clients than there are. */
	next->mem.clients.touched = 98;
	assert_int_equal(retell_adopt(next), ERROR_NOT_FOUND);
	free_teller(next);
	free_teller(shard);
	outliving_close(&outliving);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claims_go_on), cmocka_unit_test(without_claims_there_is_nothing),
		cmocka_unit_test(wrong_claims_are_refused), cmocka_unit_test(a_checkpoint_goes_on_where_it_was)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
