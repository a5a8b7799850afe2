#include "bench/measure/stamp.h"

#define STAMP_MAGIC 0x524f4f53u /* "ROOS" */

_Static_assert(STAMP_BYTES == sizeof(uint32_t) * 2 + sizeof(uint64_t) * 2, "magic, publisher, number and time");
_Static_assert(STAMP_LEFT_BYTES == STAMP_BYTES + sizeof(uint64_t), "the time when it left stands behind them");

void stamp_write(const struct stamp *stamp, uint8_t *out)
{
	uint32_t magic = STAMP_MAGIC;
	memcpy(out, &magic, 4);
	memcpy(out + 4, &stamp->publisher, 4);
	memcpy(out + 8, &stamp->number, 8);
	memcpy(out + 16, &stamp->sent_ns, 8);
	if (stamp->left_ns != 0)
		memcpy(out + STAMP_BYTES, &stamp->left_ns, 8);
}

bool stamp_read(struct slice payload, struct stamp *out)
{
	uint32_t magic;
	if (payload.size < STAMP_BYTES)
		return false;
	memcpy(&magic, payload.data, 4);
	memcpy(&out->publisher, payload.data + 4, 4);
	memcpy(&out->number, payload.data + 8, 8);
	memcpy(&out->sent_ns, payload.data + 16, 8);
	out->left_ns = 0;
	return magic == STAMP_MAGIC;
}

void stamp_read_left(struct slice payload, struct stamp *out)
{
	if (payload.size >= STAMP_LEFT_BYTES)
		memcpy(&out->left_ns, payload.data + STAMP_BYTES, 8);
}
