#include "base/check.h"
#include "base/log.h"
#include "commit/follow/mark.h"
#include "nodes/replica/replica_worker_state.h"
#include "store/format/segment_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPIES_NAME "replicas"
/* Names that are read before they are removed. */
#define REPLICA_DROP_MAX 256u

/* ---- copies ---- */

bool replica_name_is_good(const char *name)
{
	size_t size = strlen(name);
	return size != 0 && size < CLUSTER_NAME_BYTES_MAX && name[0] != '.' && strchr(name, '/') == NULL;
}

static void kept_free(struct kept *kept)
{
	if (kept == NULL)
		return;
	keeper_close(&kept->keeper);
	if (kept->disk.operations != NULL)
		disk_close_directory(&kept->disk);
	free(kept);
}

static uint64_t kept_epoch(const struct kept *kept)
{
	const struct keeper *keeper = &kept->keeper;
	return keeper->count != 0 ? keeper->segments[keeper->count - 1].header.epoch : 0;
}

void replica_copies_let_go(struct replica_worker *worker, uint8_t slot)
{
	kept_free(worker->kept[slot]);
	worker->kept[slot] = NULL;
}

static int open_copy(struct replica_worker *worker, struct kept *kept, const char *name, const char **why)
{
	struct disk parent;
	int holder = 0;
	snprintf(kept->path, sizeof(kept->path), "%s/" COPIES_NAME, worker->directory);
	int error = disk_open_directory(&parent, kept->path, true, why);
	if (error != 0)
		return error;
	disk_close_directory(&parent);
	snprintf(kept->path, sizeof(kept->path), "%s/" COPIES_NAME "/%s", worker->directory, name);
	error = disk_open_directory(&kept->disk, kept->path, true, why);
	if (error != 0) {
		kept->disk.operations = NULL;
		return error;
	}
	error = disk_lock(&kept->disk, &holder);
	if (error == -EAGAIN)
		*why = "another process uses the copy";
	return error;
}

static struct replica_work *make_held(const struct kept *kept)
{
	const struct keeper *keeper = &kept->keeper;
	size_t bytes = (size_t)keeper->count * REPLICATION_SEGMENT_BYTES;
	struct replication_held head = {.stream = kept->stream, .count = keeper->count};
	uint8_t head_bytes[REPLICATION_HELD_BYTES];
	struct follow_held *held = calloc((size_t)keeper->count + 1, sizeof(*held));
	uint8_t *segments = malloc(bytes + 1);
	struct replica_work *note = NULL;
	if (held != NULL && segments != NULL) {
		keeper_held(keeper, held);
		for (uint32_t i = 0; i < keeper->count; i++) {
			struct replication_segment segment = {.number = held[i].number,
							      .bytes = held[i].bytes,
							      .next_commit = held[i].next_commit,
							      .header_checksum = held[i].header_checksum};
			replication_put_segment(&segment, segments + (size_t)i * REPLICATION_SEGMENT_BYTES);
		}
		replication_put_held(&head, head_bytes);
		note = replica_work_new(REPLICA_NOTE_HELD, slice_of(head_bytes, sizeof(head_bytes)),
					slice_of(segments, bytes));
	}
	free(held);
	free(segments);
	return note;
}

void replica_copies_keep(struct replica_worker *worker, const struct replica_work *job)
{
	const char *why = NULL;
	replica_copies_let_go(worker, job->slot);
	struct kept *kept = calloc(1, sizeof(*kept));
	if (kept == NULL) {
		replica_worker_refuse(worker, job->slot, job->stream, "there is no memory for it");
		return;
	}
	worker->kept[job->slot] = kept;
	kept->stream = job->stream;
	kept->is_told = true;
	int error = open_copy(worker, kept, job->name, &why);
	if (error != 0 && why == NULL)
		why = strerror(-error); /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
	/* Whoever asked for it knows that the copy before was taken over, or it is of another store. */
	if (error == 0)
		mark_remove(&kept->disk);
	if (error == 0 && keeper_open(&kept->keeper, &kept->disk, &job->identity) != KEEPER_TAKEN)
		why = kept->keeper.why;
	struct replica_work *note = why == NULL ? make_held(kept) : NULL;
	if (note == NULL) {
		replica_worker_refuse(worker, job->slot, job->stream, why != NULL ? why : "there is no memory for it");
		replica_copies_let_go(worker, job->slot);
		return;
	}
	note->slot = job->slot;
	note->stream = job->stream;
	note->epoch = kept_epoch(kept);
	note->last_commit = kept->keeper.last_commit;
	note->bytes = kept->keeper.bytes;
	replica_worker_note(worker, note);
}

void replica_copies_apply(struct replica_worker *worker, const struct replica_work *job)
{
	struct kept *kept = worker->kept[job->slot];
	struct replication_bytes head;
	struct slice bytes;
	CHECK(replication_get_bytes(slice_of(job->body, job->body_bytes), &head, &bytes));
	if (kept == NULL || kept->stream != head.stream)
		return; /* it was refused, or is of an offer before */
	enum keeper_result result = KEEPER_TAKEN;
	if (job->message == REPLICATION_BYTES)
		result = keeper_put(&kept->keeper, head.segment, head.offset, bytes);
	else if (job->message == REPLICATION_GONE)
		result = keeper_remove(&kept->keeper, head.segment);
	if (result != KEEPER_TAKEN) {
		replica_worker_refuse(worker, job->slot, job->stream, kept->keeper.why);
		replica_copies_let_go(worker, job->slot);
		return;
	}
	kept->position = head.position;
	kept->pieces++;
	kept->is_told = false;
}

