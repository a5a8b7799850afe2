/* A segment's file. The first byte says whether its header (1) and its commits (2) get their checksums right, which no
 * input finds by itself. The file is walked through from commit to commit, also behind what is not whole. */
#include "fuzz.h"

#include "store/format/segment_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HEADER_BYTES sizeof(struct store_segment_header)
#define COMMIT_BYTES sizeof(struct store_commit_header)

static void seal_header(uint8_t *bytes, size_t size)
{
	uint64_t checksum;
	if (size < HEADER_BYTES)
		return;
	checksum = XXH3_64bits(bytes, HEADER_BYTES - sizeof(checksum));
	memcpy(bytes + HEADER_BYTES - sizeof(checksum), &checksum, sizeof(checksum));
}

static void seal_commits(uint8_t *bytes, size_t size, const struct store_segment_header *segment)
{
	struct store_commit_header header;
	for (size_t at = HEADER_BYTES; at + COMMIT_BYTES <= size; at += COMMIT_BYTES + header.payload_bytes) {
		memcpy(&header, bytes + at, COMMIT_BYTES);
		if (header.payload_bytes > size - at - COMMIT_BYTES || header.payload_bytes % STORE_ALIGNMENT != 0 ||
		    header.number < segment->first_commit)
			return;
		store_commit_seal(bytes + at, header.payload_bytes, segment, header.number, header.wall_s);
	}
}

static void walk_through(const struct segment_file *file)
{
	struct segment_walk walk = segment_walk(file);
	for (;;) {
		size_t before = walk.offset;
		if (segment_walk_next(&walk) == STORE_COMMIT_GOOD) {
			CHECK(walk.offset > before && walk.offset <= file->size);
			CHECK_EQ(walk.commit_offset, before);
			continue;
		}
		CHECK_EQ(walk.offset, before);
		CHECK_LE(segment_walk_rest(&walk), file->size - before);
		if (!segment_walk_find(&walk, UINT64_MAX, before % 16 == 0))
			break;
		CHECK_GT(walk.offset, before);
		CHECK(segment_walk_next(&walk) == STORE_COMMIT_GOOD);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct segment_file file = {
		.bytes = block_new(size - 1), .size = size - 1, .data_size = size - 1, .room = size - 1};
	memcpy(file.bytes, data + 1, size - 1);
	if (data[0] & 1)
		seal_header(file.bytes, file.size);
	if (store_segment_header_check(slice_of(file.bytes, file.size), &file.header) == STORE_HEADER_GOOD) {
		if (data[0] & 2)
			seal_commits(file.bytes, file.size, &file.header);
		walk_through(&file);
	}
	segment_file_fini(&file);
	return 0;
}
