#include "commit/gather.h"

#include "base/check.h"
#include "store/format/record.h"
#include "store/model/replay.h"

#include <stdlib.h>
#include <string.h>

/* ---- taking ---- */

bool gather_take(struct writer *writer)
{
	bool has_some = false;
	for (uint16_t i = 0; i < writer->common->shard_count; i++) {
		struct writer_shard *shard = &writer->shards[i];
		struct buffer *taken = buffers_take(&writer->common->shards[i].buffers);
		if (taken != NULL)
			CHECK_EQ(taken->number,
				 1 + (shard->pending != NULL ? shard->pending_last->number : shard->taken));
		if (taken != NULL && shard->pending == NULL)
			shard->pending = shard->pending_last = taken;
		else if (taken != NULL)
			shard->pending_last->next = taken;
		while (shard->pending_last != NULL && shard->pending_last->next != NULL)
			shard->pending_last = shard->pending_last->next;
		has_some |= shard->pending != NULL;
	}
	return has_some;
}

bool gather_waiting(const struct writer *writer)
{
	for (uint16_t i = 0; i < writer->common->shard_count; i++) {
		if (buffers_waiting(&writer->common->shards[i].buffers))
			return true;
	}
	return false;
}

/* ---- bodies that are elsewhere ---- */

/* What the moves of one buffer have in common. */
struct gather_moves {
	struct disk_file *file; /* of the last segment that was read; NULL: none */
	uint32_t segment;
	size_t bytes;      /* moved so far */
	size_t bytes_left; /* of the buffer, behind the record that is being resolved */
};

static void gather_moves_close(const struct writer *writer, struct gather_moves *moves)
{
	if (moves->file != NULL)
		writer->segments.disk->operations->close(writer->segments.disk->context, moves->file);
	moves->file = NULL;
}

/* So that a commit keeps its bound: the checkpoint that reads a whole segment's bodies is told in few buffers. What
 * stays keeps its segment, and the next checkpoint moves it. A body that is longer than a commit goes alone. */
static bool gather_may_move(const struct writer *writer, const struct gather_moves *moves, uint32_t packet_bytes,
			    size_t size)
{
	size_t all = writer->tail.commit_size + size + moves->bytes_left + packet_bytes + STORE_RECORD_HEAD_BYTES_MAX;
	return moves->bytes == 0 || all + WRITER_CARRY_BYTES_MAX <= STORE_COMMIT_BYTES_MAX;
}

/* Reads the body of a message out of a segment that is to go. NULL: it cannot be read now; it stays where it is. */
static uint8_t *gather_read_body(const struct writer *writer, struct gather_moves *moves, const struct body *body,
				 const struct store_record *record)
{
	const struct disk *disk = writer->segments.disk;
	char name[STORE_SEGMENT_NAME_BYTES];
	if (moves->file == NULL || moves->segment != body->segment) {
		gather_moves_close(writer, moves);
		store_segment_name(body->segment, name);
		if (disk->operations->open(disk->context, name, false, &moves->file) != 0) {
			moves->file = NULL;
			return NULL;
		}
		moves->segment = body->segment;
	}
	struct publication publication = store_record_publication(record);
	uint8_t *packet = NULL;
	int error;
	if (replay_read_body(disk, moves->file, body->offset, &publication, &packet, &error) != ERROR_OK)
		packet = NULL;
	return packet;
}

/* One KEPT_AT, encoded anew at `to`; NULL: no memory. */
static uint8_t *gather_resolve_one(struct writer *writer, uint16_t shard, struct gather_moves *moves,
				   struct store_record *record, size_t size)
{
	struct body body;
	bool known = bodies_find(writer->bodies, shard, record->message, &body);
	CHECK(known); /* a shard lets a body go only once it is safe in the log */
	const struct segment *segment = segments_find(&writer->segments, body.segment);
	uint8_t *packet = NULL;
	if (segment != NULL && segment->moving && gather_may_move(writer, moves, record->packet_bytes, size))
		packet = gather_read_body(writer, moves, &body, record);
	record->segment = body.segment;
	record->offset = body.offset;
	record->flags |= STORE_FLAG_AGAIN; /* it is known from before the buffer */
	if (packet != NULL) {
		record->kind = STORE_KEPT;
		record->body = slice_of(packet, record->packet_bytes);
		moves->bytes += record->packet_bytes;
	}
	uint8_t *to = NULL;
	if (region_grow(&writer->resolved, size + store_record_bytes_max(record)) == ERROR_OK) {
		to = writer->resolved.base + size;
		to += store_record_encode(record, to);
	}
	free(packet);
	return to;
}

