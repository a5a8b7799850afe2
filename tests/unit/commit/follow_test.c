/* A copy of a log, followed beside its writer: what was promised is in it, whatever fails on either side. */
#include "model_text.h"
#include "writer_scene.h"

#include "commit/follow/follower.h"
#include "commit/follow/keeper.h"
#include "store/format/segment_file.h"
#include "store/model/replay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct copy {
	struct scene *scene;
	struct sim_disk *sim; /* the copy's */
	struct follower follower;
	struct keeper keeper;
	uint64_t position; /* of the last piece that was put */
	bool awaits;       /* the writer waits for the copy */
	unsigned seed;
};

static void copy_begin(struct copy *copy)
{
	assert_int_equal(keeper_open(&copy->keeper, &copy->sim->disk, &copy->scene->store->identity), KEEPER_TAKEN);
	struct follow_held *held = calloc(copy->keeper.count + 1, sizeof(*held));
	keeper_held(&copy->keeper, held);
	assert_int_equal(follower_begin(&copy->follower, held, copy->keeper.count), ERROR_OK);
	free(held);
	copy->position = 0;
}

/* The link was gone: nobody waits for it until it has caught up. */
static void copy_begin_again(struct copy *copy)
{
	trail_confirm(copy->follower.trail, TRAIL_NOT_AWAITED);
	copy->awaits = false;
	keeper_close(&copy->keeper);
	copy_begin(copy);
}

static struct copy *copy_new(struct scene *scene, unsigned seed)
{
	struct copy *copy = calloc(1, sizeof(*copy));
	copy->scene = scene;
	copy->seed = seed;
	copy->sim = sim_disk_new();
	follower_init(&copy->follower, &scene->store->trail, &scene->sim->disk, scene->store->identity.id);
	copy_begin(copy);
	return copy;
}

static void copy_free(struct copy *copy)
{
	keeper_close(&copy->keeper);
	follower_fini(&copy->follower);
	sim_disk_free(copy->sim);
	free(copy);
}

/* Passes some pieces on. False: there were no more. */
static bool copy_pass(struct copy *copy, unsigned pieces)
{
	struct follow_piece piece;
	for (; pieces > 0; pieces--) {
		follower_next(&copy->follower, &piece);
		if (piece.kind == FOLLOW_FAILED)
			print_error("%s\n", copy->follower.why);
		assert_true(piece.kind != FOLLOW_FAILED);
		if (piece.kind == FOLLOW_NOTHING)
			return false;
		enum keeper_result result = KEEPER_TAKEN;
		if (piece.kind == FOLLOW_BYTES)
			result = keeper_put(&copy->keeper, piece.segment, piece.offset, piece.bytes);
		else if (piece.kind == FOLLOW_GONE)
			result = keeper_remove(&copy->keeper, piece.segment);
		if (result != KEEPER_TAKEN)
			print_error("%s\n", copy->keeper.why);
		assert_int_equal(result, KEEPER_TAKEN);
		copy->position = piece.position;
	}
	return true;
}

static void copy_sync(struct copy *copy)
{
	assert_int_equal(keeper_sync(&copy->keeper), KEEPER_TAKEN);
	if (copy->awaits)
		trail_confirm(copy->follower.trail, copy->position);
}

static void copy_pass_all(struct copy *copy)
{
	while (copy_pass(copy, 10))
		;
	copy_sync(copy);
	trail_confirm(copy->follower.trail, copy->position);
	copy->awaits = true;
	assert_int_equal(copy->position, trail_position(copy->follower.trail));
}

/* The power fails where the copy is, now: what is there then. The keeper's own copy goes on. */
static struct sim_disk *copy_cut(struct copy *copy, enum sim_unsynced unsynced)
{
	struct sim_disk *cut = sim_disk_cut(copy->sim, copy->sim->count, unsynced, &copy->seed);
	struct keeper keeper;
	assert_int_equal(keeper_open(&keeper, &cut->disk, &copy->scene->store->identity), KEEPER_TAKEN);
	keeper_close(&keeper);
	return cut;
}

