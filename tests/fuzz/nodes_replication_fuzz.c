/* What a node and its replica may be sent, from whoever may publish on the cluster's subjects. The first byte is the
 * kind of a message, and the rest its body. Behind the kind 0xff: messages that write a copy, one after the other, each
 * with a byte of flags (1: its header and commits get their checksums right, which no input finds by itself; 2: a sync
 * behind it) and a length of two bytes. What the keeper takes is whole. */
#include "fuzz.h"

#include "cluster/copy/replication.h"
#include "commit/follow/keeper.h"

#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SEALED 1u
#define SYNCED 2u
#define HEADER_BYTES sizeof(struct store_segment_header)
#define COMMIT_BYTES sizeof(struct store_commit_header)

static const struct store_identity IDENTITY = {.id = {'r', 'o', 'o', 's', 't'}};

/* ---- a disk that forgets ---- */

struct disk_file {
	uint64_t size;
};

static int disk_open(void *context, const char *name, bool create, struct disk_file **file)
{
	(void)context;
	(void)name;
	if (!create)
		return -ENOENT;
	*file = calloc(1, sizeof(**file));
	return *file != NULL ? 0 : -ENOMEM;
}

static void disk_close(void *context, struct disk_file *file)
{
	(void)context;
	free(file);
}

static int disk_write(void *context, struct disk_file *file, const void *bytes, size_t size, uint64_t offset)
{
	(void)context;
	(void)bytes;
	if (offset == file->size)
		file->size += size;
	return 0;
}

static int disk_sync(void *context, struct disk_file *file)
{
	(void)context;
	(void)file;
	return 0;
}

static int disk_sync_names(void *context)
{
	(void)context;
	return 0;
}

static int disk_remove(void *context, const char *name)
{
	(void)context;
	(void)name;
	return -ENOENT;
}

static int disk_rename(void *context, const char *from, const char *to)
{
	(void)context;
	(void)from;
	(void)to;
	return 0;
}

static int disk_list(void *context, void (*visit)(void *argument, const char *name), void *argument)
{
	(void)context;
	(void)visit;
	(void)argument;
	return 0;
}

static const struct disk_operations OPERATIONS = {.open = disk_open,
						  .close = disk_close,
						  .write = disk_write,
						  .sync = disk_sync,
						  .sync_names = disk_sync_names,
						  .remove = disk_remove,
						  .rename = disk_rename,
						  .list = disk_list};

/* ---- a copy ---- */

static void seal(uint8_t *bytes, size_t size, uint32_t number, uint64_t offset)
{
	struct store_segment_header header = {.number = number, .first_commit = 1};
	struct store_commit_header commit;
	size_t at = offset == 0 ? HEADER_BYTES : 0;
	memcpy(header.store_id, IDENTITY.id, sizeof(header.store_id));
	if (offset == 0 && size >= HEADER_BYTES) {
		memcpy(&header, bytes, HEADER_BYTES);
		header.checksum = XXH3_64bits(&header, HEADER_BYTES - sizeof(header.checksum));
		memcpy(bytes, &header, HEADER_BYTES);
	}
	for (; at + COMMIT_BYTES <= size; at += COMMIT_BYTES + commit.payload_bytes) {
		memcpy(&commit, bytes + at, COMMIT_BYTES);
		if (commit.payload_bytes > size - at - COMMIT_BYTES || commit.payload_bytes % STORE_ALIGNMENT != 0 ||
		    commit.number < header.first_commit)
			return;
		store_commit_seal(bytes + at, commit.payload_bytes, &header, commit.number, commit.wall_s);
	}
}

static void check_copy(const struct keeper *keeper)
{
	uint64_t bytes = 0;
	uint32_t before = 0;
	for (uint32_t i = 0; i < keeper->count; i++) {
		const struct keeper_segment *segment = &keeper->segments[i];
		CHECK(segment->header.number > before && segment->bytes >= HEADER_BYTES);
		CHECK_GE(segment->next_commit, segment->header.first_commit);
		CHECK(memcmp(segment->header.store_id, IDENTITY.id, sizeof(IDENTITY.id)) == 0);
		before = segment->header.number;
		bytes += segment->bytes;
	}
	CHECK_EQ(bytes, keeper->bytes);
}

static void apply(struct keeper *keeper, uint8_t *body, size_t size, uint8_t flags)
{
	struct replication_bytes head;
	struct slice bytes;
	if (!replication_get_bytes(slice_of(body, size), &head, &bytes))
		return;
	if ((flags & SEALED) != 0)
		seal(body + (size - bytes.size), bytes.size, head.segment, head.offset);
	uint64_t before = keeper->bytes;
	uint32_t count = keeper->count;
	enum keeper_result result = bytes.size != 0 ? keeper_put(keeper, head.segment, head.offset, bytes)
						    : keeper_remove(keeper, head.segment);
	if (result == KEEPER_REFUSED)
		CHECK(keeper->bytes == before && keeper->count == count && keeper->why[0] != '\0');
	if ((flags & SYNCED) != 0)
		CHECK_EQ(keeper_sync(keeper), KEEPER_TAKEN);
	check_copy(keeper);
}

static void write_copy(const uint8_t *data, size_t size)
{
	const struct disk disk = {.operations = &OPERATIONS};
	struct keeper keeper;
	CHECK_EQ(keeper_open(&keeper, &disk, &IDENTITY), KEEPER_TAKEN);
	while (size >= 3) {
		size_t bytes = (size_t)data[1] | (size_t)data[2] << 8;
		uint8_t flags = data[0];
		data += 3;
		size -= 3;
		bytes = bytes < size ? bytes : size;
		uint8_t *block = block_new(bytes);
		if (bytes != 0)
			memcpy(block, data, bytes);
		apply(&keeper, block, bytes, flags);
		free(block);
		data += bytes;
		size -= bytes;
	}
	keeper_close(&keeper);
}

/* ---- messages ---- */

static void look_at(uint8_t kind, struct slice body)
{
	union {
		struct replication_offer offer;
		struct replication_held held;
		struct replication_bytes bytes;
		struct replication_safe safe;
		struct replication_refused refused;
		struct replication_ask ask;
		struct replication_answer answer;
		struct replication_taken taken;
	} got;
	struct replication_segment segment;
	struct slice rest = body;
	switch (kind & 0x8fu) {
	case REPLICATION_OFFER:
		replication_get_offer(body, &got.offer);
		break;
	case REPLICATION_HELD:
		if (!replication_get_held(body, &got.held))
			break;
		for (uint32_t i = 0; i < got.held.count; i++)
			replication_get_segment(body, i, &segment);
		break;
	case REPLICATION_SAFE:
		replication_get_safe(body, &got.safe);
		break;
	case REPLICATION_REFUSED:
		replication_get_refused(body, &got.refused, &rest);
		break;
	case REPLICATION_ASK:
		replication_get_ask(body, &got.ask, &rest);
		break;
	case REPLICATION_ANSWER:
		replication_get_answer(body, &got.answer);
		break;
	case REPLICATION_TAKEN:
		replication_get_taken(body, &got.taken, &rest);
		break;
	default:
		replication_get_bytes(body, &got.bytes, &rest);
		break;
	}
	CHECK(rest.size <= body.size && rest.data + rest.size == body.data + body.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 0xff) {
		write_copy(data + 1, size - 1);
		return 0;
	}
	uint8_t *body = block_new(size - 1);
	if (size > 1)
		memcpy(body, data + 1, size - 1);
	look_at(data[0], slice_of(body, size - 1));
	free(body);
	return 0;
}
