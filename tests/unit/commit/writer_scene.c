#include "writer_scene.h"

#include "../tries.h"
#include "model_text.h"
#include "store/format/record.h"
#include "store/model/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define LAYOUT 9u

static void scene_open_memory(struct scene *scene)
{
	struct scene_memory *memory = scene->memory;
	*memory = (struct scene_memory){.arena = {0}};
	assert_int_equal(memory_root_open(&memory->root, LAYOUT), ERROR_OK);
	assert_int_equal(notes_open(&memory->notes, &memory->root), ERROR_OK);
	assert_int_equal(arena_open(&memory->arena, &memory->root, "store"), ERROR_OK);
}

static void scene_forget_next(struct scene_memory *memory)
{
	if (memory->next.block == NULL)
		return;
	notes_close(&memory->next_notes);
	assert_int_equal(munmap(memory->next.block, sizeof(*memory->next.block)), 0);
	memory->next.block = NULL;
}

static void scene_close_memory(struct scene *scene)
{
	scene_forget_next(scene->memory);
	notes_close(&scene->memory->notes);
	memory_root_close(&scene->memory->root);
}

static struct store_shard *new_shards(struct store_common *common, struct sleeper *sleeper)
{
	common->buffer_bytes_max = 1u << 20;
	common->shards = aligned_alloc(_Alignof(struct store_shard), SCENE_SHARDS * sizeof(struct store_shard));
	memset(common->shards, 0, SCENE_SHARDS * sizeof(struct store_shard));
	for (uint16_t i = 0; i < SCENE_SHARDS; i++) {
		common->shards[i].number = i;
		common->shards[i].common = common;
		common->shards[i].writer = sleeper;
		assert_int_equal(buffers_init(&common->shards[i].buffers), ERROR_OK);
		assert_int_equal(connected_init(&common->shards[i].connected, NULL, i), ERROR_OK);
	}
	common->shard_count = SCENE_SHARDS;
	return common->shards;
}

/* The store's shards and bodies in new memory; the buffers stay where they are. */
static void scene_open_parts(struct scene *scene)
{
	scene_open_memory(scene);
	scene->store->settings.arena = &scene->memory->arena;
	assert_int_equal(commit_bodies_init(&scene->store->bodies, SCENE_SHARDS, &scene->memory->arena), ERROR_OK);
	for (uint16_t i = 0; i < SCENE_SHARDS; i++)
		assert_int_equal(connected_init(&scene->shards[i].connected, &scene->memory->arena, i), ERROR_OK);
}

static void start_writer(struct scene *scene, const struct replay *replay)
{
	struct writer_start start = {.common = &scene->store->common,
				     .settings = &scene->store->settings,
				     .figures = &scene->store->figures,
				     .bodies = &scene->store->bodies,
				     .disk = &scene->sim->disk,
				     .trail = &scene->store->trail,
				     .store_id = scene->store->identity.id,
				     .epoch = replay->highest_epoch + 1,
				     .next_segment = replay->highest_segment + 1,
				     .next_commit = replay->last_commit + 1,
				     .wall_s = replay->wall_s};
	assert_int_equal(writer_init(&scene->store->writer, &start), ERROR_OK);
	scene->store->has_started = true;
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		scene->store->writer.shards[i].taken = scene->shards[i].buffers.number;
}

struct scene *scene_new(unsigned seed, enum store_durability durability, uint64_t segment_bytes,
			uint64_t checkpoint_bytes)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const char *why;
	scene->expected = calloc(1, sizeof(*scene->expected));
	scene->seed = seed;
	scene->sim = sim_disk_new();
	scene->store = calloc(1, sizeof(*scene->store));
	scene->store->disk = &scene->sim->disk;
	scene->memory = calloc(1, sizeof(*scene->memory));
	assert_int_equal(store_identity_make(&scene->sim->disk, &scene->store->identity, &why), ERROR_OK);
	scene->store->settings = (struct store_settings){.durability = durability,
							 .sync_interval_ms = 1000,
							 .segment_bytes = segment_bytes,
							 .checkpoint_bytes = checkpoint_bytes,
							 .buffer_bytes_max = 1u << 20,
							 .shard_count = SCENE_SHARDS,
							 .is_followed = true};
	trail_init(&scene->store->trail, &scene->store->writer.sleeper);
	scene->shards = new_shards(&scene->store->common, &scene->store->writer.sleeper);
	scene->plain = new_shards(&scene->plain_common, &scene->sleeper);
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		connected_fini(&scene->shards[i].connected);
	scene_open_parts(scene);
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		toy_shard_init(&scene->toys[i], &scene->shards[i], &scene->plain[i], seed * 31 + i, &scene->retained);
	scene->epoch = 1;
	start_writer(scene, &(struct replay){.highest_epoch = 0});
	assert_int_equal(writer_begin(&scene->store->writer), 0);
	return scene;
}