static void copy_check(struct copy *copy)
{
	uint64_t safe[SCENE_SHARDS];
	for (uint32_t i = 0; i < SCENE_SHARDS; i++)
		safe[i] = scene_safe(copy->scene, i);
	for (int i = 0; i < 4 && copy->awaits; i++) {
		struct sim_disk *cut = copy_cut(copy, i < 2 ? (enum sim_unsynced)i : SIM_SOME);
		scene_check_disk(copy->scene, cut, safe);
		sim_disk_free(cut);
	}
}

static unsigned draw(struct copy *copy, unsigned below)
{
	return (unsigned)rand_r(&copy->seed) / 7u % below;
}

/* ---- a copy that keeps up ---- */

static void nothing_is_safe_before_the_copy_has_it(void **state)
{
	(void)state;
	struct scene *scene = scene_new(1, STORE_ALWAYS, 16384, 60000);
	scene_checkpoint_all(scene, 100);
	struct copy *copy = copy_new(scene, 1);
	copy_pass_all(copy);
	scene_turn(scene, 0, 4);
	uint64_t told = STORE_JOURNAL_SAFETY.told(&scene->shards[0]);
	scene_step(scene);
	assert_true(scene_safe(scene, 0) < told);
	copy_pass(copy, 100);
	scene_step(scene);
	assert_true(scene_safe(scene, 0) < told);
	copy_sync(copy);
	scene_step(scene);
	assert_true(scene_safe(scene, 0) >= told);
	copy_free(copy);
	scene_free(scene);
}

static void nothing_waits_for_a_copy_that_is_given_up(void **state)
{
	(void)state;
	struct scene *scene = scene_new(2, STORE_ALWAYS, 16384, 60000);
	scene_checkpoint_all(scene, 100);
	struct copy *copy = copy_new(scene, 2);
	copy_pass_all(copy);
	uint64_t told = 0;
	for (int i = 0; i < 100; i++) { /* more than there are places */
		scene_turn(scene, 0, 4);
		told = STORE_JOURNAL_SAFETY.told(&scene->shards[0]);
		scene_step(scene);
	}
	assert_true(scene_safe(scene, 0) < told);
	trail_confirm(&scene->store->trail, TRAIL_NOT_AWAITED);
	scene_step(scene);
	assert_true(scene_safe(scene, 0) >= told);
	copy_free(copy);
	scene_free(scene);
}

static void what_is_promised_is_in_the_copy(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 12; seed++) {
		struct scene *scene = scene_new(seed, STORE_ALWAYS, seed % 2 != 0 ? 16384 : 65536, 40000);
		struct copy *copy = copy_new(scene, seed);
		for (int i = 0; i < 200; i++) {
			scene_play(scene, 1 + draw(copy, 10));
			bool all = !copy_pass(copy, draw(copy, 4));
			if (draw(copy, 3) == 0)
				copy_sync(copy);
			if (all && draw(copy, 4) == 0)
				copy_pass_all(copy);
			if (i % 8 == 0)
				copy_check(copy);
			if (draw(copy, 40) == 0)
				copy_begin_again(copy);
		}
		copy_pass_all(copy);
		scene_step(scene);
		copy_check(copy);
		copy_free(copy);
		scene_free(scene);
	}
}

static uint32_t no_body(void *context, const struct model_message *message)
{
	(void)context;
	(void)message;
	return 0;
}

static char *text_of(struct scene *scene, struct sim_disk *disk)
{
	struct model *model = model_new();
	struct replay replay;
	assert_int_equal(replay_run(&disk->disk, &scene->store->identity, NULL, model, &replay), ERROR_OK);
	char *text = model_text(model, true, no_body, NULL);
	model_free(&model);
	replay_fini(&replay);
	return text;
}

static void the_copy_is_the_log(struct copy *copy)
{
	char *own = text_of(copy->scene, copy->scene->sim), *copied = text_of(copy->scene, copy->sim);
	assert_string_equal(own, copied);
	free(own);
	free(copied);
	uint32_t count = 0;
	for (uint32_t i = 0; i < copy->sim->file_count; i++)
		count += copy->sim->files[i]->there && strstr(copy->sim->files[i]->name, ".log") != NULL;
	assert_int_equal(count, copy->scene->store->trail.count);
	assert_int_equal(count, copy->keeper.count);
}

