/* A store that goes on in the next program, on a simulated disk: what it goes on with, what it refuses, and what is
 * there when the power fails. */
#include "store/format/segment_file.h"
#include "writer_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define LAYOUT 9u

static struct scene *scene_with_epoch(unsigned seed, enum store_durability durability)
{
	struct scene *scene = scene_new(seed, durability, 4096, 12000);
	scene_checkpoint_all(scene, 100);
	return scene;
}

/* ---- going on ---- */

static void nothing_safe_is_lost_over_upgrades(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct scene *scene = scene_new(seed, seed % 2 != 0 ? STORE_ALWAYS : STORE_PERIODIC, 4096, 12000);
		for (unsigned i = 0; i < 12; i++) {
			scene_play(scene, 20 + 7 * (i % 5));
			scene_upgrade(scene);
		}
		scene_play(scene, 100);
		assert_true(figures_get(&scene->store->figures.checkpoints) > 1);
		assert_int_equal(scene->store->writer.segments.header.epoch, 1);
		scene_check_cuts(scene, seed);
		scene_free(scene);
	}
}

/* Bodies are in the store alone after a restart, and names are others. */
static void nothing_safe_is_lost_over_upgrades_and_restarts(void **state)
{
	(void)state;
	for (unsigned seed = 11; seed <= 13; seed++) {
		struct scene *scene = scene_new(seed, STORE_ALWAYS, 4096, 12000);
		for (unsigned i = 0; i < 3; i++) {
			scene_play(scene, 60);
			scene_upgrade(scene);
			scene_play(scene, 30);
			scene_checkpoint_all(scene, 100);
			scene_restart(scene);
			scene_upgrade(scene);
		}
		scene_play(scene, 60);
		scene_check_cuts(scene, seed);
		scene_free(scene);
	}
}

/* All that was told is safe with the flush, what is told later as ever, and no sooner. */
static void promises_go_on(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(21, STORE_ALWAYS);
	scene_play(scene, 100);
	uint64_t commit = scene->store->writer.tail.next_number;
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		scene_turn(scene, i, 8);
	struct figures before = scene->store->figures;
	scene_upgrade(scene);
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		assert_int_equal(scene_safe(scene, i), STORE_JOURNAL_SAFETY.told(&scene->shards[i]));
	assert_true(figures_get(&scene->store->figures.commits) >= figures_get(&before.commits));
	assert_true(scene->store->writer.tail.next_number >= commit);
	STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5000);
	STORE_JOURNAL_EVENTS.opened(&scene->shards[0], (struct client_ref){999}, slice_string("new"));
	STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
	uint64_t told = STORE_JOURNAL_SAFETY.told(&scene->shards[0]);
	assert_int_equal(scene_safe(scene, 0), told - 1);
	uint64_t syncs = figures_get(&scene->store->figures.syncs);
	scene_step(scene);
	assert_int_equal(scene_safe(scene, 0), told);
	assert_int_equal(figures_get(&scene->store->figures.syncs), syncs + 1);
	scene_free(scene);
}

/* It is not begun anew, and ends in the program after the next. */
static void a_checkpoint_goes_on(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(22, STORE_ALWAYS);
	scene_play(scene, 100);
	scene->store->writer.checkpoint_soon = true;
	while (!scene->store->writer.checkpoint_runs)
		scene_step(scene);
	uint32_t number = scene->store->writer.checkpoint, base = scene->store->writer.base_segment;
	uint64_t checkpoints = figures_get(&scene->store->figures.checkpoints);
	unsigned told = 0, upgrades = 0;
	for (; scene->store->writer.checkpoint_runs && told < 2000; told++) {
		if (told % 2 == 1) {
			scene_upgrade(scene);
			upgrades++;
		}
		scene_checkpoint(scene);
		scene_step(scene);
	}
	assert_true(upgrades > 2);
	assert_int_equal(scene->store->writer.checkpoint, number);
	assert_int_equal(scene->store->writer.safe_base, base);
	assert_int_equal(figures_get(&scene->store->figures.checkpoints), checkpoints + 1);
	scene_free(scene);
}