void scene_free(struct scene *scene)
{
	writer_fini(&scene->store->writer);
	commit_bodies_fini(&scene->store->bodies);
	for (uint32_t i = 0; i < SCENE_SHARDS; i++) {
		buffers_fini(&scene->shards[i].buffers);
		buffers_fini(&scene->plain[i].buffers);
		connected_fini(&scene->shards[i].connected);
		connected_fini(&scene->plain[i].connected);
		for (uint32_t j = 0; j < scene->turn_count[i]; j++)
			free(scene->turns[i][j].bytes);
	}
	free(scene->shards);
	free(scene->plain);
	scene_close_memory(scene);
	free(scene->memory);
	trail_fini(&scene->store->trail);
	free(scene->store);
	sim_disk_free(scene->sim);
	free(scene->expected->text);
	free(scene->expected);
	free(scene);
}

/* What the turn told for the first time is kept, for the comparison. */
static void note_turn(struct scene *scene, uint32_t shard)
{
	struct buffer *plain = buffers_take(&scene->plain[shard].buffers);
	if (plain == NULL)
		return;
	assert_true(scene->turn_count[shard] < SCENE_STEPS);
	struct scene_turn *turn = &scene->turns[shard][scene->turn_count[shard]++];
	*turn = (struct scene_turn){
		.number = scene->shards[shard].buffers.number, .bytes = malloc(plain->size + 1), .size = plain->size};
	memcpy(turn->bytes, plain->region.base, plain->size);
	buffers_give(&scene->plain[shard].buffers, plain);
}

void scene_turn(struct scene *scene, uint32_t shard, unsigned events)
{
	toy_shard_turn(&scene->toys[shard], events);
	note_turn(scene, shard);
}

void scene_checkpoint(struct scene *scene)
{
	for (uint32_t i = 0; i < SCENE_SHARDS; i++) {
		toy_shard_checkpoint(&scene->toys[i]);
		note_turn(scene, i);
	}
}

uint64_t scene_safe(const struct scene *scene, uint32_t shard)
{
	return STORE_JOURNAL_SAFETY.safe(&scene->shards[shard], (uint16_t)shard);
}

/* What the last step has written, and what it has promised. */
static void scene_note(struct scene *scene)
{
	uint64_t last = scene->store->writer.tail.next_number - 1;
	assert_true(last < SCENE_COMMITS && (scene->epoch > 1 || last <= scene->commit_count + 2));
	/* A stop may have written two: the first one's share is at most that of both. */
	for (uint64_t commit = scene->commit_count + 1; commit <= last; commit++) {
		for (uint32_t i = 0; i < SCENE_SHARDS; i++)
			scene->taken[commit][i] = scene->store->writer.shards[i].taken;
	}
	scene->commit_count = last;
	assert_true(scene->promise_count < SCENE_STEPS);
	scene->promises[scene->promise_count].traced = scene->sim->count;
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		scene->promises[scene->promise_count].safe[i] = scene_safe(scene, i);
	scene->promise_count++;
}

uint64_t scene_step(struct scene *scene)
{
	uint64_t wait_ns = writer_step(&scene->store->writer, scene->now_ns);
	scene->now_ns += 300000000u;
	scene_note(scene);
	return wait_ns;
}

void scene_checkpoint_all(struct scene *scene, unsigned most)
{
	uint64_t before = figures_get(&scene->store->figures.checkpoints);
	while (most-- > 0 && figures_get(&scene->store->figures.checkpoints) == before) {
		scene_checkpoint(scene);
		scene_step(scene);
	}
}

