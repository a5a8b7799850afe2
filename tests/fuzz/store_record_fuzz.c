/* Records as they stand in a section. What is read is written as the same bytes (a body's checksum is put right), and
 * shown without a step past its end; and bytes as sections of a commit. The first byte chooses. */
#include "fuzz.h"

#include "store/format/record.h"
#include "store/format/segment.h"

#include <stddef.h>

static void read_records(struct slice bytes)
{
	struct store_record record;
	char text[64];
	for (size_t size; (size = store_record_decode(bytes, &record)) != 0;
	     bytes = slice_of(bytes.data + size, bytes.size - size)) {
		CHECK(size <= bytes.size && size <= store_record_bytes_max(&record));
		uint8_t *again = block_new(store_record_bytes_max(&record));
		CHECK_EQ(store_record_encode(&record, again), size);
		bool is_intact = record.kind != STORE_KEPT || store_record_is_intact(&record);
		CHECK((memcmp(again, bytes.data, size) == 0) == is_intact);
		free(again);
		store_record_format(&record, text, sizeof(text));
		CHECK(memchr(text, '\0', sizeof(text)) != NULL);
		if (record.kind == STORE_KEPT || record.kind == STORE_KEPT_AT || store_kind_is_retained(record.kind)) {
			struct publication publication = store_record_publication(&record);
			CHECK(publication.header_bytes + 2u + publication.topic_bytes <= publication.packet_bytes);
		}
	}
}

static void read_sections(struct slice payload)
{
	struct store_section_header section;
	struct slice records;
	size_t offset = 0;
	bool bad;
	while (store_section_next(payload, &offset, &section, &records, &bad)) {
		CHECK(!bad && offset <= payload.size && records.size == section.bytes);
		read_records(records);
	}
	CHECK(bad || offset == payload.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	uint8_t *bytes = block_new(size - 1);
	memcpy(bytes, data + 1, size - 1);
	if (data[0] % 2 == 0)
		read_records(slice_of(bytes, size - 1));
	else
		read_sections(slice_of(bytes, size - 1));
	free(bytes);
	return 0;
}
