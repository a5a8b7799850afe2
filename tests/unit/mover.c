#include "mover.h"

#include "lifecycle/end.h"
#include "lifecycle/packed/pack.h"
#include "lifecycle/packed/unpack.h"
#include "shard_scene.h"
#include "state/ending.h"
#include "state/extension.h"
#include "state/offline.h"
#include "store/format/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define WAIT_MS 1000u

void mover_open(struct shard_scene *scene)
{
	for (uint16_t i = 0; i < SCENE_SHARDS_MAX; i++) {
		if (scene->shards[i].sessions.moves == NULL && i < scene->shard_count)
			assert_non_null(scene->shards[i].sessions.moves = moves_new());
	}
}

void mover_close(struct shard_scene *scene)
{
	for (uint16_t i = 0; i < scene->shard_count; i++) {
		moves_free(scene->shards[i].sessions.moves);
		scene->shards[i].sessions.moves = NULL;
	}
}

static struct shard *shard_of(struct shard_scene *scene, uint16_t shard)
{
	mover_open(scene);
	return &scene->shards[shard];
}

static uint64_t number_next;

bool mover_begin(struct shard_scene *scene, uint16_t number, const char *id, struct move **move)
{
	struct shard *shard = shard_of(scene, number);
	uint64_t hash = hash_slice(&scene->key, slice_string(id));
	struct client_ref ref = registry_find(&shard->sessions.registry, (uint32_t)hash, slice_string(id));
	if (client_ref_is_none(ref))
		return false;
	struct client *client = shard_client(shard, ref);
	const struct extension *extension = extension_of(shard, client);
	if (extension == NULL || extension->expiry_s == 0 ||
	    (client->state == CLIENT_OFFLINE && offline_is_over(shard, extension)))
		return false;
	if (client->state != CLIENT_OFFLINE) {
		client_end(shard, ref, ERROR_TAKEN_OVER);
		end_for_take_over(shard, ref);
	}
	if (client->state != CLIENT_OFFLINE || client->session.id == 0 ||
	    offline_is_over(shard, extension_of(shard, client)))
		return false;
	offline_halt(shard, ref);
	assert_non_null(*move = moves_add(shard->sessions.moves, ++number_next, ref, MOVE_AWAY));
	pack_begin(shard, *move, WAIT_MS);
	return true;
}

void mover_pack(struct shard_scene *scene, uint16_t number, struct move *move, size_t slice, struct bytes *out)
{
	struct shard *shard = shard_of(scene, number);
	for (uint32_t tries = 0; tries < 1000000; tries++) {
		struct bytes part = {0};
		enum pack_progress progress = pack_some(shard, move, &part, slice, UINT64_MAX);
		assert_false(part.failed);
		if (part.size != 0)
			bytes_append(out, part.data, part.size);
		bytes_free(&part);
		if (progress == PACK_MORE)
			continue;
		if (pack_is_whole(move))
			return;
		shard_scene_turn_one(scene, number);
		if (tries % 16 == 15)
			shard_scene_pass_ms(scene, WAIT_MS);
	}
	fail_msg("the session is never whole: %d, %d", (int)move->pack.stage, (int)shard->mem.loads.under_way);
}

void mover_let_go(struct shard_scene *scene, uint16_t number, struct move *move)
{
	struct shard *shard = shard_of(scene, number);
	struct client_ref ref = move->client;
	moves_remove(shard->sessions.moves, move);
	end_moved(shard, ref);
}

enum error mover_unpack(struct shard_scene *scene, uint16_t number, const char *id, struct slice bytes, size_t slice,
			struct move **move)
{
	struct shard *shard = shard_of(scene, number);
	uint64_t hash = hash_slice(&scene->key, slice_string(id));
	enum error error = ERROR_OK;
	if (*move == NULL)
		error = unpack_begin(shard, ++number_next, slice_string(id), hash, move);
	while (error == ERROR_OK && bytes.size != 0) {
		size_t taken;
		uint64_t until = shard->loop.work.spent + slice / 64 + 1;
		error = unpack_some(shard, *move, bytes, until, &taken);
		bytes = slice_of(bytes.data + taken, bytes.size - taken);
	}
	return error;
}

/* ---- comparing ---- */

struct lines {
	char *texts[4096];
	size_t count;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The records in words, but for what is named by the order in which subscriptions are told. */
static void read_lines(struct slice bytes, struct lines *lines)
{
	struct store_record record;
	lines->count = 0;
	for (size_t at = PACK_HEAD_BYTES, size; at < bytes.size; at += size) {
		size = store_record_decode(slice_of(bytes.data + at, bytes.size - at), &record);
		assert_int_not_equal(size, 0);
		char text[512];
		record.subscription = 0;
		store_record_format(&record, text, sizeof(text));
		assert_true(lines->count < 4096);
		assert_non_null(lines->texts[lines->count++] = strdup(text));
	}
	qsort(lines->texts, lines->count, sizeof(lines->texts[0]), by_text);
}

static void free_lines(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->texts[i]);
}

static void compare(struct slice before, struct slice after)
{
	static struct lines a;
	static struct lines b;
	read_lines(before, &a);
	read_lines(after, &b);
	for (size_t i = 0; i < a.count && i < b.count; i++)
		assert_string_equal(a.texts[i], b.texts[i]);
	assert_int_equal(a.count, b.count);
	free_lines(&a);
	free_lines(&b);
}

bool mover_move(struct shard_scene *scene, uint16_t number, const char *id, size_t slice)
{
	struct move *move = NULL;
	struct bytes before = {0};
	struct bytes after = {0};
	struct shard *shard = shard_of(scene, number);
	if (!mover_begin(scene, number, id, &move))
		return false;
	mover_pack(scene, number, move, slice, &before);
	mover_let_go(scene, number, move);
	move = NULL;
	assert_int_equal(mover_unpack(scene, number, id, bytes_slice(&before), slice, &move), ERROR_OK);
	assert_true(unpack_is_whole(move));
	struct client_ref ref = move->client;
	unpack_end(shard, move);
	assert_non_null(move = moves_add(shard->sessions.moves, ++number_next, ref, MOVE_AWAY));
	pack_begin(shard, move, 0);
	offline_halt(shard, ref);
	mover_pack(scene, number, move, slice, &after);
	moves_remove(shard->sessions.moves, move);
	const struct extension *extension = extension_of(shard, shard_client(shard, ref));
	offline_again(shard, ref, extension->ends_at_s, extension->will_at_s);
	compare(bytes_slice(&before), bytes_slice(&after));
	bytes_free(&before);
	bytes_free(&after);
	shard_scene_turn_one(scene, number); /* for the journal this was one turn */
	return true;
}
