/* What a shard has beside its arena and goes on with after an upgrade: its clock and timers, its lists of clients, what
 * it has counted, and that queues stopped because memory was short. What contradicts itself is refused. */
#include "shard/freeze/carry.h"

#include "deliver/origin/origin.h"
#include "memory/notes.h"
#include "outliving.h"
#include "peer.h"
#include "shard/freeze/freeze.h"
#include "shard/loop.h"
#include "topics/index/index.h"
#include "topics/index/rcu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define PEERS 20u

struct next_program {
	struct memory_root root;
	struct notes notes;
	struct arena arena;
	struct arena shared;
	struct index *index;
	struct shard *shard;
	struct congestion_board board;
	_Atomic bool origin_takers[2];
};

struct before {
	struct shard_scene *scene;
	struct shard *shard;
	struct far_peer peers[PEERS];
};

static int scene_open(void **state)
{
	struct before *before = calloc(1, sizeof(*before));
	char id[32];
	before->scene = shard_scene_new(1);
	before->shard = &before->scene->shards[0];
	for (uint32_t i = 0; i < PEERS; i++) {
		snprintf(id, sizeof(id), "client %u", i);
		before->peers[i] =
			peer_sign_in(before->scene, PEER_CONNECT(.id = id, .keepalive_s = (uint16_t)(10 + i)), false);
	}
	shard_scene_pass_ms(before->scene, 3000);
	shard_scene_settle(before->scene);
	*state = before;
	return 0;
}

static int scene_close(void **state)
{
	struct before *before = *state;
	before->shard->shared.freeze.resumes = false;
	notes_clear(&before->scene->notes);
	for (uint32_t i = 0; i < PEERS; i++)
		peer_vanish(&before->peers[i]);
	shard_scene_check_empty(before->scene);
	shard_scene_free(before->scene);
	free(before);
	return 0;
}

static void save(struct before *before)
{
	before->shard->shared.freeze.resumes = true;
	assert_int_equal(shard_save_memory(before->shard), ERROR_OK);
	reader_offline();
	assert_int_equal(index_save(before->scene->index, &before->scene->shared), ERROR_OK);
	reader_online();
	assert_int_equal(carry_save(before->shard), ERROR_OK);
}

static void next_open(struct next_program *next, struct before *before)
{
	*next = (struct next_program){0};
	assert_int_equal(memory_root_adopt(&next->root, before->scene->root.fd, 1), ERROR_OK);
	assert_int_equal(notes_adopt(&next->notes, &next->root), ERROR_OK);
	assert_int_equal(arena_find(&next->arena, &next->root, "shard 0"), ERROR_OK);
	assert_int_equal(arena_find(&next->shared, &next->root, "shared"), ERROR_OK);
	next->index = index_new(1, &before->scene->key, &next->shared);
	next->shard = aligned_alloc(64, sizeof(*next->shard));
	assert_true(next->index != NULL && next->shard != NULL);
	memset(next->shard, 0, sizeof(*next->shard));
	next->shard->env = before->shard->env;
	next->shard->env.arena = &next->arena;
	next->shard->env.index = next->index;
	next->shard->env.boards = &next->board;
	next->shard->env.origin_takers = next->origin_takers;
	assert_int_equal(shard_open(next->shard), ERROR_OK);
}

static void next_close(struct next_program *next)
{
	shard_close(next->shard);
	free(next->shard);
	reader_offline();
	index_free(next->index);
	reader_online();
	notes_close(&next->notes);
	assert_int_equal(munmap(next->root.block, sizeof(*next->root.block)), 0);
}

static void assert_same_list(const struct client_list *one, const struct client_list *other)
{
	assert_int_equal(one->count, other->count);
	for (size_t i = 0; i < one->count; i++)
		assert_int_equal(one->items[i].index, other->items[i].index);
}

