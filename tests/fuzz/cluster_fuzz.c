/* What comes from other nodes, from whoever may publish on the cluster's subjects: the first byte says of what kind.
 *
 * 'l': a play on one link: datagrams that are given as they are, or sealed first (so that what is behind the checksum
 * is reached), messages that are sent, and time that passes. Whatever comes, the link keeps its limits, delivers no
 * more than came, and what was sent goes on. 'h': heartbeats to members, as they are or sealed; each story is one that
 * makes sense. */
#include "fuzz.h"

#include "cluster/link/link.h"
#include "cluster/members/members.h"
#include "cluster/wire/numbers.h"

#include <stdbool.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define OWN_RUN 1u
#define PEER_RUN 2u
#define DATAGRAM_BYTES 400u
#define MESSAGE_BYTES_MAX 2000u

struct input {
	const uint8_t *at;
	size_t left;
};

static uint8_t next_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

/* A copy of what follows, at most so much, in a block of its own. */
static uint8_t *next_block(struct input *input, size_t most, size_t *size)
{
	*size = (size_t)next_byte(input) * 2;
	if (*size > most)
		*size = most;
	if (*size > input->left)
		*size = input->left;
	uint8_t *block = block_new(*size);
	if (*size != 0)
		memcpy(block, input->at, *size);
	input->at += *size;
	input->left -= *size;
	return block;
}

/* ---- a link ---- */

struct link_play {
	struct link link;
	uint64_t delivered_bytes;
	uint64_t received_bytes;
};

static void on_message(void *context, uint8_t kind, struct slice body)
{
	struct link_play *play = context;
	(void)kind;
	play->delivered_bytes += body.size;
	CHECK_LE(body.size, MESSAGE_BYTES_MAX);
	CHECK_LE(play->delivered_bytes, play->received_bytes);
	/* Answers go from here. */
	link_send(&play->link, 9, &body, 1);
}

/* As the peer would send it: the frames are the input's, and the numbers those that are due, or near them. */
static void receive_sealed(struct link_play *play, struct input *input, uint64_t now_ms)
{
	size_t size;
	uint8_t numbers = next_byte(input);
	uint8_t *frames = next_block(input, DATAGRAM_BYTES, &size);
	uint8_t *datagram = block_new(LINK_HEAD_BYTES + size);
	uint64_t acknowledged = play->link.last_sent - (numbers >> 2 & 3) + (numbers >> 6 & 1);
	struct link_head head = {.flags = numbers >> 7,
				 .from = PEER_RUN,
				 .to = OWN_RUN,
				 .sequence = play->link.received + (numbers & 3),
				 .acknowledged = acknowledged};
	if (size != 0)
		memcpy(datagram + LINK_HEAD_BYTES, frames, size);
	link_head_write(&head, datagram, LINK_HEAD_BYTES + size);
	play->received_bytes += size;
	link_receive(&play->link, slice_of(datagram, LINK_HEAD_BYTES + size), now_ms);
	free(datagram);
	free(frames);
}

static void receive_as_it_is(struct link_play *play, struct input *input, uint64_t now_ms)
{
	size_t size;
	uint64_t from, to;
	uint8_t *datagram = next_block(input, DATAGRAM_BYTES, &size);
	play->received_bytes += size;
	link_peek(slice_of(datagram, size), &from, &to);
	link_receive(&play->link, slice_of(datagram, size), now_ms);
	free(datagram);
}

static void send_something(struct link_play *play, struct input *input)
{
	static const uint8_t BODY[MESSAGE_BYTES_MAX];
	struct slice body = slice_of(BODY, (size_t)next_byte(input) * 7);
	link_send(&play->link, 1, &body, 1);
}

static void check_link(const struct link *link)
{
	CHECK_LE(link->buffered_bytes, 2 * link->limits.buffer_bytes + 2 * MESSAGE_BYTES_MAX);
	CHECK_LE(link->flight_bytes, link->buffered_bytes);
	CHECK_LE(link->message.capacity, 4 * MESSAGE_BYTES_MAX + 65536);
	CHECK_LE(link->spare_count, 2 * LINK_SPARES_MAX);
	CHECK_EQ(link->oldest == NULL, link->buffered_bytes == 0);
}

static void step_link(struct link_play *play, struct input *input, uint64_t *now_ms)
{
	struct slice datagram;
	uint8_t what = next_byte(input);
	switch (what & 7) {
	case 0:
	case 1:
		receive_sealed(play, input, *now_ms);
		break;
	case 2:
		receive_as_it_is(play, input, *now_ms);
		break;
	case 3:
		send_something(play, input);
		break;
	case 4:
		link_suspend(&play->link);
		break;
	case 5:
		link_resume(&play->link, *now_ms);
		break;
	default:
		*now_ms += what;
		link_tick(&play->link, *now_ms);
		while (link_next_datagram(&play->link, *now_ms, &datagram))
			CHECK_LE(datagram.size, DATAGRAM_BYTES);
		break;
	}
	check_link(&play->link);
}