/* The buffer's records with the places of bodies filled in; data NULL: no memory. */
static struct slice gather_resolve(struct writer *writer, uint16_t shard, const struct buffer *buffer)
{
	struct slice in = slice_of(buffer->region.base, buffer->size);
	if (buffer->kept_at == 0)
		return in;
	struct gather_moves moves = {.file = NULL};
	size_t size = 0;
	for (size_t at = 0; at < in.size;) {
		struct store_record record;
		size_t bytes = store_record_decode(slice_of(in.data + at, in.size - at), &record);
		CHECK(bytes != 0); /* our own */
		uint8_t *end = NULL;
		moves.bytes_left = in.size - at - bytes;
		if (record.kind == STORE_KEPT_AT) {
			end = gather_resolve_one(writer, shard, &moves, &record, size);
		} else if (region_grow(&writer->resolved, size + bytes) == ERROR_OK) {
			memcpy(writer->resolved.base + size, in.data + at, bytes);
			end = writer->resolved.base + size + bytes;
		}
		if (end == NULL) {
			gather_moves_close(writer, &moves);
			return slice_of(NULL, 0);
		}
		size = (size_t)(end - writer->resolved.base);
		at += bytes;
	}
	gather_moves_close(writer, &moves);
	return slice_of(writer->resolved.base, size);
}

/* ---- bodies that need not be written again ---- */

/* Whether the table has the place of each message that was kept before this commit. */
static bool gather_knows_places(const struct writer *writer)
{
	return writer->settled == writer->tail.commit_count;
}

/* What is not synced may be written again elsewhere. */
static bool gather_is_in_tail(const struct tail *tail, const struct body *body)
{
	if (tail->commit_count == 0)
		return false;
	const struct tail_commit *first = &tail->commits[0];
	return body->segment > first->segment || (body->segment == first->segment && body->offset >= first->offset);
}

struct gather_places {
	const struct writer *writer;
	uint16_t shard;
};

static bool gather_find_place(void *context, uint32_t message, uint32_t *segment, uint32_t *offset)
{
	const struct gather_places *places = context;
	const struct writer *writer = places->writer;
	struct body body;
	if (!bodies_find(writer->bodies, places->shard, message, &body) || gather_is_in_tail(&writer->tail, &body))
		return false;
	const struct segment *found = segments_find(&writer->segments, body.segment);
	if (found == NULL || found->moving || found->failed)
		return false;
	*segment = body.segment;
	*offset = body.offset;
	return true;
}

/* ---- sections ---- */

static void gather_count(struct writer *writer, const struct squeezed *squeezed)
{
	CHECK_LE(squeezed->records, squeezed->records_before);
	figures_add(&writer->figures->records_squeezed, squeezed->records_before - squeezed->records);
}

/* Room in the tail for the shard's section; what it carried along is at its beginning. NULL: no memory. */
static uint8_t *gather_room(struct writer *writer, const struct writer_shard *shard, size_t bytes)
{
	uint8_t *room = tail_room(&writer->tail, shard->carry_bytes + bytes);
	if (room != NULL && shard->carry_bytes != 0)
		memcpy(room, shard->carry, shard->carry_bytes);
	return room;
}

static enum error gather_add_section(struct writer *writer, uint16_t number, int64_t wall_s, uint64_t since_ns,
				     size_t bytes, uint32_t records)
{
	struct writer_shard *shard = &writer->shards[number];
	enum error error = tail_add(&writer->tail, number, wall_s, shard->carry_bytes + bytes);
	if (error != ERROR_OK)
		return error;
	figures_add(&writer->figures->records, records + shard->carry_records);
	shard->carry_bytes = 0;
	shard->carry_records = 0;
	shard->in_tail = true;
	if (shard->tail_since_ns == 0)
		shard->tail_since_ns = since_ns;
	return ERROR_OK;
}

/* What is left may wait, with what waits already. False: it is too much. */
static bool gather_carry(struct writer_shard *shard, const uint8_t *records, const struct squeezed *squeezed)
{
	CHECK(squeezed->only_numbered && shard->carry_bytes <= WRITER_CARRY_BYTES_MAX);
	if (shard->carry_bytes + squeezed->bytes > WRITER_CARRY_BYTES_MAX)
		return false;
	if (squeezed->bytes != 0)
		memcpy(shard->carry + shard->carry_bytes, records, squeezed->bytes);
	shard->carry_bytes += squeezed->bytes;
	shard->carry_records += squeezed->records;
	return true;
}

