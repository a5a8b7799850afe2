/* Segments and commits: every bit of them is covered, and what is cut or foreign is told from what is whole. */
#include "store/format/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define COMMIT_HEADER sizeof(struct store_commit_header)
#define PAYLOAD_BYTES 48u

static const uint8_t ID[16] = "sixteen bytes id";

static struct store_segment_header make_segment(void)
{
	struct store_segment_header header;
	store_segment_header_make(&header, ID, 3, 7, 100, 1800000000);
	return header;
}

static enum store_header_state check_header(const struct store_segment_header *header, size_t size)
{
	struct store_segment_header read;
	return store_segment_header_check(slice_of(header, size), &read);
}

static void test_a_header_is_read_again(void **state)
{
	(void)state;
	struct store_segment_header header = make_segment(), read;
	assert_int_equal(store_segment_header_check(slice_of(&header, sizeof(header)), &read), STORE_HEADER_GOOD);
	assert_memory_equal(&read, &header, sizeof(header));
	assert_int_equal(read.number, 3);
	assert_int_equal(read.epoch, 7);
	assert_int_equal(read.first_commit, 100);
}

static void test_headers_that_are_none(void **state)
{
	(void)state;
	struct store_segment_header header = make_segment();
	const struct store_segment_header zeros = {.format = 0};
	for (size_t size = 0; size < sizeof(header); size++) {
		assert_int_equal(check_header(&header, size), STORE_HEADER_EMPTY);
		assert_int_equal(check_header(&zeros, size), STORE_HEADER_EMPTY);
	}
	assert_int_equal(check_header(&zeros, sizeof(zeros)), STORE_HEADER_EMPTY);
	struct store_segment_header read;
	static const char FOREIGN[] = "{\"a file\": \"of somebody else's, which is longer than a header is\"}";
	for (size_t size = 1; size < sizeof(FOREIGN); size++)
		assert_int_equal(store_segment_header_check(slice_of(FOREIGN, size), &read), STORE_HEADER_FOREIGN);
}