static unsigned scene_random(struct scene *scene, unsigned below)
{
	return (unsigned)rand_r(&scene->seed) / 5u % below;
}

void scene_play(struct scene *scene, unsigned steps)
{
	while (steps-- > 0) {
		switch (scene_random(scene, 5)) {
		case 0:
			scene_checkpoint(scene);
			break;
		case 1:
			toy_shard_let_go(&scene->toys[scene_random(scene, SCENE_SHARDS)]);
			break;
		case 2:
			scene_step(scene);
			break;
		default:
			scene_turn(scene, scene_random(scene, SCENE_SHARDS), 1 + scene_random(scene, 16));
			break;
		}
	}
}

/* ---- what must be there ---- */

struct reference {
	struct model *model;
	uint32_t bodies[100000];
	uint32_t body_count;
	uint32_t next[SCENE_SHARDS]; /* turn */
};

static void reference_apply(struct reference *reference, uint16_t shard, struct slice records)
{
	while (records.size != 0) {
		struct store_record record;
		size_t size = store_record_decode(records, &record);
		assert_true(size != 0);
		struct store_place place = {.segment = 1, .offset = reference->body_count};
		if (record.kind == STORE_KEPT) {
			struct publication publication = store_record_publication(&record);
			reference->bodies[reference->body_count++] = toy_body(record.body.data, &publication);
		}
		assert_int_equal(model_apply(reference->model, shard, &record, place), ERROR_OK);
		records = slice_of(records.data + size, records.size - size);
	}
}

static void reference_until(const struct scene *scene, struct reference *reference, const uint64_t *numbers)
{
	for (uint16_t i = 0; i < SCENE_SHARDS; i++) {
		uint32_t *next = &reference->next[i];
		for (; *next < scene->turn_count[i] && scene->turns[i][*next].number <= numbers[i]; ++*next)
			reference_apply(reference, i,
					slice_of(scene->turns[i][*next].bytes, scene->turns[i][*next].size));
	}
}

static uint32_t reference_body(void *context, const struct model_message *message)
{
	const struct reference *reference = context;
	return reference->bodies[message->place.offset];
}

static char *reference_text(const struct scene *scene, uint64_t last_commit, const uint64_t *safe)
{
	struct reference *reference = calloc(1, sizeof(*reference));
	reference->model = model_new();
	reference->body_count = 1;
	assert_int_equal(model_begin_epoch(reference->model, 1), ERROR_OK);
	for (uint64_t commit = 1; commit <= last_commit; commit++)
		reference_until(scene, reference, scene->taken[commit]);
	/* What is safe beyond the last commit left nothing to write. */
	reference_until(scene, reference, safe);
	assert_int_equal(model_finish(reference->model), ERROR_OK);
	char *text = model_text(reference->model, false, reference_body, reference);
	model_free(&reference->model);
	free(reference);
	return text;
}

/* ---- what is there ---- */

static uint32_t disk_body(void *context, const struct model_message *message)
{
	const struct disk *disk = context;
	char name[STORE_SEGMENT_NAME_BYTES];
	struct disk_file *file;
	if (disk->operations->open(disk->context, store_segment_name(message->place.segment, name), false, &file) != 0)
		return 0;
	uint8_t *packet;
	int error;
	uint32_t body = 0;
	if (replay_read_body(disk, file, message->place.offset, &message->publication, &packet, &error) == ERROR_OK) {
		body = toy_body(packet, &message->publication);
		free(packet);
	}
	disk->operations->close(disk->context, file);
	return body;
}

static char *disk_text(const struct scene *scene, struct sim_disk *disk, struct replay *replay)
{
	struct model *model = model_new();
	enum error error = replay_run(&disk->disk, &scene->store->identity, NULL, model, replay);
	if (error != ERROR_OK)
		print_error("damage: %s\n", replay->damage);
	assert_int_equal(error, ERROR_OK);
	char *text = model_text(model, false, disk_body, &disk->disk);
	model_free(&model);
	return text;
}