static void play_link(struct input *input)
{
	struct link_play play = {0};
	struct link_limits limits = {.datagram_bytes = DATAGRAM_BYTES,
				     .window_bytes = 1000,
				     .buffer_bytes = 3000,
				     .message_bytes_max = MESSAGE_BYTES_MAX};
	uint64_t now_ms = 1;
	link_init(&play.link, OWN_RUN, PEER_RUN, &limits, (struct link_receiver){on_message, &play});
	while (input->left != 0)
		step_link(&play, input, &now_ms);
	link_fini(&play.link);
}

/* ---- heartbeats ---- */

struct members_play {
	struct members *members;
	bool has_joined[NODES_MAX];
	bool must_renew;
};

static void on_joined(void *context, uint32_t slot)
{
	struct members_play *play = context;
	CHECK(!play->has_joined[slot]);
	play->has_joined[slot] = true;
}

static void on_away(void *context, uint32_t slot, enum away_reason reason)
{
	struct members_play *play = context;
	(void)reason;
	CHECK(play->has_joined[slot]);
}

static void on_back(void *context, uint32_t slot)
{
	struct members_play *play = context;
	CHECK(play->has_joined[slot]);
}

static void on_ended(void *context, uint32_t slot, uint64_t incarnation, bool said_goodbye)
{
	struct members_play *play = context;
	(void)incarnation;
	(void)said_goodbye;
	CHECK(play->has_joined[slot]);
	play->has_joined[slot] = false;
}

static void on_view(void *context)
{
	const struct members_play *play = context;
	struct view_member view[NODES_MAX + 1];
	uint32_t count = members_view(play->members, view);
	CHECK(count >= 1 && count <= NODES_MAX + 1);
}

static void on_refused(void *context, struct slice name, enum members_refusal refusal)
{
	(void)context;
	CHECK(name.size == 0 || node_name_is_valid(name));
	CHECK_LT(refusal, MEMBERS_REFUSAL_COUNT);
}

static void on_renew(void *context, struct slice by)
{
	struct members_play *play = context;
	CHECK(node_name_is_valid(by) && !play->must_renew);
	play->must_renew = true;
}

static void on_agreement(void *context, uint32_t slot, struct slice name, bool is_alike)
{
	(void)context;
	(void)slot;
	(void)name;
	(void)is_alike;
}

static void on_clock(void *context, uint32_t slot, int64_t difference_ms)
{
	(void)context;
	(void)slot;
	(void)difference_ms;
}

static void seal_heartbeat(uint8_t *bytes, size_t size)
{
	if (size >= 8)
		put_u32(bytes + 4, (uint32_t)XXH3_64bits_withSeed(bytes + 8, size - 8, get_u32(bytes)));
}

static void step_members(struct members_play *play, struct input *input, uint64_t *now_ms)
{
	size_t size;
	uint8_t what = next_byte(input);
	uint8_t *bytes = next_block(input, SIZE_MAX, &size);
	if ((what & 1) != 0)
		seal_heartbeat(bytes, size);
	*now_ms += (uint64_t)(what >> 1) * 16;
	members_receive(play->members, slice_of(bytes, size), *now_ms, *now_ms);
	members_tick(play->members, *now_ms);
	free(bytes);
	struct slice own = members_heartbeat(play->members, *now_ms, *now_ms);
	if (own.size != 0)
		CHECK(members_receive(play->members, own, *now_ms, *now_ms));
	if (play->must_renew) {
		play->must_renew = false;
		memset(play->has_joined, 0, sizeof(play->has_joined));
		members_renew(play->members, members_own_incarnation(play->members) + 1, *now_ms);
	}
}

static void play_members(struct input *input)
{
	struct members_play play = {0};
	const struct agreement agreement = {slice_string("rules"), 7};
	struct members_settings settings = {.name = slice_string("us"),
					    .incarnation = OWN_RUN,
					    .version = "1",
					    .protocol_min = 1,
					    .protocol_max = 2,
					    .timeout_ms = 2000};
	struct members_observer observer = {&play,   on_joined,  on_away,  on_back,      on_ended,
					    on_view, on_refused, on_renew, on_agreement, on_clock};
	uint64_t now_ms = 1000;
	play.members = members_new(&settings, &observer, now_ms);
	CHECK(play.members != NULL);
	members_set_agreements(play.members, &agreement, 1);
	while (input->left != 0)
		step_members(&play, input, &now_ms);
	members_free(play.members);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t kind = next_byte(&input);
	if (kind == 'l')
		play_link(&input);
	else if (kind == 'h')
		play_members(&input);
	return 0;
}
