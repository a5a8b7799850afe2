#include "cluster/publish/digest.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* An unaligned load of 8 bytes at the last one stays inside. */
#define SEGMENT_SPARE_BYTES 8u
/* The directory has no more entries than one for so many fingerprints, and some: a peer that sends others than hashes
 * makes segments longer, not the directory. */
#define FINGERPRINTS_PER_ENTRY 16u
#define ENTRIES_SPARE 64u
#define DEPTH_MAX 26u
_Static_assert(DIGEST_SEGMENT_MAX >= 2 * FINGERPRINTS_PER_ENTRY, "hashes do not meet that bound");

struct digest_segment {
	uint32_t count;
	uint8_t depth; /* bits that all have in common, which are left out */
	uint8_t bits[];
};

/* Entries by the first `depth` bits. NULL: no fingerprint begins so. */
struct digest_table {
	uint32_t depth;
	_Atomic(struct digest_segment *) segments[];
};

static size_t segment_bytes(uint32_t count, uint32_t depth)
{
	return sizeof(struct digest_segment) + ((size_t)count * (32 - depth) + 7) / 8 + SEGMENT_SPARE_BYTES;
}

static size_t table_bytes(uint32_t depth)
{
	return sizeof(struct digest_table) + (sizeof(struct digest_segment *) << depth);
}

/* The first `depth` bits. */
static uint32_t digest_prefix_of(uint32_t fingerprint, uint32_t depth)
{
	return (uint32_t)((uint64_t)fingerprint >> (32 - depth));
}

static uint32_t rest_of(uint32_t fingerprint, uint32_t depth)
{
	return (uint32_t)(fingerprint & (((uint64_t)1 << (32 - depth)) - 1));
}

static uint32_t segment_get(const struct digest_segment *segment, uint32_t at)
{
	uint32_t width = 32u - segment->depth;
	size_t bit = (size_t)at * width;
	uint64_t word;
	memcpy(&word, segment->bits + bit / 8, sizeof(word));
	return (uint32_t)(word >> bit % 8 & (((uint64_t)1 << width) - 1));
}

static void segment_put(struct digest_segment *segment, uint32_t at, uint32_t rest)
{
	uint32_t width = 32u - segment->depth;
	size_t bit = (size_t)at * width;
	uint64_t word;
	memcpy(&word, segment->bits + bit / 8, sizeof(word));
	word |= (uint64_t)rest << bit % 8;
	memcpy(segment->bits + bit / 8, &word, sizeof(word));
}

/* Spreads the sum of fingerprints over its bits. */
static uint32_t mixed(uint32_t fingerprint)
{
	fingerprint = (fingerprint ^ fingerprint >> 16) * 0x7feb352du;
	fingerprint = (fingerprint ^ fingerprint >> 15) * 0x846ca68bu;
	return fingerprint ^ fingerprint >> 16;
}

void digest_init(struct digest *digest, void (*retire)(void *context, void *block), void *context)
{
	*digest = (struct digest){.retire = retire, .context = context};
}

static void retire_segment(struct digest *digest, struct digest_segment *segment)
{
	if (segment == NULL)
		return;
	digest->bytes -= segment_bytes(segment->count, segment->depth);
	digest->retire(digest->context, segment);
}

/* Takes all out. The segments of neighbouring entries may be one. */
static void empty(struct digest *digest, void (*retire)(void *context, void *block), void *context)
{
	struct digest_table *table = atomic_load(&digest->table);
	if (table == NULL)
		return;
	atomic_store_explicit(&digest->table, NULL, memory_order_release);
	const struct digest_segment *last = NULL;
	for (size_t i = 0; i < (size_t)1 << table->depth; i++) {
		struct digest_segment *segment = atomic_load(&table->segments[i]);
		if (segment != NULL && segment != last)
			retire(context, segment);
		last = segment;
	}
	retire(context, table);
}

static void free_now(void *context, void *block)
{
	(void)context;
	free(block);
}

void digest_fini(struct digest *digest)
{
	empty(digest, free_now, NULL);
	free(digest->scratch);
	digest_init(digest, digest->retire, digest->context);
}

void digest_clear(struct digest *digest)
{
	empty(digest, digest->retire, digest->context);
	atomic_store(&digest->count, 0);
	memset(digest->sums, 0, sizeof(digest->sums));
	memset(digest->counts, 0, sizeof(digest->counts));
	digest->bytes = 0;
	atomic_store(&digest->is_broken, false);
}