char *scene_recover(const struct scene *scene, size_t count, enum sim_unsynced unsynced, unsigned *seed)
{
	struct sim_disk *cut = sim_disk_cut(scene->sim, count, unsynced, seed);
	struct replay replay;
	char *text = disk_text(scene, cut, &replay);
	replay_fini(&replay);
	sim_disk_free(cut);
	return text;
}

/* The lines of one that the other one has not. */
static void print_difference(const char *what, const char *text, const char *other)
{
	char line[4096];
	for (const char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
		size_t size = (size_t)(strchr(at, '\n') + 1 - at);
		snprintf(line, sizeof(line), "%.*s", (int)size, at);
		if (strstr(other, line) == NULL)
			print_error("%s: %s", what, line);
	}
}

static const char *expected_text(const struct scene *scene, uint64_t commit, const uint64_t *safe)
{
	struct scene_expected *expected = scene->expected;
	if (expected->text != NULL && expected->commit == commit && expected->promise_count == scene->promise_count &&
	    memcmp(expected->safe, safe, sizeof(expected->safe)) == 0)
		return expected->text;
	free(expected->text);
	expected->commit = commit;
	expected->promise_count = scene->promise_count;
	memcpy(expected->safe, safe, sizeof(expected->safe));
	expected->text = reference_text(scene, commit, safe);
	return expected->text;
}

void scene_check_disk(const struct scene *scene, struct sim_disk *disk, const uint64_t safe[SCENE_SHARDS])
{
	static const uint64_t NOTHING[SCENE_SHARDS];
	struct replay replay;
	char *there = disk_text(scene, disk, &replay);
	bool any_safe = memcmp(safe, NOTHING, sizeof(NOTHING)) != 0;
	assert_true(replay.base_segment != 0 || !any_safe);
	if (replay.base_segment != 0) {
		const char *expected = expected_text(scene, replay.log_commit, safe);
		if (strcmp(there, expected) != 0) {
			print_error("commit %lu\n", (unsigned long)replay.log_commit);
			print_difference("there", there, expected);
			print_difference("expected", expected, there);
		}
		assert_true(strcmp(there, expected) == 0);
	}
	free(there);
	replay_fini(&replay);
}

void scene_check_cut(const struct scene *scene, size_t count, enum sim_unsynced unsynced, unsigned *seed)
{
	static const uint64_t NOTHING[SCENE_SHARDS];
	const uint64_t *safe = NOTHING;
	for (uint32_t i = 0; i < scene->promise_count && scene->promises[i].traced <= count; i++)
		safe = scene->promises[i].safe;
	/* Written, it outlives the process, which all of it stands for; a loss of power takes what was not synced. */
	if (scene->store->settings.durability == STORE_PERIODIC && unsynced != SIM_ALL)
		safe = NOTHING;
	struct sim_disk *cut = sim_disk_cut(scene->sim, count, unsynced, seed);
	scene_check_disk(scene, cut, safe);
	sim_disk_free(cut);
}

/* Each seed its own third of the cuts: every one recovers the whole store. `make power` has them all, of a real one. */
#define CUTS_STEP (3 * TRIES_STEP)

void scene_check_cuts(const struct scene *scene, unsigned seed)
{
	for (size_t count = seed % CUTS_STEP; count <= scene->sim->count; count += CUTS_STEP) {
		for (int i = 0; i < 4; i++)
			scene_check_cut(scene, count, i < 2 ? (enum sim_unsynced)i : SIM_SOME, &seed);
	}
}

int64_t scene_wall(const struct scene *scene)
{
	struct replay replay;
	assert_int_equal(replay_run(&scene->sim->disk, &scene->store->identity, NULL, NULL, &replay), ERROR_OK);
	replay_fini(&replay);
	return replay.wall_s;
}

/* ---- upgrades ---- */

/* What execve() does with it: memory that is shared stays as it is. */
static void store_abandon(struct store *store)
{
	for (uint16_t i = 0; i < SCENE_SHARDS; i++) {
		store->common.shards[i].connected.bits.adopted = true;
		store->bodies.shards[i].slab.region.adopted = true;
	}
	store->is_adopted = store->writer.segments.adopted = true;
	store_free(&store);
}

