#include "cluster/link/link_format.h"

#include "base/check.h"
#include "cluster/wire/numbers.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CHECK_AT 4u
#define CHECKED_AT 8u
#define FROM_AT 8u
#define TO_AT 16u
#define SEQUENCE_AT 24u
#define ACKNOWLEDGED_AT 32u

static uint32_t link_check(const uint8_t *datagram, size_t size)
{
	return (uint32_t)XXH3_64bits_withSeed(datagram + CHECKED_AT, size - CHECKED_AT, get_u32(datagram));
}

void link_head_write(const struct link_head *head, uint8_t *datagram, size_t size)
{
	CHECK_GE(size, LINK_HEAD_BYTES);
	datagram[0] = 'R';
	datagram[1] = 'L';
	datagram[2] = LINK_VERSION;
	datagram[3] = head->flags;
	put_u64(datagram + FROM_AT, head->from);
	put_u64(datagram + TO_AT, head->to);
	put_u64(datagram + SEQUENCE_AT, head->sequence);
	put_u64(datagram + ACKNOWLEDGED_AT, head->acknowledged);
	put_u32(datagram + CHECK_AT, link_check(datagram, size));
}

static enum link_fault fault_of_start(struct slice datagram)
{
	const uint8_t *at = datagram.data;
	if (datagram.size < LINK_HEAD_BYTES)
		return LINK_FAULT_SHORT;
	if (at[0] != 'R' || at[1] != 'L')
		return LINK_FAULT_MAGIC;
	return at[2] == LINK_VERSION ? LINK_FAULT_NONE : LINK_FAULT_VERSION;
}

static void read_head_fields(const uint8_t *at, struct link_head *head)
{
	*head = (struct link_head){
		.flags = at[3],
		.from = get_u64(at + FROM_AT),
		.to = get_u64(at + TO_AT),
		.sequence = get_u64(at + SEQUENCE_AT),
		.acknowledged = get_u64(at + ACKNOWLEDGED_AT),
	};
}

enum link_fault link_head_read(struct slice datagram, struct link_head *head)
{
	enum link_fault fault = fault_of_start(datagram);
	if (fault != LINK_FAULT_NONE)
		return fault;
	if (get_u32(datagram.data + CHECK_AT) != link_check(datagram.data, datagram.size))
		return LINK_FAULT_CHECK;
	read_head_fields(datagram.data, head);
	return LINK_FAULT_NONE;
}

bool link_head_peek(struct slice datagram, struct link_head *head)
{
	if (fault_of_start(datagram) != LINK_FAULT_NONE)
		return false;
	read_head_fields(datagram.data, head);
	return true;
}