/* Rotations, checkpoints, removals; the gateway starts anew, and its program is replaced. */
static void the_copy_follows_restarts_and_upgrades(void **state)
{
	(void)state;
	for (unsigned seed = 20; seed < 26; seed++) {
		struct scene *scene = scene_new(seed, STORE_ALWAYS, 16384, 30000);
		struct copy *copy = copy_new(scene, seed);
		for (int i = 0; i < 12; i++) {
			scene_play(scene, 60);
			if (i % 2 == 0)
				copy_pass(copy, draw(copy, 30));
			if (i % 3 == 2) {
				trail_confirm(&scene->store->trail, TRAIL_NOT_AWAITED);
				copy->awaits = false;
				follower_fini(&copy->follower);
				if (i % 2 == 0)
					scene_restart(scene);
				else
					scene_upgrade(scene);
				follower_init(&copy->follower, &scene->store->trail, &scene->sim->disk,
					      scene->store->identity.id);
				copy_begin_again(copy);
			}
			if (draw(copy, 3) == 0)
				copy_pass_all(copy);
		}
		scene_checkpoint_all(scene, 1000);
		copy_pass_all(copy);
		the_copy_is_the_log(copy);
		copy_free(copy);
		scene_free(scene);
	}
}

/* What was being written when the node's machine stopped is not the log's, and is not passed on. */
static void what_was_torn_is_not_passed_on(void **state)
{
	(void)state;
	struct scene *scene = scene_new(30, STORE_ALWAYS, 16384, 30000);
	scene_checkpoint_all(scene, 100);
	scene_play(scene, 60);
	scene_restart(scene);
	struct trail_segment *old = &scene->store->trail.segments[0];
	assert_true(old->is_old && scene->store->trail.count > 1);
	char name[STORE_SEGMENT_NAME_BYTES];
	uint8_t torn[40];
	struct disk_file *file;
	const struct disk *disk = &scene->sim->disk;
	memset(torn, 0xee, sizeof(torn));
	assert_int_equal(disk->operations->open(disk->context, store_segment_name(old->number, name), false, &file), 0);
	assert_int_equal(disk->operations->write(disk->context, file, torn, sizeof(torn), old->bytes), 0);
	disk->operations->close(disk->context, file);
	old->bytes += sizeof(torn);
	struct copy *copy = copy_new(scene, 30);
	copy_pass_all(copy);
	the_copy_is_the_log(copy);
	copy_free(copy);
	scene_free(scene);
}

/* ---- faults ---- */

static void writes_and_syncs_of_the_log_fail(void **state)
{
	(void)state;
	for (unsigned seed = 40; seed < 52; seed++) {
		struct scene *scene = scene_new(seed, STORE_ALWAYS, 16384, 40000);
		scene_checkpoint_all(scene, 100);
		struct copy *copy = copy_new(scene, seed);
		copy_pass_all(copy);
		for (int i = 0; i < 60; i++) {
			scene_play(scene, 1 + draw(copy, 10));
			if (draw(copy, 4) == 0) {
				scene->sim->fail_error = draw(copy, 2) != 0 ? EIO : ENOSPC;
				scene->sim->torn = draw(copy, 2) != 0;
				*(draw(copy, 2) != 0 ? &scene->sim->fail_write_in : &scene->sim->fail_sync_in) =
					1 + (int)draw(copy, 3);
			} else if (draw(copy, 2) == 0) {
				scene->sim->fail_write_in = scene->sim->fail_sync_in = 0;
			}
			copy_pass(copy, draw(copy, 6));
			if (draw(copy, 2) == 0)
				copy_sync(copy);
			if (i % 6 == 0)
				copy_check(copy);
		}
		scene->sim->fail_write_in = scene->sim->fail_sync_in = 0;
		for (int i = 0; i < 10; i++)
			scene_step(scene);
		copy_pass_all(copy);
		scene_step(scene);
		copy_check(copy);
		copy_free(copy);
		scene_free(scene);
	}
}