static void test_goes_on(void **state)
{
	struct before *before = *state;
	struct shard *shard = before->shard;
	/* Two that had more to read, and one whose board others look at. */
	client_list_push(&shard->loop.ready, (struct client_ref){3});
	client_list_push(&shard->loop.ready, (struct client_ref){1});
	client_list_push(&shard->routing.congestion.congested, (struct client_ref){7});
	client_list_push(&shard->routing.congestion.held, (struct client_ref){5});
	atomic_store(&shard->env.boards[0].congested[9], 1);
	shard->routing.congestion.excess_bytes = 77;
	origins_take(shard);
	save(before);
	struct next_program next;
	next_open(&next, before);
	uint64_t sum = outliving_sum(&before->scene->root);
	assert_int_equal(carry_adopt(next.shard), ERROR_OK);
	assert_int_equal(outliving_sum(&before->scene->root), sum); /* until it serves, the first one may go on */
	assert_true(next.shard->shared.freeze.resumes);
	assert_true(origins_are_taken(next.shard) && origins_are_taken_by(next.shard, 0));
	assert_true(shard->loop.wheel.filed >= PEERS);
	assert_int_equal(next.shard->loop.wheel.filed, shard->loop.wheel.filed);
	assert_int_equal(next.shard->loop.wheel.tick, shard->loop.wheel.tick);
	assert_memory_equal(next.shard->loop.wheel.heads, shard->loop.wheel.heads, sizeof(shard->loop.wheel.heads));
	assert_memory_equal(&next.shard->counters, &shard->counters, sizeof(shard->counters));
	assert_int_equal(next.shard->mem.io.read_count, shard->mem.io.read_count);
	assert_int_equal(next.shard->mem.io.bytes_in, shard->mem.io.bytes_in);
	assert_int_equal(next.shard->routing.congestion.excess_bytes, 77);
	assert_int_equal(atomic_load(&next.board.congested[9]), 1);
	assert_same_list(&next.shard->loop.ready, &shard->loop.ready);
	assert_same_list(&next.shard->routing.congestion.congested, &shard->routing.congestion.congested);
	assert_same_list(&next.shard->routing.congestion.held, &shard->routing.congestion.held);
	assert_false(next.shard->mem.loads.starved);
	assert_int_equal(next.shard->guard.review.next, 1); /* rules may be others by now */
	next_close(&next);
	atomic_store(&shard->env.boards[0].congested[9], 0);
	shard->routing.congestion.excess_bytes = 0;
	shard->routing.congestion.congested.count = shard->routing.congestion.held.count = 0;
	shard->loop.ready.count = 0;
}

/* A queue that stopped for want of memory has no load under way, and nothing else need come for it: the next program
 * looks for it, whether a round had begun or not. */
static void test_queues_that_stopped_are_looked_for(void **state)
{
	struct before *before = *state;
	struct body_loads *loads = &before->shard->mem.loads;
	for (int in_round = 0; in_round < 2; in_round++) {
		loads->starved = in_round == 0;
		loads->starved_next = in_round == 0 ? 0 : 5;
		save(before);
		struct next_program next;
		next_open(&next, before);
		assert_int_equal(carry_adopt(next.shard), ERROR_OK);
		assert_true(next.shard->mem.loads.starved);
		assert_int_equal(next.shard->mem.loads.starved_next, 0);
		next_close(&next);
		notes_clear(&before->scene->notes);
	}
	loads->starved = false;
	loads->starved_next = 0;
}

static void test_contradictions_are_refused(void **state)
{
	struct before *before = *state;
	struct shard *shard = before->shard;
	uint32_t touched = shard->mem.clients.touched;
	struct next_program next;
	/* A timer and a client that there is not. */
	uint32_t head = shard->loop.wheel.heads[0];
	for (int in_list = 0; in_list < 2; in_list++) {
		if (in_list)
			client_list_push(&shard->loop.ready, (struct client_ref){touched + 1});
		else
			shard->loop.wheel.heads[0] = touched + 1;
		save(before);
		next_open(&next, before);
		assert_int_equal(carry_adopt(next.shard), ERROR_NOT_FOUND);
		next_close(&next);
		notes_clear(&before->scene->notes);
		shard->loop.wheel.heads[0] = head;
		shard->loop.ready.count = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_queues_that_stopped_are_looked_for, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(test_contradictions_are_refused, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