/* What the first checkpoint of an epoch holds up is held up until then, by whichever program. */
static void the_first_checkpoint_goes_on(void **state)
{
	(void)state;
	struct scene *scene = scene_new(23, STORE_ALWAYS, 4096, 12000);
	scene_turn(scene, 0, 8);
	scene_step(scene);
	scene_upgrade(scene);
	assert_int_equal(scene_safe(scene, 0), 0);
	scene_checkpoint_all(scene, 100);
	assert_int_equal(scene_safe(scene, 0), STORE_JOURNAL_SAFETY.told(&scene->shards[0]));
	scene_free(scene);
}

/* A commit that says nothing but the time may be the first that the next program writes. */
static void the_time_is_noted_by_the_next_program(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(24, STORE_ALWAYS);
	struct journal_connected connected = {.expiry_s = 60};
	STORE_JOURNAL_EVENTS.begin(&scene->shards[1], 5000);
	STORE_JOURNAL_EVENTS.opened(&scene->shards[1], (struct client_ref){9000}, slice_string("quiet"));
	STORE_JOURNAL_EVENTS.connected(&scene->shards[1], (struct client_ref){9000}, &connected);
	STORE_JOURNAL_EVENTS.end(&scene->shards[1]);
	scene_step(scene);
	uint64_t from_ns = scene->now_ns;
	scene_upgrade(scene);
	scene->now_ns = from_ns + WRITER_HEARTBEAT_NS;
	assert_true(scene_step(scene) <= WRITER_HEARTBEAT_NS);
	assert_int_equal(scene_wall(scene), 5000 + WRITER_HEARTBEAT_NS / 1000000000u);
	scene_free(scene);
}

static void bodies_are_found_where_they_lie(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(25, STORE_ALWAYS);
	uint8_t packet[TOY_PACKET_MAX];
	struct journal_message told = {
		.publication = toy_packet(3, 1, packet), .packet = packet, .expires_at_s = INT64_MAX};
	for (uint32_t message = 100; message < 3000; message++) {
		STORE_JOURNAL_EVENTS.begin(&scene->shards[0], 5000);
		STORE_JOURNAL_EVENTS.kept(&scene->shards[0], (struct message_ref){message}, &told);
		STORE_JOURNAL_EVENTS.end(&scene->shards[0]);
	}
	scene_step(scene);
	scene_upgrade(scene);
	for (uint32_t message = 100; message < 3000; message++) {
		struct store_load *load = calloc(1, sizeof(*load));
		load->bodies[load->count++] =
			(struct store_body){.message = {message}, .packet_bytes = told.publication.packet_bytes};
		store_load(&scene->shards[0], &load);
		assert_true(reader_step(&scene->store->reader, scene->now_ns));
		load = store_loaded(&scene->shards[0]);
		assert_non_null(load);
		assert_memory_equal(load->bodies[0].packet, packet, told.publication.packet_bytes);
		free(load->bodies[0].packet);
		free(load);
	}
	reader_fini(&scene->store->reader);
	scene_free(scene);
}

/* ---- refusing ---- */

/* What the next program says of the scene's store, which is saved; "": it goes on, and has let go of it again. */
static const char *refusal_of(struct scene *scene)
{
	static struct store_refusal refusal;
	struct memory_root next;
	struct notes notes;
	struct arena arena;
	struct store *continued = NULL;
	size_t traced = scene->sim->count;
	struct store_settings settings = scene->store->settings;
	refusal.why[0] = '\0';
	assert_int_equal(memory_root_adopt(&next, scene->memory->root.fd, LAYOUT), ERROR_OK);
	assert_int_equal(notes_adopt(&notes, &next), ERROR_OK);
	assert_int_equal(arena_find(&arena, &next, "store"), ERROR_OK);
	settings.arena = &arena;
	enum error error = store_continue(&continued, &scene->sim->disk, &settings, &refusal);
	assert_int_equal(error != ERROR_OK, refusal.why[0] != '\0');
	if (error == ERROR_OK)
		store_free(&continued);
	notes_close(&notes);
	assert_int_equal(munmap(next.block, sizeof(*next.block)), 0);
	assert_int_equal(scene->sim->count, traced); /* nothing was changed */
	return refusal.why;
}

static struct disk_file *file_of(const struct scene *scene, uint32_t segment)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	store_segment_name(segment, name);
	for (uint32_t i = 0; i < scene->sim->file_count; i++) {
		if (strcmp(scene->sim->files[i]->name, name) == 0 && scene->sim->files[i]->there)
			return scene->sim->files[i];
	}
	fail_msg("there is no segment %u", segment);
	return NULL;
}

