#include "tool/store/opened.h"

#include "tool/store/commands.h"

#include "base/check.h"
#include "base/format.h"
#include "cli/command.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool opened_complain(const struct opened_store *store, const char *fault)
{
	return cli_complain(store->command, store->directory, fault);
}

bool opened_complain_errno(const struct opened_store *store, int error)
{
	return opened_complain(store, strerror(-error)); /* NOLINT(concurrency-mt-unsafe): one thread */
}

/* ---- opening ---- */

static bool opened_lock(struct opened_store *store)
{
	int holder;
	int error = disk_lock(&store->disk, &holder);
	if (error == 0)
		return true;
	if (error != -EAGAIN)
		return opened_complain_errno(store, error);
	char fault[80] = "it is in use by another process";
	if (holder != 0)
		snprintf(fault, sizeof(fault), "it is in use by process %d", holder);
	return opened_complain(store, fault);
}

/* Root goes on as the owner of the directory, who must be able to read what is written to it. */
static bool opened_become_owner(const struct opened_store *store)
{
	struct stat status;
	if (geteuid() != 0)
		return true;
	if (stat(store->directory, &status) == 0 && setegid(status.st_gid) == 0 && seteuid(status.st_uid) == 0)
		return true;
	return opened_complain_errno(store, -errno);
}

bool opened_open(struct opened_store *store, const char *command, const char *directory, enum opened_use use)
{
	*store = (struct opened_store){.command = command, .directory = directory};
	const char *why;
	int error = disk_open_directory(&store->disk, directory, false, &why);
	if (error == -ENOENT)
		return opened_complain(store, "there is no such directory");
	if (error != 0)
		return why != NULL ? opened_complain(store, why) : opened_complain_errno(store, error);
	if (use == OPENED_ALONE && !opened_become_owner(store))
		return false;
	enum error result = store_identity_load(&store->disk, &store->identity, &why);
	if (result == ERROR_NOT_FOUND)
		return opened_complain(store, "this is no Roost store: it has no file `id`");
	if (result != ERROR_OK)
		return opened_complain(store, why);
	return use == OPENED_SHARED || opened_lock(store);
}

void opened_close(struct opened_store *store)
{
	store_progress_end(&store->progress);
	model_free(&store->model);
	replay_fini(&store->replay);
	disk_close_directory(&store->disk);
}

/* ---- reading ---- */

void opened_show_progress(void *context, uint64_t done, uint64_t all)
{
	struct opened_store *store = context;
	store_progress_update(&store->progress, done, all);
}

void opened_print_damage(void *context, const char *what)
{
	struct opened_store *store = context;
	store_progress_end(&store->progress);
	fprintf(stderr, "%s/%s\n", store->directory, what);
}

bool opened_replay(struct opened_store *store, const struct replay_hooks *hooks)
{
	CHECK(store->model == NULL && store->replay.segments == NULL); /* once */
	struct replay_hooks own = *hooks;
	if (own.context == NULL) {
		own.context = store;
		own.progress = opened_show_progress;
	}
	store->progress = store_progress_begin("reading");
	store->model = model_new();
	if (store->model == NULL)
		return opened_complain(store, "out of memory");
	enum error error = replay_run(&store->disk, &store->identity, &own, store->model, &store->replay);
	store_progress_end(&store->progress);
	if (error == ERROR_NO_MEMORY)
		return opened_complain(store, "out of memory");
	if (error != ERROR_OK)
		return opened_complain(store, store->replay.damage);
	return true;
}

void opened_print_summary(const struct opened_store *store)
{
	const struct model *model = store->model;
	const struct replay *replay = &store->replay;
	char text[FORMAT_BYTES];
	uint64_t bytes = 0, promised = 0;
	for (uint32_t i = 0; i < replay->segment_count; i++)
		bytes += replay->segments[i].file_bytes;
	for (const struct model_promised *at = model->promised; at != NULL; at = at->next)
		promised++;
	printf("segments       %u, %s\n", replay->segment_count, format_bytes((double)bytes, text));
	printf("log            epoch %" PRIu64 " from segment %u, %" PRIu64 " commits, %" PRIu64 " records\n",
	       replay->epoch, replay->base_segment, replay->commits, replay->records);
	if (replay->wall_s != 0)
		printf("last commit    %" PRIu64 ", %s%s\n", replay->log_commit,
		       format_time((double)replay->wall_s, text), replay->stopped ? ", a clean stop" : "");
	printf("sessions       %s\n", format_count(model->session_count, text));
	printf("subscriptions  %s\n", format_count(model->subscription_count, text));
	printf("queued         %s", format_count(model->entry_count, text));
	printf(" times one of %s messages\n", format_count(model->message_count, text));
	printf("retained       %s\n", format_count(model->retained_count, text));
	if (promised != 0)
		printf("to pass on     %s\n", format_count(promised, text));
	if (replay->cut_bytes != 0)
		printf("cut off        %s at byte %" PRIu64 " of segment %u: they were being written when it stopped\n",
		       format_bytes((double)replay->cut_bytes, text), replay->cut_offset, replay->cut_segment);
}