static void test_a_flipped_bit_in_a_header_is_found(void **state)
{
	(void)state;
	struct store_segment_header header = make_segment();
	uint8_t *bytes = (uint8_t *)&header;
	for (size_t bit = 0; bit < sizeof(header) * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		enum store_header_state expected = bit < 64 ? STORE_HEADER_FOREIGN : STORE_HEADER_DAMAGED;
		assert_int_equal(check_header(&header, sizeof(header)), expected);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(check_header(&header, sizeof(header)), STORE_HEADER_GOOD);
}

/* A header of another format is whole, with a checksum of its own. */
static enum store_header_state check_format(uint32_t format)
{
	struct store_segment_header header = make_segment();
	header.format = format;
	header.checksum = XXH3_64bits(&header, offsetof(struct store_segment_header, checksum));
	return check_header(&header, sizeof(header));
}

static void test_other_formats(void **state)
{
	(void)state;
	assert_int_equal(check_format(STORE_FORMAT), STORE_HEADER_GOOD);
	assert_int_equal(check_format(STORE_FORMAT + 1), STORE_HEADER_NEWER);
	assert_int_equal(check_format(UINT32_MAX), STORE_HEADER_NEWER);
	assert_int_equal(check_format(STORE_FORMAT - 1), STORE_HEADER_OLDER);
}

struct commit {
	uint8_t bytes[COMMIT_HEADER + PAYLOAD_BYTES];
};

static struct commit make_commit(const struct store_segment_header *segment, uint64_t number)
{
	struct commit commit;
	memset(commit.bytes, 0, sizeof(commit.bytes));
	for (size_t i = 0; i < PAYLOAD_BYTES; i++)
		commit.bytes[COMMIT_HEADER + i] = (uint8_t)(i * 7);
	store_commit_seal(commit.bytes, PAYLOAD_BYTES, segment, number, 1800000000);
	return commit;
}

static enum store_commit_state check_commit(const uint8_t *bytes, size_t size,
					    const struct store_segment_header *segment, uint64_t number)
{
	struct store_commit_header header;
	size_t commit_size = 0;
	enum store_commit_state state =
		store_commit_check(slice_of(bytes, size), segment, number, &header, &commit_size);
	if (state == STORE_COMMIT_GOOD)
		assert_int_equal(commit_size, COMMIT_HEADER + header.payload_bytes);
	return state;
}

static void test_a_commit_is_whole_or_not_at_all(void **state)
{
	(void)state;
	struct store_segment_header segment = make_segment();
	struct commit commit = make_commit(&segment, 100);
	assert_int_equal(check_commit(commit.bytes, sizeof(commit.bytes), &segment, 100), STORE_COMMIT_GOOD);
	assert_int_equal(check_commit(commit.bytes, 0, &segment, 100), STORE_COMMIT_NONE);
	for (size_t cut = 1; cut < sizeof(commit.bytes); cut++) {
		uint8_t *part = malloc(cut);
		memcpy(part, commit.bytes, cut);
		assert_int_equal(check_commit(part, cut, &segment, 100), STORE_COMMIT_PARTIAL);
		free(part);
	}
	/* In a file that is longer, the rest of it was never written. */
	for (size_t cut = COMMIT_HEADER; cut < sizeof(commit.bytes); cut += 8) {
		struct commit torn = commit;
		memset(torn.bytes + cut, 0, sizeof(torn.bytes) - cut);
		assert_int_equal(check_commit(torn.bytes, sizeof(torn.bytes), &segment, 100), STORE_COMMIT_DAMAGED);
	}
	memset(commit.bytes, 0, sizeof(commit.bytes));
	assert_int_equal(check_commit(commit.bytes, sizeof(commit.bytes), &segment, 100), STORE_COMMIT_NONE);
}

static void test_a_flipped_bit_in_a_commit_is_found(void **state)
{
	(void)state;
	struct store_segment_header segment = make_segment();
	struct commit commit = make_commit(&segment, 100);
	for (size_t bit = 0; bit < sizeof(commit.bytes) * 8; bit++) {
		commit.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		enum store_commit_state found = check_commit(commit.bytes, sizeof(commit.bytes), &segment, 100);
		assert_true(found == STORE_COMMIT_DAMAGED || found == STORE_COMMIT_PARTIAL);
		commit.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(check_commit(commit.bytes, sizeof(commit.bytes), &segment, 100), STORE_COMMIT_GOOD);
}

static void test_a_commit_belongs_to_its_place(void **state)
{
	(void)state;
	struct store_segment_header segment = make_segment(), other;
	struct commit commit = make_commit(&segment, 100);
	assert_int_equal(check_commit(commit.bytes, sizeof(commit.bytes), &segment, 101), STORE_COMMIT_DAMAGED);
	store_segment_header_make(&other, ID, 4, 7, 100, 1800000000);
	assert_int_equal(check_commit(commit.bytes, sizeof(commit.bytes), &other, 100), STORE_COMMIT_DAMAGED);
	store_segment_header_make(&other, (const uint8_t *)"another store id", 3, 7, 100, 1800000000);
	assert_int_equal(check_commit(commit.bytes, sizeof(commit.bytes), &other, 100), STORE_COMMIT_DAMAGED);
}

static void test_sections_follow_each_other(void **state)
{
	(void)state;
	uint8_t payload[64] __attribute__((aligned(8))) = {0};
	struct store_section_header first = {.shard = 4, .bytes = 5, .wall_s = 9}, section;
	struct store_section_header second = {.shard = STORE_SECTION_CHECKPOINT, .wall_s = 2};
	memcpy(payload, &first, 16);
	memcpy(payload + 16, "hello", 5);
	memcpy(payload + 24, &second, 16);
	struct slice records;
	size_t offset = 0;
	bool bad;
	assert_true(store_section_next(slice_of(payload, 40), &offset, &section, &records, &bad));
	assert_int_equal(section.shard, 4);
	assert_true(slice_equal(records, slice_string("hello")));
	assert_true(store_section_next(slice_of(payload, 40), &offset, &section, &records, &bad));
	assert_int_equal(section.shard, STORE_SECTION_CHECKPOINT);
	assert_int_equal(section.wall_s, 2);
	assert_int_equal(records.size, 0);
	assert_false(store_section_next(slice_of(payload, 40), &offset, &section, &records, &bad));
	assert_false(bad);
	/* Cut anywhere else it is bad. */
	for (size_t cut = 1; cut < 40; cut++) {
		offset = 0;
		while (store_section_next(slice_of(payload, cut), &offset, &section, &records, &bad))
			;
		assert_int_equal(bad, cut != 24);
	}
	/* So is what is not zero where it must be. */
	offset = 0;
	payload[22] = 1;
	assert_false(store_section_next(slice_of(payload, 40), &offset, &section, &records, &bad));
	assert_true(bad);
	payload[22] = 0;
	payload[2] = 1;
	assert_false(store_section_next(slice_of(payload, 40), &offset, &section, &records, &bad));
	assert_true(bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_header_is_read_again),
		cmocka_unit_test(test_headers_that_are_none),
		cmocka_unit_test(test_a_flipped_bit_in_a_header_is_found),
		cmocka_unit_test(test_other_formats),
		cmocka_unit_test(test_a_commit_is_whole_or_not_at_all),
		cmocka_unit_test(test_a_flipped_bit_in_a_commit_is_found),
		cmocka_unit_test(test_a_commit_belongs_to_its_place),
		cmocka_unit_test(test_sections_follow_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
