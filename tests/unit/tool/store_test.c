/* `roost store` on stores that a test wrote: what each command says, leaves and refuses. */
#include "tool/store/store_main.h"

#include "scratch.h"
#include "store/log_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	struct scratch scratch;
	char path[SCRATCH_PATH_BYTES]; /* of the store */
	char copy[SCRATCH_PATH_BYTES];
	struct log_scene log;
	char text[8192]; /* what the last command wrote to stdout and stderr */
};

static void add_session(struct scene *scene, uint32_t name, const char *client_id, const char *payload)
{
	struct publication publication;
	struct slice packet = log_scene_packet("a/b", payload, 9, &publication);
	struct store_record kept = {.kind = STORE_KEPT, .message = name, .expires_at_s = STORE_NEVER_S, .body = packet};
	store_record_set_publication(&kept, &publication);
	log_scene_add(&scene->log, 0, &kept);
	const struct store_record records[] = {
		{.kind = STORE_OPENED, .session = name, .text = slice_string(client_id)},
		{.kind = STORE_CONNECTED, .session = name, .expiry_s = 60},
		{.kind = STORE_PRINCIPAL, .session = name, .flags = STORE_FLAG_HAS_RULES, .text = slice_string("u")},
		{.kind = STORE_SUBSCRIBED, .session = name, .subscription = name, .text = slice_string("$share/g/#")},
		{.kind = STORE_QUEUED,
		 .session = name,
		 .entry = name * 3,
		 .message = name,
		 .subscription = name,
		 .flags = 2 | STORE_FLAG_SHARED},
		{.kind = STORE_SENT, .entry = name * 3, .packet_id = 5},
		{.kind = STORE_QUEUED, .session = name, .entry = name * 3 + 1, .message = name, .flags = 2},
		{.kind = STORE_QUEUED,
		 .session = name,
		 .entry = name * 3 + 2,
		 .message = name,
		 .subscription = name,
		 .flags = 2 | STORE_FLAG_SHARED},
		{.kind = STORE_RELEASED, .entry = name * 3},
		{.kind = STORE_HANDED_ON, .entry = name * 3 + 2},
		{.kind = STORE_RECEIVED, .session = name, .packet_id = 77},
	};
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		log_scene_add(&scene->log, 0, &records[i]);
	struct store_record retained = {
		.kind = STORE_RETAINED, .number = name, .expires_at_s = STORE_NEVER_S, .body = packet};
	store_record_set_publication(&retained, &publication);
	log_scene_add(&scene->log, 0, &retained);
	free((void *)(uintptr_t)packet.data);
}

/* Writes what lies on the disk in memory to the directory. */
static void save(struct scene *scene)
{
	struct disk disk;
	const char *why;
	assert_int_equal(disk_open_directory(&disk, scene->path, true, &why), 0);
	for (size_t i = 0; i < MEMORY_DISK_FILES; i++) {
		const struct disk_file *from = &scene->log.memory.files[i];
		struct disk_file *to;
		if (from->name[0] == '\0')
			continue;
		disk.operations->remove(disk.context, from->name);
		assert_int_equal(disk.operations->open(disk.context, from->name, true, &to), 0);
		assert_int_equal(disk.operations->write(disk.context, to, from->bytes, from->size, 0), 0);
		disk.operations->close(disk.context, to);
	}
	disk_close_directory(&disk);
}

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	scene->scratch = scratch_open();
	scratch_path(&scene->scratch, "store", scene->path);
	scratch_path(&scene->scratch, "copy", scene->copy);
	log_scene_init(&scene->log);
	log_scene_segment(&scene->log, true);
	add_session(scene, 1, "first", "one");
	log_scene_mark(&scene->log, STORE_SECTION_CHECKPOINT, 1);
	log_scene_commit(&scene->log);
	add_session(scene, 2, "second", "two");
	log_scene_commit(&scene->log);
	log_scene_segment(&scene->log, false);
	add_session(scene, 3, "third", "three");
	log_scene_commit(&scene->log);
	save(scene);
	*state = scene;
	return 0;
}

static void remove_name(void *argument, const char *name)
{
	const struct disk *disk = argument;
	disk->operations->remove(disk->context, name);
}