/* ---- bodies ---- */

struct body {
	struct store_place place;
	const struct model_message *message;
};

struct body_list {
	struct body *bodies;
	uint64_t count;
};

static void collect_body(void *argument, const struct model_message *message)
{
	struct body_list *list = argument;
	list->bodies[list->count++] = (struct body){.place = message->place, .message = message};
}

static int compare_bodies(const void *left, const void *right)
{
	const struct store_place *a = &((const struct body *)left)->place, *b = &((const struct body *)right)->place;
	if (a->segment != b->segment)
		return a->segment < b->segment ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* The end of the last whole commit. */
static size_t whole_bytes(const struct segment_file *file)
{
	struct segment_walk walk = segment_walk(file);
	while (segment_walk_next(&walk) == STORE_COMMIT_GOOD)
		;
	return walk.offset;
}

static bool body_is_there(const struct segment_file *file, size_t whole, const struct body *body)
{
	struct store_record record;
	const struct publication *publication = &body->message->publication;
	if (body->place.offset >= whole)
		return false;
	struct slice rest = slice_of(file->bytes + body->place.offset, whole - body->place.offset);
	return store_record_decode(rest, &record) != 0 && record.kind == STORE_KEPT &&
	       record.packet_bytes == publication->packet_bytes && record.topic_bytes == publication->topic_bytes &&
	       record.header_bytes == publication->header_bytes && store_record_is_intact(&record);
}

static void verify_segment(struct opened_store *store, struct segment_file *file, const struct body *bodies,
			   uint64_t count, uint64_t *lost)
{
	struct segment_file_head head;
	uint32_t number = bodies[0].place.segment;
	uint64_t before = *lost;
	int error = segment_file_head(&store->disk, number, &head);
	if (error == 0 && head.state == STORE_HEADER_GOOD)
		error = segment_file_read(&store->disk, &head.header, true, file);
	bool is_read = error == 0 && head.state == STORE_HEADER_GOOD;
	size_t whole = is_read ? whole_bytes(file) : 0;
	for (uint64_t i = 0; i < count; i++)
		if (!is_read || !body_is_there(file, whole, &bodies[i]))
			(*lost)++;
	char name[STORE_SEGMENT_NAME_BYTES], what[160];
	if (*lost == before)
		return;
	snprintf(what, sizeof(what),
		 "%s: %" PRIu64 " of the %" PRIu64 " bodies in it cannot be read, up to byte %zu%s%s",
		 store_segment_name(number, name), *lost - before, count, whole, error != 0 ? ": " : "",
		 error != 0 ? strerror(-error) : "");
	opened_print_damage(store, what);
	for (uint32_t i = 0; i < store->replay.segment_count; i++)
		if (store->replay.segments[i].number == number)
			store->replay.segments[i].is_damaged = true;
}

bool opened_verify_bodies(struct opened_store *store, uint64_t *lost)
{
	struct body_list list = {.bodies = calloc(store->model->message_count + 1, sizeof(struct body))};
	*lost = 0;
	if (list.bodies == NULL)
		return opened_complain(store, "out of memory");
	model_each_message(store->model, collect_body, &list);
	CHECK_EQ(list.count, store->model->message_count);
	qsort(list.bodies, list.count, sizeof(*list.bodies), compare_bodies);
	store->progress = store_progress_begin("reading bodies");
	struct segment_file file = {.bytes = NULL};
	for (uint64_t first = 0, end; first < list.count; first = end) {
		for (end = first; end < list.count; end++)
			if (list.bodies[end].place.segment != list.bodies[first].place.segment)
				break;
		verify_segment(store, &file, list.bodies + first, end - first, lost);
		store_progress_update(&store->progress, end, list.count);
	}
	store_progress_end(&store->progress);
	segment_file_fini(&file);
	free(list.bodies);
	return *lost == 0;
}

int opened_run(int argc, char **argv, const struct cli_command *cli, bool (*work)(struct opened_store *store))
{
	int status;
	if (!cli_parse(argc, argv, cli, NULL, &status))
		return status;
	if (argc - optind != 1)
		return store_command_wants(cli->name, "a directory is required");
	struct opened_store store;
	bool good = opened_open(&store, cli->name, argv[optind], OPENED_ALONE) && work(&store);
	opened_close(&store);
	return good ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}
