/* An input is a buffer as a shard's journal might have told it, or not. What is left of it must be records again, no
 * longer than before, and as many as was said; bodies must lie where it says. */
#include "fuzz.h"

#include "commit/told/squeeze.h"
#include "store/format/record.h"

static void check_left(const struct squeeze *squeeze, struct slice left, const struct squeezed *squeezed)
{
	uint32_t records = 0, bodies = 0, joined = 0;
	bool only_numbered = true;
	for (size_t at = 0; at < left.size; records++) {
		struct store_record record;
		size_t size = store_record_decode(slice_of(left.data + at, left.size - at), &record);
		CHECK(size != 0);
		only_numbered &= record.kind == STORE_NUMBERED;
		joined += record.kind == STORE_QUEUED_RUN ? record.count - 1 : 0;
		if (record.kind == STORE_KEPT || record.kind == STORE_FORGOTTEN) {
			CHECK_LT(bodies, squeeze->body_count);
			const struct squeeze_body *body = &squeeze->bodies[bodies++];
			CHECK(body->message == record.message && body->offset == at);
			CHECK_EQ(body->bytes, record.kind == STORE_KEPT ? size : 0);
		}
		at += size;
	}
	CHECK_EQ(bodies, squeeze->body_count);
	CHECK(records == squeezed->records && records + joined <= squeezed->records_before);
	/* One that was told is not one that was made here. */
	CHECK(only_numbered || !squeezed->only_numbered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct squeeze squeeze = {.mark_count = 0};
	struct squeezed squeezed;
	uint8_t *left = block_new(size);
	if (squeeze_run(&squeeze, slice_of(data, size), left, &squeezed) == ERROR_OK) {
		CHECK_LE(squeezed.bytes, size);
		check_left(&squeeze, slice_of(left, squeezed.bytes), &squeezed);
	}
	free(left);
	squeeze_fini(&squeeze);
	return 0;
}