/* Half of a change may be in place. From here on it has everything, which misses nothing. */
static enum error digest_give_up(struct digest *digest)
{
	digest_clear(digest);
	atomic_store(&digest->is_broken, true);
	return ERROR_NO_MEMORY;
}

static struct digest_table *table_new(struct digest *digest, uint32_t depth)
{
	struct digest_table *table = calloc(1, table_bytes(depth));
	if (table == NULL)
		return NULL;
	table->depth = depth;
	digest->bytes += table_bytes(depth);
	return table;
}

static struct digest_table *need_table(struct digest *digest)
{
	struct digest_table *table = atomic_load(&digest->table);
	if (table == NULL) {
		table = table_new(digest, 0);
		atomic_store_explicit(&digest->table, table, memory_order_release);
	}
	return table;
}

static enum error double_table(struct digest *digest)
{
	struct digest_table *before = atomic_load(&digest->table);
	struct digest_table *table = table_new(digest, before->depth + 1);
	if (table == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < (size_t)1 << table->depth; i++)
		atomic_init(&table->segments[i], atomic_load(&before->segments[i / 2]));
	atomic_store_explicit(&digest->table, table, memory_order_release);
	digest->bytes -= table_bytes(before->depth);
	digest->retire(digest->context, before);
	return ERROR_OK;
}

static bool need_scratch(struct digest *digest, uint32_t count)
{
	if (count <= digest->scratch_capacity)
		return true;
	uint32_t *grown = realloc(digest->scratch, count * sizeof(*grown));
	if (grown == NULL)
		return false;
	digest->scratch = grown;
	digest->scratch_capacity = count;
	return true;
}

/* ---- making segments ---- */

static struct digest_segment *segment_new(struct digest *digest, uint32_t depth, const uint32_t *fingerprints,
					  uint32_t count)
{
	struct digest_segment *segment = calloc(1, segment_bytes(count, depth));
	if (segment == NULL)
		return NULL;
	segment->count = count;
	segment->depth = (uint8_t)depth;
	for (uint32_t i = 0; i < count; i++)
		segment_put(segment, i, rest_of(fingerprints[i], depth));
	digest->bytes += segment_bytes(count, depth);
	return segment;
}

/* Whether a segment of so many, of all that share a prefix of `depth` bits, is better two. */
static bool is_to_split(const struct digest *digest, uint32_t count, uint32_t depth, uint32_t all)
{
	if (count <= DIGEST_SEGMENT_MAX || depth == DEPTH_MAX)
		return false;
	const struct digest_table *table = atomic_load(&digest->table);
	return depth < table->depth || (uint64_t)2 << depth <= all / FINGERPRINTS_PER_ENTRY + ENTRIES_SPARE;
}

/* Puts these into the directory in place of what begins with the prefix. The old segments are the caller's. */
static enum error build(struct digest *digest, uint32_t prefix, uint32_t depth, const uint32_t *fingerprints,
			uint32_t count, uint32_t all)
{
	if (is_to_split(digest, count, depth, all)) {
		if (depth == atomic_load(&digest->table)->depth && double_table(digest) != ERROR_OK)
			return ERROR_NO_MEMORY;
		uint32_t zeros = 0;
		while (zeros < count && (digest_prefix_of(fingerprints[zeros], depth + 1) & 1u) == 0)
			zeros++;
		enum error error = build(digest, prefix * 2, depth + 1, fingerprints, zeros, all);
		if (error != ERROR_OK)
			return error;
		return build(digest, prefix * 2 + 1, depth + 1, fingerprints + zeros, count - zeros, all);
	}
	struct digest_segment *segment = NULL;
	if (count != 0 && (segment = segment_new(digest, depth, fingerprints, count)) == NULL)
		return ERROR_NO_MEMORY;
	struct digest_table *table = atomic_load(&digest->table);
	CHECK_LE(depth, table->depth);
	uint32_t entries = 1u << (table->depth - depth);
	for (uint32_t i = 0; i < entries; i++)
		atomic_store_explicit(&table->segments[prefix * entries + i], segment, memory_order_release);
	return ERROR_OK; /* NOLINT(clang-analyzer-unix.Malloc): the directory has it */
}