/* The power fails on the copy's machine, and it goes on with what is there: a disk with a trace of its own. */
static void copy_lose_power(struct copy *copy)
{
	struct sim_disk *cut = sim_disk_cut(copy->sim, copy->sim->count, SIM_SOME, &copy->seed);
	trail_confirm(copy->follower.trail, TRAIL_NOT_AWAITED);
	copy->awaits = false;
	keeper_close(&copy->keeper);
	sim_disk_free(copy->sim);
	copy->sim = sim_disk_new();
	const struct disk *disk = &copy->sim->disk;
	for (uint32_t i = 0; i < cut->file_count; i++) {
		struct disk_file *file;
		if (!cut->files[i]->there)
			continue;
		assert_int_equal(disk->operations->open(disk->context, cut->files[i]->name, true, &file), 0);
		assert_int_equal(
			disk->operations->write(disk->context, file, cut->files[i]->bytes, cut->files[i]->size, 0), 0);
		assert_int_equal(disk->operations->sync(disk->context, file), 0);
		disk->operations->close(disk->context, file);
	}
	sim_disk_free(cut);
	copy_begin(copy);
}

static void the_copy_goes_on_after_a_loss_of_power(void **state)
{
	(void)state;
	for (unsigned seed = 60; seed < 70; seed++) {
		struct scene *scene = scene_new(seed, STORE_ALWAYS, 16384, 40000);
		struct copy *copy = copy_new(scene, seed);
		for (int i = 0; i < 10; i++) {
			scene_play(scene, 30);
			copy_pass(copy, draw(copy, 20));
			copy_lose_power(copy);
			if (draw(copy, 2) == 0)
				copy_pass_all(copy);
		}
		scene_checkpoint_all(scene, 1000);
		copy_pass_all(copy);
		the_copy_is_the_log(copy);
		copy_free(copy);
		scene_free(scene);
	}
}

static void a_device_that_fails_under_the_copy_is_said(void **state)
{
	(void)state;
	struct scene *scene = scene_new(5, STORE_ALWAYS, 16384, 60000);
	scene_checkpoint_all(scene, 100);
	struct copy *copy = copy_new(scene, 5);
	struct follow_piece piece;
	follower_next(&copy->follower, &piece);
	assert_int_equal(piece.kind, FOLLOW_BYTES);
	copy->sim->fail_error = ENOSPC;
	copy->sim->fail_write_in = 1;
	assert_int_equal(keeper_put(&copy->keeper, piece.segment, 0, piece.bytes), KEEPER_FAILED);
	assert_non_null(strstr(copy->keeper.why, "No space left"));
	copy->sim->fail_write_in = 0;
	copy_begin_again(copy);
	copy_pass(copy, 1);
	copy->sim->fail_error = EIO;
	copy->sim->fail_sync_in = 1;
	assert_int_equal(keeper_sync(&copy->keeper), KEEPER_FAILED);
	copy->sim->fail_sync_in = 0;
	copy_begin_again(copy);
	copy_pass_all(copy);
	the_copy_is_the_log(copy);
	copy_free(copy);
	scene_free(scene);
}

static void a_log_that_cannot_be_read_is_not_followed(void **state)
{
	(void)state;
	struct scene *scene = scene_new(6, STORE_ALWAYS, 16384, 60000);
	scene_checkpoint_all(scene, 100);
	struct copy *copy = copy_new(scene, 6);
	scene->sim->fail_error = EIO;
	scene->sim->fail_read_in = 1;
	struct follow_piece piece;
	follower_next(&copy->follower, &piece);
	assert_int_equal(piece.kind, FOLLOW_FAILED);
	assert_string_equal(copy->follower.why, "segment 1 cannot be read at byte 0: Input/output error");
	scene->sim->fail_read_in = 0;
	copy_pass_all(copy);
	the_copy_is_the_log(copy);
	copy_free(copy);
	scene_free(scene);
}

/* ---- what is refused ---- */