static int tear_down(void **state)
{
	struct scene *scene = *state;
	const char *paths[] = {scene->path, scene->copy};
	for (int i = 0; i < 2; i++) {
		struct disk disk;
		const char *why;
		if (disk_open_directory(&disk, paths[i], false, &why) != 0)
			continue;
		disk.operations->list(disk.context, remove_name, &disk);
		disk_close_directory(&disk);
		rmdir(paths[i]);
	}
	log_scene_fini(&scene->log);
	scratch_close(&scene->scratch);
	free(scene);
	return 0;
}

/* Runs the command; its exit status. */
static int run(struct scene *scene, const char *command, const char *first, const char *second)
{
	char *argv[] = {(char *)(uintptr_t) "store", (char *)(uintptr_t)command, (char *)(uintptr_t)first,
			(char *)(uintptr_t)second, NULL};
	int argc = 2 + (first != NULL) + (second != NULL);
	FILE *file = tmpfile();
	fflush(stdout);
	fflush(stderr);
	int saved[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
	dup2(fileno(file), STDOUT_FILENO);
	dup2(fileno(file), STDERR_FILENO);
	int status = store_main(argc, argv);
	fflush(stdout);
	fflush(stderr);
	dup2(saved[0], STDOUT_FILENO);
	dup2(saved[1], STDERR_FILENO);
	close(saved[0]);
	close(saved[1]);
	rewind(file);
	scene->text[fread(scene->text, 1, sizeof(scene->text) - 1, file)] = '\0';
	fclose(file);
	return status;
}

static void assert_says(const struct scene *scene, const char *what)
{
	if (strstr(scene->text, what) == NULL)
		fail_msg("\"%s\" is not in:\n%s", what, scene->text);
}

static char *model_of(struct scene *scene, const char *directory)
{
	assert_int_equal(run(scene, "dump", "--model", directory), 0);
	return strdup(scene->text);
}

static bool exists(const char *directory, const char *name)
{
	char path[SCRATCH_PATH_BYTES + 40];
	struct stat status;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return stat(path, &status) == 0;
}

/* The order of sessions is nobody's promise: names change, and so do numbers. */
static void assert_same_model(const char *left, const char *right)
{
	assert_int_equal(strlen(left), strlen(right));
	for (const char *line = left; *line != '\0';) {
		char one[2048];
		size_t length = strcspn(line, "\n");
		assert_true(length < sizeof(one));
		memcpy(one, line, length);
		one[length] = '\0';
		assert_non_null(strstr(right, one));
		line += length + 1;
	}
}

static void test_check_says_what_a_store_holds(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(run(scene, "check", scene->path, NULL), 0);
	assert_says(scene, "sessions       3\n");
	assert_says(scene, "queued         6 times one of 3 messages\n");
	assert_says(scene, "to pass on     3\n");
	assert_says(scene, "\nsound\n");
}

static void test_check_tells_damage_with_its_place(void **state)
{
	struct scene *scene = *state;
	memory_disk_file(&scene->log.memory, "0000000001.log")->bytes[200] ^= 1;
	save(scene);
	assert_int_equal(run(scene, "check", scene->path, NULL), 1);
	assert_says(scene, "0000000001.log: commit 1 at byte 64 is damaged");
}

static void test_dump_prints_records_and_what_they_amount_to(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(run(scene, "dump", scene->path, NULL), 0);
	assert_says(scene, "commit 2 shard 0: opened session 2 flags 0 text \"second\"\n");
	assert_int_equal(run(scene, "dump", "--json", scene->path), 0);
	assert_says(scene, "\"kind\":\"queued\"");
	free(model_of(scene, scene->path));
	assert_says(scene, "{\"session\":\"third\",\"connected\":true");
	assert_says(scene, "\"topic\":\"a/b\"");
	assert_says(scene, "\"received\":[77]");
	assert_says(scene, "{\"retained\":\"a/b\",\"number\":3");
}

static void test_compact_keeps_what_it_holds(void **state)
{
	struct scene *scene = *state;
	char *before = model_of(scene, scene->path);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(run(scene, "compact", scene->path, NULL), 0);
		assert_says(scene, " now\n");
		char *after = model_of(scene, scene->path);
		assert_same_model(before, after);
		free(after);
	}
	assert_false(exists(scene->path, "0000000001.log"));
	assert_false(exists(scene->path, "0000000003.log"));
	assert_true(exists(scene->path, "0000000004.log"));
	free(before);
}