/* The segment that the fingerprint is in, or would be; *depth: how many bits all in its place have in common. */
static struct digest_segment *segment_at(const struct digest_table *table, uint32_t fingerprint, uint32_t *depth)
{
	struct digest_segment *segment = atomic_load(&table->segments[digest_prefix_of(fingerprint, table->depth)]);
	*depth = segment != NULL ? segment->depth : table->depth;
	return segment;
}

/* Unpacks it into scratch, with room for `more`. False: no memory. */
static bool unpack(struct digest *digest, const struct digest_segment *segment, uint32_t prefix, uint32_t more)
{
	uint32_t count = segment != NULL ? segment->count : 0;
	if (!need_scratch(digest, count + more))
		return false;
	for (uint32_t i = 0; i < count; i++)
		digest->scratch[i] = (uint32_t)((uint64_t)prefix << (32 - segment->depth)) | segment_get(segment, i);
	return true;
}

static void count_one(struct digest *digest, uint32_t fingerprint, bool adds)
{
	uint32_t range = digest_range_of(fingerprint);
	digest->sums[range] += adds ? mixed(fingerprint) : 0u - mixed(fingerprint);
	digest->counts[range] += adds ? 1u : 0u - 1u;
	atomic_store_explicit(&digest->count, digest_count(digest) + (adds ? 1u : 0u - 1u), memory_order_relaxed);
}

enum error digest_add(struct digest *digest, uint32_t fingerprint)
{
	if (digest_is_broken(digest))
		return ERROR_OK;
	const struct digest_table *table = need_table(digest);
	if (table == NULL || digest_count(digest) >= DIGEST_FILTERS_MAX)
		return digest_give_up(digest);
	uint32_t depth;
	struct digest_segment *segment = segment_at(table, fingerprint, &depth);
	uint32_t prefix = digest_prefix_of(fingerprint, depth);
	if (!unpack(digest, segment, prefix, 1))
		return digest_give_up(digest);
	uint32_t count = segment != NULL ? segment->count : 0;
	uint32_t at = count;
	for (; at != 0 && digest->scratch[at - 1] > fingerprint; at--)
		digest->scratch[at] = digest->scratch[at - 1];
	digest->scratch[at] = fingerprint;
	enum error error = build(digest, prefix, depth, digest->scratch, count + 1, digest_count(digest) + 1);
	if (error != ERROR_OK)
		return digest_give_up(digest);
	retire_segment(digest, segment);
	count_one(digest, fingerprint, true);
	return ERROR_OK;
}

enum error digest_remove(struct digest *digest, uint32_t fingerprint)
{
	if (digest_is_broken(digest))
		return ERROR_OK;
	const struct digest_table *table = atomic_load(&digest->table);
	if (table == NULL || !digest_has(digest, fingerprint))
		return ERROR_NOT_FOUND;
	uint32_t depth;
	struct digest_segment *segment = segment_at(table, fingerprint, &depth);
	uint32_t prefix = digest_prefix_of(fingerprint, depth);
	if (!unpack(digest, segment, prefix, 0))
		return digest_give_up(digest);
	uint32_t at = 0;
	while (digest->scratch[at] != fingerprint)
		at++;
	memmove(&digest->scratch[at], &digest->scratch[at + 1], (segment->count - at - 1) * sizeof(*digest->scratch));
	enum error error = build(digest, prefix, depth, digest->scratch, segment->count - 1, digest_count(digest));
	if (error != ERROR_OK)
		return digest_give_up(digest);
	retire_segment(digest, segment);
	count_one(digest, fingerprint, false);
	return ERROR_OK;
}

/* ---- ranges ---- */

/* How many of a segment's entries are in front of the first of the range, or of the one behind it. */
static uint32_t count_before(const uint32_t *fingerprints, uint32_t count, uint64_t end)
{
	uint32_t low = 0;
	while (low < count) {
		uint32_t middle = low + (count - low) / 2;
		if (fingerprints[middle] < end)
			low = middle + 1;
		else
			count = middle;
	}
	return low;
}