void scene_upgrade(struct scene *scene)
{
	struct scene_memory *memory = scene->memory;
	struct store *before = scene->store;
	struct store_refusal refusal = {.why = ""};
	/* What needs commits of its own has them one a step, so that it is known which has what (scene_note()). */
	while (scene_step(scene) == 0)
		;
	assert_true(writer_flush(&before->writer, scene->now_ns));
	scene_note(scene);
	notes_clear(memory->next.block != NULL ? &memory->next_notes : &memory->notes);
	assert_int_equal(store_save(before), ERROR_OK);
	size_t traced = scene->sim->count;
	struct store_settings settings = before->settings;
	store_abandon(before);
	scene_forget_next(memory);
	assert_int_equal(memory_root_adopt(&memory->next, memory->root.fd, LAYOUT), ERROR_OK);
	assert_int_equal(notes_adopt(&memory->next_notes, &memory->next), ERROR_OK);
	assert_int_equal(arena_find(&memory->arena, &memory->next, "store"), ERROR_OK);
	enum error error = store_continue(&scene->store, &scene->sim->disk, &settings, &refusal);
	assert_string_equal(refusal.why, "");
	assert_int_equal(error, ERROR_OK);
	assert_int_equal(scene->sim->count, traced); /* nothing was written */
	scene->store->is_adopted = scene->store->writer.segments.adopted = false;
	scene->shards = scene->store->common.shards;
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		scene->toys[i].store = &scene->shards[i];
}

/* ---- restarts ---- */

struct restored {
	struct scene *scene;
	uint64_t *bytes; /* by segment */
	uint32_t found;
};

/* Each message that the model has is one of a shard's, by what is in it. */
static void restore_message(void *context, const struct model_message *message)
{
	struct restored *restored = context;
	struct scene *scene = restored->scene;
	uint32_t body = disk_body(&scene->sim->disk, message);
	assert_true(body != 0);
	struct toy_shard *toy = &scene->toys[body >> 24];
	for (uint32_t name = 1; name <= TOY_MESSAGES; name++) {
		if (toy->messages[name].references == 0 || toy->messages[name].body != body)
			continue;
		struct body place = {.message = name,
				     .segment = message->place.segment,
				     .offset = message->place.offset,
				     .bytes = message->publication.packet_bytes};
		bodies_set(&scene->store->bodies, toy->store->number, place);
		toy->messages[name].absent = true;
		restored->bytes[place.segment] += place.bytes;
		restored->found++;
	}
}

void scene_restart(struct scene *scene)
{
	assert_true(writer_stop(&scene->store->writer, scene->now_ns));
	scene_note(scene);
	writer_fini(&scene->store->writer);
	commit_bodies_fini(&scene->store->bodies);
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		connected_fini(&scene->shards[i].connected);
	scene_close_memory(scene);
	scene_open_parts(scene);
	struct replay replay;
	struct model *model = model_new();
	assert_int_equal(replay_run(&scene->sim->disk, &scene->store->identity, NULL, model, &replay), ERROR_OK);
	assert_true(model->stopped);
	assert_int_equal(replay_remove_later(&scene->sim->disk, &replay), 0);
	uint64_t bytes[10000] = {0};
	struct restored restored = {.scene = scene, .bytes = bytes};
	model_each_message(model, restore_message, &restored);
	assert_int_equal(restored.found, model->message_count);
	model_free(&model);
	for (uint32_t i = 0; i < SCENE_SHARDS; i++) {
		scene->toys[i].checkpoint = scene->toys[i].checkpoint_next = 0;
		scene->shards[i].checkpoint_begun = 0;
		for (uint32_t name = 1; name <= TOY_MESSAGES; name++)
			scene->toys[i].messages[name].told_in_checkpoint = 0;
	}
	atomic_store(&scene->store->common.checkpoint, 0);
	trail_fini(&scene->store->trail);
	trail_init(&scene->store->trail, &scene->store->writer.sleeper);
	start_writer(scene, &replay);
	for (uint32_t i = 0; i < replay.segment_count; i++)
		assert_int_equal(writer_add_segment(&scene->store->writer, replay.segments[i].number,
						    replay.segments[i].file_bytes, bytes[replay.segments[i].number]),
				 ERROR_OK);
	replay_fini(&replay);
	assert_int_equal(writer_begin(&scene->store->writer), 0);
	scene->epoch++;
}