/* The byte of the file is another one; then it is as it was again. */
static void check_refused(struct scene *scene, struct disk_file *file, uint64_t offset, const char *why)
{
	assert_true(offset < file->size);
	file->bytes[offset] ^= 1;
	assert_non_null(strstr(refusal_of(scene), why));
	file->bytes[offset] ^= 1;
	assert_string_equal(refusal_of(scene), "");
}

static void a_directory_that_is_not_as_it_was_is_refused(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(31, STORE_ALWAYS);
	scene_play(scene, 300);
	assert_true(writer_flush(&scene->store->writer, scene->now_ns));
	assert_int_equal(store_save(scene->store), ERROR_OK);
	assert_string_equal(refusal_of(scene), "");
	const struct segments *segments = &scene->store->writer.segments;
	struct disk_file *present = file_of(scene, segments->header.number);
	check_refused(scene, present, 20, "is not as it was left"); /* its header */
	check_refused(scene, present, scene->store->writer.tail.last_offset + 8, "is not as it was left");
	/* Something was written behind the last commit. */
	static const uint8_t MAGIC[] = "cmit";
	memcpy(present->bytes + segments->offset, MAGIC, 4);
	assert_non_null(strstr(refusal_of(scene), "is not as it was left"));
	memset(present->bytes + segments->offset, 0, 4);
	/* One that is missing, and one too many. */
	struct disk_file *first = file_of(scene, segments->list[0].number);
	first->there = false;
	assert_non_null(strstr(refusal_of(scene), "has not the segments that it had"));
	first->there = true;
	char name[sizeof(first->name)];
	memcpy(name, first->name, sizeof(name));
	store_segment_name(segments->next_number + 7, first->name);
	assert_non_null(strstr(refusal_of(scene), "has not the segments that it had"));
	memcpy(first->name, name, sizeof(name));
	assert_string_equal(refusal_of(scene), "");
	scene_free(scene);
}

static void another_store_is_refused(void **state)
{
	(void)state;
	struct scene *scene = scene_with_epoch(32, STORE_ALWAYS);
	assert_true(writer_flush(&scene->store->writer, scene->now_ns));
	assert_int_equal(store_save(scene->store), ERROR_OK);
	for (uint32_t i = 0; i < scene->sim->file_count; i++) {
		struct disk_file *file = scene->sim->files[i];
		if (strcmp(file->name, STORE_IDENTITY_NAME) == 0)
			check_refused(scene, file, strlen("roost-store 1\nid "), "");
	}
	scene->store->settings.shard_count++;
	assert_non_null(strstr(refusal_of(scene), "number of shards"));
	scene->store->settings.shard_count--;
	scene_free(scene);
}

static void what_is_missing_among_the_notes_is_refused(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"store",          "store shards", "store segments", "store figures",
					    "store removals", "body parts 0", "bodies 1"};
	struct scene *scene = scene_with_epoch(33, STORE_ALWAYS);
	assert_true(writer_flush(&scene->store->writer, scene->now_ns));
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		notes_clear(&scene->memory->notes);
		assert_int_equal(store_save(scene->store), ERROR_OK);
		struct slice note;
		assert_true(notes_get(&scene->memory->notes, "store", NAMES[i], &note));
		/* Under another name: scope and name stand in front of the data, padded to eight bytes. */
		size_t name_bytes = sizeof("store") + strlen(NAMES[i]) + 1;
		uint8_t *name = (uint8_t *)(uintptr_t)note.data - (name_bytes + 7) / 8 * 8;
		assert_string_equal((const char *)name, "store");
		name[sizeof("store")] ^= 1;
		assert_string_not_equal(refusal_of(scene), "");
	}
	scene_free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_safe_is_lost_over_upgrades),
		cmocka_unit_test(nothing_safe_is_lost_over_upgrades_and_restarts),
		cmocka_unit_test(promises_go_on),
		cmocka_unit_test(a_checkpoint_goes_on),
		cmocka_unit_test(the_first_checkpoint_goes_on),
		cmocka_unit_test(the_time_is_noted_by_the_next_program),
		cmocka_unit_test(bodies_are_found_where_they_lie),
		cmocka_unit_test(a_directory_that_is_not_as_it_was_is_refused),
		cmocka_unit_test(another_store_is_refused),
		cmocka_unit_test(what_is_missing_among_the_notes_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
