#include "tool/store/log_writer.h"

#include "base/check.h"
#include "store/format/segment_file.h"

#include <errno.h>
#include <stdlib.h>

#define COMMIT_BYTES ((size_t)1 << 20)
#define SECTION_AT sizeof(struct store_commit_header)
#define RECORDS_AT (SECTION_AT + sizeof(struct store_section_header))

void log_writer_open(struct log_writer *writer, const struct disk *disk, const struct store_identity *identity,
		     uint32_t after_segment, uint64_t after_epoch, uint64_t after_commit, int64_t wall_s)
{
	*writer = (struct log_writer){.disk = disk,
				      .next_commit = after_commit + 1,
				      .wall_s = wall_s,
				      .first_segment = after_segment + 1,
				      .size = RECORDS_AT};
	store_segment_header_make(&writer->segment, identity->id, after_segment + 1, after_epoch + 1,
				  writer->next_commit, wall_s);
}

static void note(struct log_writer *writer, int error)
{
	if (writer->error == 0)
		writer->error = error;
}

/* ---- segments ---- */

static void begin_segment(struct log_writer *writer)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	const struct disk *disk = writer->disk;
	struct store_segment_header *segment = &writer->segment;
	int error =
		disk->operations->open(disk->context, store_segment_name(segment->number, name), true, &writer->file);
	if (error != 0) {
		writer->file = NULL;
		note(writer, error);
		return;
	}
	note(writer, disk->operations->write(disk->context, writer->file, segment, sizeof(*segment), 0));
	writer->offset = sizeof(*segment);
}

static void end_segment(struct log_writer *writer)
{
	if (writer->file == NULL)
		return;
	note(writer, writer->disk->operations->sync(writer->disk->context, writer->file));
	writer->disk->operations->close(writer->disk->context, writer->file);
	writer->file = NULL;
}

static void next_segment(struct log_writer *writer)
{
	const struct store_segment_header before = writer->segment;
	end_segment(writer);
	store_segment_header_make(&writer->segment, before.store_id, before.number + 1, before.epoch,
				  writer->next_commit, writer->wall_s);
}

/* ---- commits ---- */

static bool make_room(struct log_writer *writer, size_t bytes)
{
	if (writer->size + bytes <= writer->room)
		return true;
	size_t room = (writer->size + bytes) * 2;
	uint8_t *grown = realloc(writer->commit, room);
	if (grown == NULL) {
		note(writer, -ENOMEM);
		return false;
	}
	writer->commit = grown;
	writer->room = room;
	return true;
}

static void pad(struct log_writer *writer)
{
	size_t padding = -writer->size % STORE_ALIGNMENT;
	if (!make_room(writer, padding))
		return;
	memset(writer->commit + writer->size, 0, padding);
	writer->size += padding;
}

static void add_section(struct log_writer *writer, uint16_t section, int64_t value)
{
	struct store_section_header header = {.shard = section, .wall_s = value};
	if (!make_room(writer, sizeof(header)))
		return;
	memcpy(writer->commit + writer->size, &header, sizeof(header));
	writer->size += sizeof(header);
}

static void end_records(struct log_writer *writer)
{
	struct store_section_header header = {.bytes = (uint32_t)(writer->size - RECORDS_AT), .wall_s = writer->wall_s};
	if (!make_room(writer, 0))
		return;
	memcpy(writer->commit + SECTION_AT, &header, sizeof(header));
	pad(writer);
}

static void write_commit(struct log_writer *writer)
{
	if (writer->offset >= STORE_SEGMENT_BYTES)
		next_segment(writer);
	if (writer->error == 0 && writer->file == NULL)
		begin_segment(writer);
	if (writer->error != 0)
		return;
	CHECK_EQ(writer->size % STORE_ALIGNMENT, 0u);
	store_commit_seal(writer->commit, (uint32_t)(writer->size - SECTION_AT), &writer->segment,
			  writer->next_commit++, writer->wall_s);
	note(writer, writer->disk->operations->write(writer->disk->context, writer->file, writer->commit, writer->size,
						     writer->offset));
	writer->offset += writer->size;
	writer->bytes += writer->size;
	writer->size = RECORDS_AT;
}

void log_writer_add(struct log_writer *writer, const struct store_record *record)
{
	CHECK_GE(writer->size, RECORDS_AT);
	if (writer->error != 0 || !make_room(writer, store_record_bytes_max(record)))
		return;
	writer->size += store_record_encode(record, writer->commit + writer->size);
	if (writer->size < COMMIT_BYTES)
		return;
	end_records(writer);
	add_section(writer, STORE_SECTION_UNSYNCED, 0);
	write_commit(writer);
}

int log_writer_end(struct log_writer *writer, bool stopped)
{
	/* The checkpoint must not be there without what it stands for. */
	if (writer->error == 0 && writer->file == NULL)
		begin_segment(writer);
	if (writer->error == 0)
		note(writer, writer->disk->operations->sync(writer->disk->context, writer->file));
	if (writer->error == 0)
		note(writer, writer->disk->operations->sync_names(writer->disk->context));
	if (writer->error == 0 && make_room(writer, 0)) {
		end_records(writer);
		add_section(writer, STORE_SECTION_CHECKPOINT, writer->first_segment);
		if (stopped)
			add_section(writer, STORE_SECTION_STOP, 0);
		if (writer->offset >= STORE_SEGMENT_BYTES)
			next_segment(writer);
		write_commit(writer);
	}
	end_segment(writer);
	CHECK(writer->file == NULL);
	if (writer->error == 0)
		note(writer, writer->disk->operations->sync_names(writer->disk->context));
	return writer->error;
}

void log_writer_close(struct log_writer *writer, bool undo)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	const struct disk *disk = writer->disk;
	if (writer->file != NULL)
		disk->operations->close(disk->context, writer->file);
	for (uint32_t number = writer->segment.number; undo && number >= writer->first_segment; number--)
		disk->operations->remove(disk->context, store_segment_name(number, name));
	free(writer->commit);
	writer->commit = NULL;
}
