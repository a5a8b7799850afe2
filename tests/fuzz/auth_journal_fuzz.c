/* A journal of revocations. What it puts in force, written down anew, puts the same in force. */
#include "fuzz.h"

#include "auth/revocation/revocation_journal.h"

#define NOW_S INT64_C(1700000000)
#define LIMIT 1000u

static void write_anew(const struct revocations *table)
{
	size_t room = 0, size = 0;
	uint32_t count = revocations_count(table);
	for (uint32_t i = 0; i < count; i++)
		room += REVOCATION_LINE_BYTES_MAX(revocations_at(table, i).id.size);
	uint8_t *text = block_new(room);
	for (uint32_t i = 0; i < count; i++) {
		struct revocation one = revocations_at(table, i);
		size += revocation_line_write(&one, (char *)text + size);
	}
	CHECK(size <= room);
	struct revocations *again = revocations_new(LIMIT);
	struct journal_result result;
	CHECK(again != NULL);
	CHECK(journal_replay(slice_of(text, size), NOW_S, again, &result) == ERROR_OK);
	CHECK(result.lines == count && result.damaged == 0 && result.good_bytes == size && !result.full);
	CHECK(revocations_count(again) == count);
	for (uint32_t i = 0; i < count; i++) {
		struct revocation one = revocations_at(table, i);
		CHECK(revocations_has(again, one.kind, one.id, NOW_S));
	}
	revocations_free(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *text = block_new(size);
	if (size != 0)
		memcpy(text, data, size);
	struct revocations *table = revocations_new(LIMIT);
	struct journal_result result;
	CHECK(table != NULL);
	CHECK(journal_replay(slice_of(text, size), NOW_S, table, &result) == ERROR_OK);
	CHECK(result.good_bytes <= size);
	CHECK(result.good_bytes == 0 || text[result.good_bytes - 1] == '\n');
	CHECK((result.damaged == 0) == (result.first_damaged_line == 0));
	CHECK(revocations_count(table) <= result.lines);
	write_anew(table);
	revocations_free(table);
	free(text);
	return 0;
}