static void test_backup_is_a_store(void **state)
{
	struct scene *scene = *state;
	struct disk disk;
	const char *why;
	int holder;
	char *before = model_of(scene, scene->path);
	/* In use, as by a server. */
	assert_int_equal(disk_open_directory(&disk, scene->path, false, &why), 0);
	assert_int_equal(disk_lock(&disk, &holder), 0);
	assert_int_equal(run(scene, "backup", scene->path, scene->copy), 0);
	disk_close_directory(&disk);
	char *after = model_of(scene, scene->copy);
	assert_string_equal(before, after);
	assert_int_equal(run(scene, "backup", scene->path, scene->copy), 1);
	assert_says(scene, "it is not empty");
	free(before);
	free(after);
}

static void test_backup_takes_revocations_along(void **state)
{
	struct scene *scene = *state;
	char path[600];
	char text[16] = "";
	snprintf(path, sizeof(path), "%s/revocations", scene->path);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs("revoked\n", file);
	fclose(file);
	assert_int_equal(run(scene, "backup", scene->path, scene->copy), 0);
	snprintf(path, sizeof(path), "%s/revocations", scene->copy);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fread(text, 1, sizeof(text), file), 8);
	fclose(file);
	assert_string_equal(text, "revoked\n");
}

static void test_backup_into_the_store_itself(void **state)
{
	struct scene *scene = *state;
	char path[600];
	snprintf(path, sizeof(path), "%s/copy", scene->path);
	assert_int_equal(run(scene, "backup", scene->path, path), 1);
	assert_says(scene, "it lies in the store itself");
	assert_false(exists(scene->path, "copy"));
	assert_int_equal(run(scene, "backup", scene->path, scene->path), 1);
	assert_says(scene, "it lies in the store itself");
}

static void test_a_damaged_store_is_not_backed_up_as_a_good_one(void **state)
{
	struct scene *scene = *state;
	memory_disk_file(&scene->log.memory, "0000000001.log")->bytes[200] ^= 1;
	save(scene);
	assert_int_equal(run(scene, "backup", scene->path, scene->copy), 1);
	assert_int_equal(run(scene, "check", scene->copy, NULL), 1);
	assert_says(scene, "this is no Roost store");
}

static void test_repair_keeps_what_can_be_read(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(run(scene, "repair", scene->path, NULL), 0);
	assert_says(scene, "nothing to repair");
	struct disk_file *file = memory_disk_file(&scene->log.memory, "0000000001.log");
	file->bytes[file->size - 30] ^= 1; /* in the second commit */
	save(scene);
	assert_int_equal(run(scene, "compact", scene->path, NULL), 1);
	assert_says(scene, "0000000001.log: commit 2 at byte ");
	assert_int_equal(run(scene, "repair", scene->path, NULL), 0);
	assert_says(scene, "kept as ");
	assert_true(exists(scene->path, "0000000001.log.damaged"));
	assert_false(exists(scene->path, "0000000001.log"));
	assert_false(exists(scene->path, "0000000002.log"));
	assert_int_equal(run(scene, "check", scene->path, NULL), 0);
	assert_says(scene, "sessions       2\n");
	free(model_of(scene, scene->path));
	assert_says(scene, "\"session\":\"first\"");
	assert_says(scene, "\"session\":\"third\"");
}

static void test_a_store_that_holds_nothing_is_not_called_sound(void **state)
{
	struct scene *scene = *state;
	char path[2][SCRATCH_PATH_BYTES + 40];
	/* A sole segment without a commit. */
	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/000000000%d.log", scene->path, i + 1);
		assert_int_equal(i == 0 ? truncate(path[i], sizeof(struct store_segment_header)) : unlink(path[i]), 0);
	}
	assert_int_equal(run(scene, "check", scene->path, NULL), 0);
	assert_says(scene, "it holds nothing");
	assert_int_equal(run(scene, "repair", scene->path, NULL), 1);
	assert_says(scene, "it has no commit that can be read");
	/* None at all. */
	assert_int_equal(unlink(path[0]), 0);
	assert_int_equal(run(scene, "check", scene->path, NULL), 0);
	assert_says(scene, "it holds nothing");
}

