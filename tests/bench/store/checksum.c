#define XXH_INLINE_ALL
#include "base/check.h"
#include "base/clock.h"
#include "shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#define RUN_BYTES (256 * MIB)

static uint64_t of_xxh3(const uint8_t *bytes, size_t size)
{
	return XXH3_64bits(bytes, size);
}

static uint64_t of_zlib(const uint8_t *bytes, size_t size)
{
	return crc32_z(0, bytes, size);
}

#ifdef __x86_64__
/* One stream: each step waits for the one before. Three interleaved ones would be up to three times as fast. */
__attribute__((target("sse4.2"))) static uint64_t of_crc32c(const uint8_t *bytes, size_t size)
{
	uint64_t sum = 0xffffffffu, word;
	for (; size >= sizeof(word); size -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		sum = _mm_crc32_u64(sum, word);
	}
	for (; size > 0; size--)
		sum = _mm_crc32_u8((uint32_t)sum, *bytes++);
	return sum ^ 0xffffffffu;
}
#endif

static const struct {
	const char *name;
	uint64_t (*of)(const uint8_t *bytes, size_t size);
} SUMS[] = {
	{"xxh3", of_xxh3},
#ifdef __x86_64__
	{"crc32c", of_crc32c},
#endif
	{"crc32-zlib", of_zlib},
};

static const size_t SIZES[] = {200, 16 * KIB, MIB};

void measure_checksum(uint32_t rounds)
{
	struct table table = {0};
	uint8_t *bytes = malloc(2 * MIB);
	uint64_t kept = 0;
	CHECK(bytes != NULL);
	memset(bytes, 0x5a, 2 * MIB);
	for (uint32_t round = 0; round < rounds; round++) {
		for (uint32_t sum = 0; sum < sizeof(SUMS) / sizeof(*SUMS); sum++) {
			for (uint32_t size = 0; size < sizeof(SIZES) / sizeof(*SIZES); size++) {
				struct row row = {0};
				uint32_t times = (uint32_t)(RUN_BYTES / SIZES[size]);
				uint64_t began_ns = clock_now_ns();
				/* The start moves with what came before: no result is computed ahead. */
				for (uint32_t i = 0; i < times; i++)
					kept += SUMS[sum].of(bytes + (kept & 63), SIZES[size]);
				double ns = (double)(clock_now_ns() - began_ns) / times;
				snprintf(row.name, sizeof(row.name), "%s %zu", SUMS[sum].name, SIZES[size]);
				row_add(&row, "ns", ns);
				row_add(&row, "GB/s", (double)SIZES[size] / ns);
				table_add(&table, &row);
			}
		}
	}
	CHECK_NE(kept, 0u);
	free(bytes);
	table_end(&table);
}
