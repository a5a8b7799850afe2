/* What another node says of revocations: items, whose end is that of the input, and digests. What is read is written as
 * the same bytes; and a table that took all of it tells it again. */
#include "fuzz.h"

#include "base/error.h"
#include "cluster/common/revoked.h"

#include <stddef.h>
#include <string.h>

#define WALL_MS 1700000000000u

static void take(struct revoked *revoked, struct slice bytes)
{
	struct revoked_item item;
	for (struct slice left = bytes; revoked_item_read(&left, &item); bytes = left) {
		uint8_t *again = block_new(REVOKED_ITEM_HEAD_BYTES + item.id.size);
		CHECK(revoked_item_write(&item, again) == bytes.size - left.size);
		CHECK(memcmp(again, bytes.data, bytes.size - left.size) == 0);
		free(again);
		revoked_take(revoked, &item, WALL_MS);
		CHECK(!revoked_take(revoked, &item, WALL_MS) || revoked_count(revoked) >= 4 ||
		      item.until_s == REVOKED_LIFTED_S);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct hash_key key = {{1}};
	struct revoked *revoked = revoked_new(&key, 1, 4);
	CHECK(revoked != NULL);
	uint8_t *bytes = block_new(size);
	memcpy(bytes, data, size);
	take(revoked, slice_of(bytes, size));
	uint64_t digest[REVOKED_PARTS], parts;
	revoked_digest(revoked, WALL_MS, digest);
	revoked_digest_read(slice_of(bytes, size), digest, &parts);
	uint8_t *out = block_new(REVOKED_ITEM_BYTES_MAX);
	uint32_t next = 0, items = 0;
	do {
		struct slice told =
			slice_of(out, revoked_list(revoked, UINT64_MAX, &next, out, REVOKED_ITEM_BYTES_MAX));
		struct revoked_item item;
		while (revoked_item_read(&told, &item))
			items++;
		CHECK(told.size == 0);
	} while (next != 0);
	CHECK(items == revoked_count(revoked));
	revoked_expire(revoked, WALL_MS + UINT32_MAX);
	revoked_free(revoked);
	free(out);
	free(bytes);
	return 0;
}
