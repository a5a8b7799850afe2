#include "store/format/segment.h"

#include "base/check.h"

#include <stddef.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SEGMENT_HEADER_BYTES sizeof(struct store_segment_header)
#define COMMIT_HEADER_BYTES sizeof(struct store_commit_header)
#define SECTION_HEADER_BYTES sizeof(struct store_section_header)

static const uint8_t SEGMENT_MAGIC[8] = {'R', 'o', 'o', 's', 't', 'L', 'o', 'g'};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the structs of the format are written as they are");
_Static_assert(SEGMENT_HEADER_BYTES % STORE_ALIGNMENT == 0 && COMMIT_HEADER_BYTES % STORE_ALIGNMENT == 0 &&
		       SECTION_HEADER_BYTES % STORE_ALIGNMENT == 0,
	       "all that follows a header is aligned");

static size_t segment_align(size_t size)
{
	return (size + STORE_ALIGNMENT - 1) & ~(size_t)(STORE_ALIGNMENT - 1);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

/* ---- segments ---- */

static uint64_t segment_checksum(const struct store_segment_header *header)
{
	return XXH3_64bits(header, offsetof(struct store_segment_header, checksum));
}

void store_segment_header_make(struct store_segment_header *header, const uint8_t store_id[16], uint32_t number,
			       uint64_t epoch, uint64_t first_commit, int64_t created_s)
{
	CHECK(number > 0 && epoch > 0 && first_commit > 0);
	*header = (struct store_segment_header){.format = STORE_FORMAT,
						.number = number,
						.epoch = epoch,
						.first_commit = first_commit,
						.created_s = created_s};
	memcpy(header->magic, SEGMENT_MAGIC, sizeof(SEGMENT_MAGIC));
	memcpy(header->store_id, store_id, sizeof(header->store_id));
	header->checksum = segment_checksum(header);
}

enum store_header_state store_segment_header_check(struct slice bytes, struct store_segment_header *header)
{
	size_t begun = bytes.size < SEGMENT_HEADER_BYTES ? bytes.size : SEGMENT_HEADER_BYTES;
	if (is_zero(bytes.data, begun))
		return STORE_HEADER_EMPTY;
	size_t magic = begun < sizeof(SEGMENT_MAGIC) ? begun : sizeof(SEGMENT_MAGIC);
	if (memcmp(bytes.data, SEGMENT_MAGIC, magic) != 0)
		return STORE_HEADER_FOREIGN;
	if (begun < SEGMENT_HEADER_BYTES)
		return STORE_HEADER_EMPTY;
	memcpy(header, bytes.data, sizeof(*header));
	/* Every format keeps this header, so that a flipped bit is not taken for another format. */
	if (header->checksum != segment_checksum(header))
		return STORE_HEADER_DAMAGED;
	if (header->format != STORE_FORMAT)
		return header->format > STORE_FORMAT ? STORE_HEADER_NEWER : STORE_HEADER_OLDER;
	return header->number > 0 && header->epoch > 0 && header->first_commit > 0 ? STORE_HEADER_GOOD
										   : STORE_HEADER_DAMAGED;
}

/* ---- commits ---- */

/* In two steps, for the field of the checksum itself counts as 0: the header's hash is the seed of the payload's. */
static uint64_t commit_checksum(const struct store_segment_header *segment, struct store_commit_header header,
				const uint8_t *payload)
{
	header.checksum = 0;
	uint64_t key = XXH3_64bits_withSeed(segment->store_id, sizeof(segment->store_id), segment->number);
	uint64_t seed = XXH3_64bits_withSeed(&header, sizeof(header), key);
	return XXH3_64bits_withSeed(payload, header.payload_bytes, seed);
}

void store_commit_seal(uint8_t *commit, uint32_t payload_bytes, const struct store_segment_header *segment,
		       uint64_t number, int64_t wall_s)
{
	CHECK_EQ(payload_bytes % STORE_ALIGNMENT, 0u);
	CHECK_GE(number, segment->first_commit);
	struct store_commit_header header = {
		.magic = STORE_COMMIT_MAGIC, .payload_bytes = payload_bytes, .number = number, .wall_s = wall_s};
	header.checksum = commit_checksum(segment, header, commit + COMMIT_HEADER_BYTES);
	memcpy(commit, &header, sizeof(header));
}

enum store_commit_state store_commit_check(struct slice bytes, const struct store_segment_header *segment,
					   uint64_t number, struct store_commit_header *header, size_t *size)
{
	size_t begun = bytes.size < COMMIT_HEADER_BYTES ? bytes.size : COMMIT_HEADER_BYTES;
	if (is_zero(bytes.data, begun))
		return STORE_COMMIT_NONE;
	if (begun < COMMIT_HEADER_BYTES)
		return STORE_COMMIT_PARTIAL;
	memcpy(header, bytes.data, sizeof(*header));
	if (header->magic != STORE_COMMIT_MAGIC || header->payload_bytes % STORE_ALIGNMENT != 0 ||
	    header->number != number)
		return STORE_COMMIT_DAMAGED;
	if (header->payload_bytes > bytes.size - COMMIT_HEADER_BYTES)
		return STORE_COMMIT_PARTIAL;
	if (header->checksum != commit_checksum(segment, *header, bytes.data + COMMIT_HEADER_BYTES))
		return STORE_COMMIT_DAMAGED;
	*size = COMMIT_HEADER_BYTES + header->payload_bytes;
	return STORE_COMMIT_GOOD;
}

/* ---- sections ---- */

bool store_section_next(struct slice payload, size_t *offset, struct store_section_header *section,
			struct slice *records, bool *bad)
{
	CHECK_LE(*offset, payload.size);
	struct slice rest = slice_of(payload.data + *offset, payload.size - *offset);
	*bad = false;
	if (rest.size == 0)
		return false;
	*bad = true;
	if (rest.size < SECTION_HEADER_BYTES)
		return false;
	memcpy(section, rest.data, sizeof(*section));
	if (section->reserved != 0 || section->bytes > rest.size - SECTION_HEADER_BYTES)
		return false;
	size_t end = SECTION_HEADER_BYTES + section->bytes, next = segment_align(end);
	if (next > rest.size || !is_zero(rest.data + end, next - end))
		return false;
	*bad = false;
	*records = slice_of(rest.data + SECTION_HEADER_BYTES, section->bytes);
	*offset += next;
	return true;
}
