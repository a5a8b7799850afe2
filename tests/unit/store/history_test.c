/* Random histories of a store: several shards, checkpoints while things happen, crashes and new epochs. After each
 * commit the log up to it is replayed, and must give what the test knows. */
#include "../tries.h"
#include "shadow_store.h"

#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HISTORIES 30u
#define COMMITS 120u
#define RETELL_ALL (SHADOW_SHARDS * SHADOW_SESSIONS + SHADOW_TOPICS)

struct history {
	struct log_scene log;
	struct shadow shadow;
	struct shadow_store safe; /* what a recovery has to give */
	bool is_complete;         /* the epoch's first checkpoint has ended */
	uint32_t retold;          /* of RETELL_ALL, in the checkpoint that runs */
	uint32_t base_segment;    /* of the checkpoint that runs; 0: none does */
	uint32_t epochs;          /* how often things happened, so that a history is not trivial */
	uint32_t checkpoints;
};

/* Fails with the first line that differs. */
static void assert_lines_equal(const char *found, const char *expected)
{
	while (*found != '\0' && *found == *expected) {
		size_t length = strcspn(found, "\n") + 1;
		if (strncmp(found, expected, length) != 0)
			break;
		found += length;
		expected += length;
	}
	if (strcmp(found, expected) != 0)
		fail_msg("found:    %.*s\nexpected: %.*s", (int)strcspn(found, "\n"), found,
			 (int)strcspn(expected, "\n"), expected);
}

static void check_replay(struct history *history)
{
	struct model *model;
	struct replay replay;
	enum error error = log_scene_replay(&history->log, false, &model, &replay);
	if (error != ERROR_OK)
		fail_msg("%s", replay.damage);
	char *found = shadow_model_lines(model, &history->log), *expected = shadow_lines(&history->safe);
	assert_lines_equal(found, expected);
	free(found);
	free(expected);
	model_free(&model);
	replay_fini(&replay);
}

static void commit(struct history *history)
{
	log_scene_commit(&history->log);
	if (history->is_complete)
		history->safe = history->shadow.store;
	check_replay(history);
}

/* ---- checkpoints ---- */

static void begin_checkpoint(struct history *history, bool new_epoch)
{
	shadow_keep_promises(&history->shadow);
	if (!new_epoch)
		commit(history); /* what happened before belongs to the segment before */
	log_scene_segment(&history->log, new_epoch);
	history->base_segment = history->log.segment.number;
	history->retold = 0;
	history->shadow.checkpoint++;
	history->shadow.in_checkpoint = true;
}

static void remove_older(struct history *history)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	for (uint32_t number = 1; number < history->base_segment; number++)
		history->log.disk.operations->remove(history->log.disk.context, store_segment_name(number, name));
}

static void go_on_with_checkpoint(struct history *history)
{
	uint32_t some = 1 + shadow_random(&history->shadow, 8);
	for (; some > 0 && history->retold < RETELL_ALL; some--, history->retold++) {
		uint32_t topics = history->retold < SHADOW_TOPICS ? 1 : 0, place = history->retold - SHADOW_TOPICS;
		if (topics != 0)
			shadow_retell_topic(&history->shadow, history->retold);
		else
			shadow_retell_session(&history->shadow, place % SHADOW_SHARDS, place / SHADOW_SHARDS);
	}
	if (history->retold < RETELL_ALL || shadow_random(&history->shadow, 2) == 0)
		return;
	log_scene_mark(&history->log, STORE_SECTION_CHECKPOINT, history->base_segment);
	history->is_complete = true;
	history->shadow.in_checkpoint = false;
	commit(history);
	if (shadow_random(&history->shadow, 2) == 0)
		remove_older(history);
	history->base_segment = 0;
	history->checkpoints++;
}

/* ---- crashes ---- */

/* What was told and not committed is lost, but for some bytes of it. */
static void crash(struct history *history)
{
	struct model *model;
	struct replay replay;
	char name[STORE_SEGMENT_NAME_BYTES];
	struct log_scene *log = &history->log;
	struct disk_file *file = memory_disk_file(&log->memory, store_segment_name(log->segment.number, name));
	if (log->size > 40 && shadow_random(&history->shadow, 2) == 0)
		log->disk.operations->write(log->disk.context, file, log->commit + 32, log->size - 40, file->size);
	log->size = 0;
	log->section = 0;
	check_replay(history);
	assert_int_equal(log_scene_replay(log, false, &model, &replay), ERROR_OK);
	assert_int_equal(replay.last_commit + 1, log->next_commit);
	if (shadow_random(&history->shadow, 2) == 0)
		assert_int_equal(replay_remove_later(&log->disk, &replay), 0);
	check_replay(history);
	log->next_commit = replay.last_commit + 1;
	log->epoch = replay.highest_epoch;
	log->segment.number = replay.highest_segment;
	model_free(&model);
	replay_fini(&replay);
	uint32_t last_name = history->shadow.store.last_name;
	history->shadow.store = history->safe;
	history->shadow.store.last_name = last_name;
	shadow_restart(&history->shadow);
	history->is_complete = false;
	history->epochs++;
	begin_checkpoint(history, true);
}

/* The safe state has promises of the epoch before, which the new one does not tell again. */
static void settle_promises(struct history *history)
{
	shadow_keep_promises(&history->shadow);
	commit(history);
}

static void play(struct history *history)
{
	begin_checkpoint(history, true);
	for (uint32_t i = 0; i < COMMITS; i++) {
		uint32_t steps = 1 + shadow_random(&history->shadow, 6);
		for (uint32_t k = 0; k < steps; k++)
			shadow_step(&history->shadow);
		if (history->base_segment != 0)
			go_on_with_checkpoint(history);
		else if (shadow_random(&history->shadow, 8) == 0)
			begin_checkpoint(history, false);
		else if (shadow_random(&history->shadow, 12) == 0) {
			commit(history);
			log_scene_segment(&history->log, false);
		}
		if (shadow_random(&history->shadow, 25) == 0) {
			if (history->is_complete)
				settle_promises(history);
			crash(history);
		}
		commit(history);
	}
}

static void test_each_prefix_of_a_history_gives_what_was_then(void **state)
{
	(void)state;
	uint32_t histories = 0, epochs = 0, checkpoints = 0;
	for (uint64_t seed = 1; seed <= HISTORIES; seed += TRIES_STEP) {
		struct history *history = calloc(1, sizeof(*history));
		assert_non_null(history);
		log_scene_init(&history->log);
		history->shadow.log = &history->log;
		history->shadow.random = seed;
		play(history);
		histories++;
		epochs += history->epochs;
		checkpoints += history->checkpoints;
		log_scene_fini(&history->log);
		free(history);
	}
	assert_true(epochs > histories && checkpoints > histories);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_prefix_of_a_history_gives_what_was_then)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