/* Notes the removals of retained topics (commit/checkpoints.h). */
static enum error gather_note_gone(struct writer *writer, struct slice records)
{
	for (size_t at = 0; at < records.size;) {
		struct store_record record;
		size_t bytes = store_record_decode(slice_of(records.data + at, records.size - at), &record);
		CHECK(bytes != 0); /* our own */
		if (store_kind_is_retained_gone(record.kind)) {
			size_t needed = writer->gone_bytes + bytes;
			size_t room = needed > writer->gone_room ? 2 * needed : writer->gone_room;
			uint8_t *grown = room != writer->gone_room ? realloc(writer->gone, room) : writer->gone;
			if (grown == NULL)
				return ERROR_NO_MEMORY;
			writer->gone = grown;
			writer->gone_room = room;
			memcpy(grown + writer->gone_bytes, records.data + at, bytes);
			writer->gone_bytes = needed;
		}
		at += bytes;
	}
	return ERROR_OK;
}

/* The buffer is in the commit, or left nothing. */
static void gather_done(struct writer *writer, uint16_t number, struct buffer *buffer)
{
	struct writer_shard *shard = &writer->shards[number];
	CHECK(shard->pending == buffer && buffer->number == shard->taken + 1);
	shard->pending = buffer->next;
	if (shard->pending == NULL)
		shard->pending_last = NULL;
	shard->taken = buffer->number;
	shard->taken_bytes += buffer->size;
	shard->wall_s = writer->wall_s = buffer->wall_s;
	writer->wall_at_ns = writer->now_ns;
	if (buffer->checkpoint_ended != 0)
		shard->checkpoint_ended = buffer->checkpoint_ended;
	buffers_give(&writer->common->shards[number].buffers, buffer);
}

static enum error gather_squeeze(struct writer *writer, uint16_t number, const struct buffer *buffer,
				 struct slice records, uint8_t *to, struct squeezed *squeezed)
{
	struct gather_places context = {.writer = writer, .shard = number};
	struct squeeze_places places = {.context = &context, .find = gather_find_place};
	bool knows = buffer->again_bytes != 0 && gather_knows_places(writer);
	CHECK(!knows || !writer->shards[number].has_told_bodies); /* gather_fits() */
	writer->squeeze.places = knows ? &places : NULL;
	enum error error = squeeze_run(&writer->squeeze, records, to, squeezed);
	writer->squeeze.places = NULL;
	CHECK_NE(error, ERROR_SYSTEM);
	return error;
}

static enum error gather_buffer(struct writer *writer, uint16_t number, struct buffer *buffer)
{
	struct writer_shard *shard = &writer->shards[number];
	struct slice records = gather_resolve(writer, number, buffer);
	uint8_t *room = records.data != NULL ? gather_room(writer, shard, records.size) : NULL;
	if (room == NULL)
		return ERROR_NO_MEMORY;
	struct squeezed squeezed;
	uint8_t *to = room + shard->carry_bytes;
	enum error error = gather_squeeze(writer, number, buffer, records, to, &squeezed);
	if (error == ERROR_OK && writer->checkpoint_waits)
		error = gather_note_gone(writer, slice_of(to, squeezed.bytes));
	if (error != ERROR_OK)
		return error;
	if (!squeezed.only_numbered || !gather_carry(shard, to, &squeezed)) {
		uint32_t told = writer->tail.told_count;
		error = tail_add_bodies(&writer->tail, number, writer->squeeze.bodies, writer->squeeze.body_count,
					shard->carry_bytes);
		if (error == ERROR_OK)
			error = gather_add_section(writer, number, buffer->wall_s, buffer->since_ns, squeezed.bytes,
						   squeezed.records);
		if (error != ERROR_OK) {
			writer->tail.told_count = told;
			return error;
		}
		shard->has_told_bodies |= writer->squeeze.body_count != 0;
	}
	gather_count(writer, &squeezed);
	writer->again_bytes += buffer->again_bytes + (records.size - buffer->size) - squeezed.bytes_placed;
	gather_done(writer, number, buffer);
	return ERROR_OK;
}