static void test_repair_refuses_where_no_segment_can_be_read(void **state)
{
	struct scene *scene = *state;
	/* Those of another store. */
	for (int i = 1; i <= 2; i++) {
		char name[32];
		snprintf(name, sizeof(name), "000000000%d.log", i);
		struct disk_file *file = memory_disk_file(&scene->log.memory, name);
		struct store_segment_header header, other;
		memcpy(&header, file->bytes, sizeof(header));
		store_segment_header_make(&other, (const uint8_t *)"another store 16", header.number, header.epoch,
					  header.first_commit, 0);
		memcpy(file->bytes, &other, sizeof(other));
	}
	save(scene);
	assert_int_equal(run(scene, "repair", scene->path, NULL), 1);
	assert_says(scene, "it belongs to another store");
	assert_says(scene, "none of its segments can be read");
	assert_true(exists(scene->path, "0000000001.log") && exists(scene->path, "0000000002.log"));
	assert_false(exists(scene->path, "0000000003.log"));
}

/* The segments that repair writes are numbered on from the highest that is there. */
static void test_repair_refuses_a_number_that_leaves_none(void **state)
{
	struct scene *scene = *state;
	memory_disk_put(&scene->log.memory, "4294967295.log", "not a segment at all", 20);
	save(scene);
	assert_int_equal(run(scene, "repair", scene->path, NULL), 1);
	assert_says(scene, "move it out of the directory");
	assert_true(exists(scene->path, "0000000001.log"));
	assert_true(exists(scene->path, "4294967295.log"));
}

static void test_what_is_refused(void **state)
{
	struct scene *scene = *state;
	static const char *const ALONE[] = {"check", "dump", "compact", "repair"};
	struct disk disk;
	const char *why;
	int holder;
	char held[64];
	snprintf(held, sizeof(held), "it is in use by process %d", (int)getpid());
	assert_int_equal(disk_open_directory(&disk, scene->path, false, &why), 0);
	assert_int_equal(disk_lock(&disk, &holder), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(run(scene, ALONE[i], scene->path, NULL), 1);
		assert_says(scene, held);
		assert_int_equal(run(scene, ALONE[i], scene->copy, NULL), 1);
		assert_says(scene, "there is no such directory");
		assert_int_equal(run(scene, ALONE[i], "--unknown", NULL), 2);
		assert_int_equal(run(scene, ALONE[i], NULL, NULL), 2);
		assert_int_equal(run(scene, ALONE[i], "--help", NULL), 0);
		assert_says(scene, "Usage: roost store ");
	}
	disk_close_directory(&disk);
	assert_int_equal(run(scene, "destroy", scene->path, NULL), 2);
	memory_disk_put(&scene->log.memory, "0000000003.log", "not a segment at all", 20);
	save(scene);
	assert_int_equal(run(scene, "check", scene->path, NULL), 1);
	assert_says(scene, "0000000003.log: this is no segment of a Roost store");
	memory_disk_put(&scene->log.memory, "id", "roost-store 2\n", 14);
	save(scene);
	assert_int_equal(run(scene, "repair", scene->path, NULL), 1);
	assert_says(scene, "newer format");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(check_says_what_a_store_holds),
		TEST(check_tells_damage_with_its_place),
		TEST(dump_prints_records_and_what_they_amount_to),
		TEST(compact_keeps_what_it_holds),
		TEST(backup_is_a_store),
		TEST(backup_takes_revocations_along),
		TEST(backup_into_the_store_itself),
		TEST(a_damaged_store_is_not_backed_up_as_a_good_one),
		TEST(repair_keeps_what_can_be_read),
		TEST(repair_refuses_a_number_that_leaves_none),
		TEST(a_store_that_holds_nothing_is_not_called_sound),
		TEST(repair_refuses_where_no_segment_can_be_read),
		TEST(what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