const uint32_t *digest_list(struct digest *digest, uint32_t range, uint32_t *count)
{
	CHECK_LT(range, DIGEST_RANGES);
	static const uint32_t none;
	*count = digest->counts[range];
	if (*count == 0)
		return &none;
	if (!need_scratch(digest, *count))
		return NULL;
	const struct digest_table *table = atomic_load(&digest->table);
	uint32_t done = 0;
	uint64_t end = ((uint64_t)range + 1) << 24;
	for (uint64_t at = (uint64_t)range << 24; at < end;) {
		uint32_t depth;
		const struct digest_segment *segment = segment_at(table, (uint32_t)at, &depth);
		uint32_t prefix = digest_prefix_of((uint32_t)at, depth);
		for (uint32_t i = 0; segment != NULL && i < segment->count; i++) {
			uint32_t value = (uint32_t)((uint64_t)prefix << (32 - depth)) | segment_get(segment, i);
			if (digest_range_of(value) == range && done < *count)
				digest->scratch[done++] = value;
		}
		at = ((uint64_t)prefix + 1) << (32 - depth);
	}
	CHECK_EQ(done, *count);
	return digest->scratch;
}

/* Counts what is in the range anew. */
static void set_range(struct digest *digest, uint32_t range, const uint32_t *fingerprints, uint32_t count)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < count; i++)
		sum += mixed(fingerprints[i]);
	atomic_store_explicit(&digest->count, digest_count(digest) - digest->counts[range] + count,
			      memory_order_relaxed);
	digest->counts[range] = count;
	digest->sums[range] = sum;
}

/* Puts them into the place that the fingerprint `at` is in. *end: of that place. */
static enum error replace_segment(struct digest *digest, uint32_t range, uint32_t at, const uint32_t *fingerprints,
				  uint32_t count, uint64_t *end)
{
	uint32_t depth;
	struct digest_segment *segment = segment_at(atomic_load(&digest->table), at, &depth);
	uint32_t prefix = digest_prefix_of(at, depth);
	uint64_t begin = (uint64_t)prefix << (32 - depth);
	*end = ((uint64_t)prefix + 1) << (32 - depth);
	uint32_t first = count_before(fingerprints, count, begin);
	uint32_t added = count_before(fingerprints, count, *end) - first;
	if (!unpack(digest, segment, prefix, added))
		return ERROR_NO_MEMORY;
	uint32_t held = segment != NULL ? segment->count : 0;
	uint32_t low = count_before(digest->scratch, held, (uint64_t)range << 24);
	uint32_t high = count_before(digest->scratch, held, ((uint64_t)range + 1) << 24);
	memmove(&digest->scratch[low + added], &digest->scratch[high], (held - high) * sizeof(*digest->scratch));
	if (added != 0)
		memcpy(&digest->scratch[low], &fingerprints[first], added * sizeof(*digest->scratch));
	uint32_t all = digest_count(digest) - digest->counts[range] + count;
	enum error error = build(digest, prefix, depth, digest->scratch, low + added + held - high, all);
	if (error == ERROR_OK)
		retire_segment(digest, segment);
	return error;
}

enum error digest_replace(struct digest *digest, uint32_t range, const uint32_t *fingerprints, uint32_t count)
{
	CHECK_LT(range, DIGEST_RANGES);
	if (digest_is_broken(digest) || (count == 0 && digest->counts[range] == 0))
		return ERROR_OK;
	if (digest_count(digest) - digest->counts[range] + (uint64_t)count > DIGEST_FILTERS_MAX ||
	    need_table(digest) == NULL)
		return digest_give_up(digest);
	uint64_t end = ((uint64_t)range + 1) << 24;
	for (uint64_t at = (uint64_t)range << 24; at < end;) {
		enum error error = replace_segment(digest, range, (uint32_t)at, fingerprints, count, &at);
		if (error != ERROR_OK)
			return digest_give_up(digest);
	}
	set_range(digest, range, fingerprints, count);
	return ERROR_OK;
}

bool digest_has(const struct digest *digest, uint32_t fingerprint)
{
	const struct digest_table *table = atomic_load_explicit(&digest->table, memory_order_acquire);
	if (table == NULL)
		return digest_is_broken(digest);
	const struct digest_segment *segment = atomic_load_explicit(
		&table->segments[digest_prefix_of(fingerprint, table->depth)], memory_order_acquire);
	if (segment == NULL)
		return false;
	uint32_t rest = rest_of(fingerprint, segment->depth);
	uint32_t low = 0;
	for (uint32_t count = segment->count; count > 1;) {
		uint32_t half = count / 2;
		low += segment_get(segment, low + half) <= rest ? half : 0;
		count -= half;
	}
	return segment_get(segment, low) == rest;
}