/* What a shard carried along, alone. */
static enum error gather_carried(struct writer *writer, uint16_t number)
{
	const struct writer_shard *shard = &writer->shards[number];
	if (shard->carry_bytes == 0)
		return ERROR_OK;
	if (gather_room(writer, shard, 0) == NULL)
		return ERROR_NO_MEMORY;
	return gather_add_section(writer, number, shard->wall_s, 0, 0, 0);
}

/* ---- commits ---- */

/* A buffer that tells again of messages has to know which of them were kept before: not in this commit. */
static bool gather_fits(const struct writer *writer, const struct writer_shard *shard, const struct buffer *buffer)
{
	if (buffer->again_bytes != 0 && shard->has_told_bodies && gather_knows_places(writer))
		return false;
	return !tail_has_section(&writer->tail) ||
	       writer->tail.commit_size + buffer->size + WRITER_CARRY_BYTES_MAX <= STORE_COMMIT_BYTES_MAX;
}

/* As if shard 0 told them: a removal is known by its topic and its number alone. */
static enum error gather_gone(struct writer *writer)
{
	if (writer->gone_bytes == 0)
		return ERROR_OK;
	uint8_t *room = tail_room(&writer->tail, writer->gone_bytes);
	if (room == NULL)
		return ERROR_NO_MEMORY;
	memcpy(room, writer->gone, writer->gone_bytes);
	return tail_add(&writer->tail, 0, writer->tail.wall_s, writer->gone_bytes);
}

/* A checkpoint of which all has been told ends with this commit. */
static enum error gather_checkpoint_end(struct writer *writer)
{
	for (uint16_t i = 0; i < writer->common->shard_count; i++) {
		if (writer->shards[i].checkpoint_ended != writer->checkpoint)
			return ERROR_OK;
	}
	if (gather_gone(writer) != ERROR_OK || tail_room(&writer->tail, 0) == NULL)
		return ERROR_NO_MEMORY;
	enum error error = tail_add(&writer->tail, STORE_SECTION_CHECKPOINT, writer->base_segment, 0);
	if (error != ERROR_OK)
		return error;
	free(writer->gone);
	writer->gone = NULL;
	writer->gone_bytes = writer->gone_room = 0;
	writer->checkpoint_runs = false;
	writer->checkpoint_is_written = true;
	writer->must_sync = true;
	return ERROR_OK;
}

static enum error gather_sections(struct writer *writer, enum gather_scope scope, int64_t *wall_s)
{
	for (uint16_t i = 0; i < writer->common->shard_count; i++) {
		struct writer_shard *shard = &writer->shards[i];
		shard->has_told_bodies = false;
		while (shard->pending != NULL && gather_fits(writer, shard, shard->pending)) {
			enum error error = gather_buffer(writer, i, shard->pending);
			if (error != ERROR_OK)
				return error;
		}
		if (shard->wall_s > *wall_s)
			*wall_s = shard->wall_s;
		enum error error =
			scope != GATHER_NEEDED && shard->pending == NULL ? gather_carried(writer, i) : ERROR_OK;
		if (error != ERROR_OK)
			return error;
	}
	return writer->checkpoint_runs ? gather_checkpoint_end(writer) : ERROR_OK;
}

static bool gather_has_pending(const struct writer *writer)
{
	for (uint16_t i = 0; i < writer->common->shard_count; i++) {
		if (writer->shards[i].pending != NULL)
			return true;
	}
	return false;
}

bool gather_commit(struct writer *writer, enum gather_scope scope, enum error *error)
{
	*error = tail_begin(&writer->tail);
	if (*error != ERROR_OK)
		return false;
	int64_t wall_s = writer->tail.wall_s;
	*error = gather_sections(writer, scope, &wall_s);
	if (*error == ERROR_OK && scope == GATHER_STOP && !gather_has_pending(writer)) {
		*error = tail_add(&writer->tail, STORE_SECTION_STOP, wall_s, 0);
		writer->must_sync = true;
	}
	if (!tail_has_section(&writer->tail)) {
		tail_drop(&writer->tail);
		return false;
	}
	tail_end(&writer->tail, wall_s);
	return true;
}

bool gather_heartbeat(struct writer *writer)
{
	if (tail_begin(&writer->tail) != ERROR_OK)
		return false;
	/* The time that the shards told last, and what has passed since: setting the wall clock changes no deadline
	 * while the process runs (store/deadline.h). */
	CHECK_GE(writer->now_ns, writer->wall_at_ns);
	tail_end(&writer->tail, writer->wall_s + (int64_t)((writer->now_ns - writer->wall_at_ns) / 1000000000u));
	return true;
}