static void what_is_not_whole_is_refused(void **state)
{
	(void)state;
	struct scene *scene = scene_new(7, STORE_ALWAYS, 1 << 20, 1 << 20);
	scene_checkpoint_all(scene, 100);
	scene_play(scene, 40);
	struct copy *copy = copy_new(scene, 7);
	struct follow_piece piece;
	follower_next(&copy->follower, &piece);
	assert_true(piece.kind == FOLLOW_BYTES && piece.bytes.size < 100000);
	uint8_t *bytes = malloc(piece.bytes.size);
	memcpy(bytes, piece.bytes.data, piece.bytes.size);
	size_t size = piece.bytes.size;
	for (size_t i = 0; i < size; i += 1 + i / 64) {
		bytes[i] ^= 0x10; /* each byte is below some checksum */
		assert_int_equal(keeper_put(&copy->keeper, piece.segment, 0, slice_of(bytes, size)), KEEPER_REFUSED);
		bytes[i] ^= 0x10;
	}
	for (size_t cut = 1; cut < 64; cut++)
		assert_int_equal(keeper_put(&copy->keeper, piece.segment, 0, slice_of(bytes, cut)), KEEPER_REFUSED);
	assert_int_equal(keeper_put(&copy->keeper, piece.segment, 0, slice_of(bytes, size - 1)), KEEPER_REFUSED);
	assert_int_equal(keeper_put(&copy->keeper, piece.segment + 1, 0, slice_of(bytes, size)), KEEPER_REFUSED);
	assert_int_equal(keeper_put(&copy->keeper, piece.segment, 64, slice_of(bytes, size)), KEEPER_REFUSED);
	assert_int_equal(keeper_put(&copy->keeper, 0, 0, slice_of(bytes, size)), KEEPER_REFUSED);
	assert_int_equal(copy->keeper.count, 0);
	assert_int_equal(keeper_put(&copy->keeper, piece.segment, 0, slice_of(bytes, size)), KEEPER_TAKEN);
	/* The same commits again, at the right place, have the wrong numbers. */
	assert_int_equal(keeper_put(&copy->keeper, piece.segment, size, slice_of(bytes + 64, size - 64)),
			 KEEPER_REFUSED);
	assert_non_null(strstr(copy->keeper.why, "no whole commit"));
	assert_int_equal(copy->keeper.bytes, size);
	free(bytes);
	copy_free(copy);
	scene_free(scene);
}

static void a_copy_of_another_store_makes_room(void **state)
{
	(void)state;
	struct scene *scene = scene_new(8, STORE_ALWAYS, 16384, 60000),
		     *other = scene_new(9, STORE_ALWAYS, 16384, 60000);
	scene_checkpoint_all(scene, 100);
	scene_checkpoint_all(other, 100);
	struct copy *copy = copy_new(scene, 8);
	copy_pass_all(copy);
	struct follower follower;
	struct follow_piece piece;
	follower_init(&follower, &other->store->trail, &other->sim->disk, other->store->identity.id);
	assert_int_equal(follower_begin(&follower, NULL, 0), ERROR_OK);
	follower_next(&follower, &piece);
	assert_int_equal(piece.kind, FOLLOW_BYTES);
	assert_int_equal(keeper_put(&copy->keeper, piece.segment + 100, 0, piece.bytes), KEEPER_REFUSED);
	assert_non_null(strstr(copy->keeper.why, "another store"));
	follower_fini(&follower);
	keeper_close(&copy->keeper);
	assert_int_equal(keeper_open(&copy->keeper, &copy->sim->disk, &other->store->identity), KEEPER_TAKEN);
	assert_int_equal(copy->keeper.count, 0);
	assert_int_equal(copy->keeper.bytes, 0);
	copy_free(copy);
	scene_free(scene);
	scene_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_safe_before_the_copy_has_it),
		cmocka_unit_test(nothing_waits_for_a_copy_that_is_given_up),
		cmocka_unit_test(what_is_promised_is_in_the_copy),
		cmocka_unit_test(the_copy_follows_restarts_and_upgrades),
		cmocka_unit_test(what_was_torn_is_not_passed_on),
		cmocka_unit_test(writes_and_syncs_of_the_log_fail),
		cmocka_unit_test(the_copy_goes_on_after_a_loss_of_power),
		cmocka_unit_test(a_device_that_fails_under_the_copy_is_said),
		cmocka_unit_test(a_log_that_cannot_be_read_is_not_followed),
		cmocka_unit_test(what_is_not_whole_is_refused),
		cmocka_unit_test(a_copy_of_another_store_makes_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