/* One sync for all that was applied. */
void replica_copies_confirm(struct replica_worker *worker, uint8_t slot)
{
	struct kept *kept = worker->kept[slot];
	if (kept == NULL || kept->is_told)
		return;
	struct replica_work *note = NULL;
	if (keeper_sync(&kept->keeper) == KEEPER_TAKEN)
		note = replica_work_new(REPLICA_NOTE_SAFE, slice_of(NULL, 0), slice_of(NULL, 0));
	else
		replica_worker_refuse(worker, slot, kept->stream, kept->keeper.why);
	if (note == NULL) {
		replica_copies_let_go(worker, slot);
		return;
	}
	kept->is_told = true;
	note->slot = slot;
	note->stream = kept->stream;
	note->position = kept->position;
	note->pieces = kept->pieces;
	note->epoch = kept_epoch(kept);
	note->last_commit = kept->keeper.last_commit;
	note->bytes = kept->keeper.bytes;
	replica_worker_note(worker, note);
}

/* ---- a copy that is not needed any more ---- */

struct dropping {
	const struct disk *disk;
	char names[REPLICA_DROP_MAX][STORE_SEGMENT_NAME_BYTES];
	uint32_t count;
};

static void dropping_name(void *argument, const char *name)
{
	struct dropping *dropping = argument;
	if (dropping->count < REPLICA_DROP_MAX && strlen(name) < STORE_SEGMENT_NAME_BYTES)
		snprintf(dropping->names[dropping->count++], STORE_SEGMENT_NAME_BYTES, "%s", name);
}

/* What it cannot remove is looked at with the next start. */
void replica_copies_drop(struct replica_worker *worker, const char *name)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	struct dropping *dropping = calloc(1, sizeof(*dropping));
	const char *why = NULL;
	if (kept != NULL && dropping != NULL && open_copy(worker, kept, name, &why) == 0) {
		const struct disk *disk = &kept->disk;
		do {
			dropping->count = 0;
			disk->operations->list(disk->context, dropping_name, dropping);
			for (uint32_t i = 0; i < dropping->count; i++)
				disk->operations->remove(disk->context, dropping->names[i]);
		} while (dropping->count == REPLICA_DROP_MAX);
		rmdir(kept->path);
	}
	kept_free(kept);
	free(dropping);
}

/* ---- all copies that there are ---- */

struct found_names {
	char (*names)[CLUSTER_NAME_BYTES_MAX];
	uint32_t count;
};

static void found_name(void *argument, const char *name)
{
	struct found_names *found = argument;
	if (found->count < NODES_MAX && replica_name_is_good(name))
		snprintf(found->names[found->count++], CLUSTER_NAME_BYTES_MAX, "%s", name);
}

static void worker_found(struct replica_worker *worker, const char *name)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	const char *why = NULL;
	struct store_identity identity;
	bool good = kept != NULL && open_copy(worker, kept, name, &why) == 0 &&
		    store_identity_load(&kept->disk, &identity, &why) == ERROR_OK &&
		    keeper_open(&kept->keeper, &kept->disk, &identity) == KEEPER_TAKEN;
	struct replica_work *note =
		good ? replica_work_new(REPLICA_NOTE_FOUND, slice_of(NULL, 0), slice_of(NULL, 0)) : NULL;
	if (note != NULL) {
		struct mark mark;
		bool is_taken = mark_load(&kept->disk, &mark) == ERROR_OK;
		note->identity = identity;
		note->bytes = kept->keeper.bytes;
		note->epoch = is_taken ? mark.epoch : kept_epoch(kept);
		note->last_commit = is_taken ? mark.commit : kept->keeper.last_commit;
		note->sessions = is_taken ? mark.sessions : REPLICA_NOT_TAKEN;
		snprintf(note->name, sizeof(note->name), "%s", name);
		replica_worker_note(worker, note);
	} else {
		log_write(LOG_WARNING, "the copy in %s/" COPIES_NAME "/%s cannot be used%s%s", worker->directory, name,
			  why != NULL ? ": " : "", why != NULL ? why : "");
	}
	kept_free(kept);
}

void replica_copies_list(struct replica_worker *worker)
{
	struct disk parent;
	const char *why = NULL;
	char path[PATH_BYTES_MAX];
	struct found_names found = {.names = calloc(NODES_MAX, CLUSTER_NAME_BYTES_MAX)};
	snprintf(path, sizeof(path), "%s/" COPIES_NAME, worker->directory);
	if (found.names != NULL && disk_open_directory(&parent, path, false, &why) == 0) {
		parent.operations->list(parent.context, found_name, &found);
		disk_close_directory(&parent);
	}
	for (uint32_t i = 0; i < found.count; i++)
		worker_found(worker, found.names[i]);
	free(found.names);
	struct replica_work *note = replica_work_new(REPLICA_NOTE_FOUND, slice_of(NULL, 0), slice_of(NULL, 0));
	if (note != NULL)
		replica_worker_note(worker, note);
}
