#include "cluster/link/link.h"

#include "base/check.h"
#include "cluster/link/link_window.h"

#include <stdlib.h>

/* Of the buffer in which a large message was gathered, so much is kept. */
#define MESSAGE_KEPT_BYTES 65536u
/* An acknowledgement goes at once when so much of the window has come since the last. */
#define WINDOW_SHARE 8u

bool link_peek(struct slice datagram, uint64_t *from, uint64_t *to)
{
	struct link_head head;
	/* The check is link_receive()'s, which takes the whole datagram into account: here a wrong one finds no link.
	 */
	if (!link_head_peek(datagram, &head))
		return false;
	*from = head.from;
	*to = head.to;
	return true;
}

/* ---- what the peer acknowledges ---- */

/* RFC 6298: the smoothed time of a round trip and its variation, in fractions of a millisecond. */
static void measure_round_trip(struct link *link, uint64_t round_trip_ms)
{
	uint32_t sample = round_trip_ms < LINK_RETRY_MS_MAX ? (uint32_t)round_trip_ms : LINK_RETRY_MS_MAX;
	if (link->round_trip_8 == 0) {
		link->round_trip_8 = sample * 8 + 1;
		link->variation_4 = sample * 2;
	} else {
		uint32_t smooth = link->round_trip_8 / 8;
		uint32_t off = sample > smooth ? sample - smooth : smooth - sample;
		link->variation_4 += off;
		link->variation_4 -= link->variation_4 / 4;
		link->round_trip_8 += sample;
		link->round_trip_8 -= link->round_trip_8 / 8;
	}
	uint32_t retry_ms = link->round_trip_8 / 8 + link->variation_4;
	if (retry_ms < LINK_RETRY_MS_MIN)
		retry_ms = LINK_RETRY_MS_MIN;
	link->retry_ms = retry_ms < LINK_RETRY_MS_MAX ? retry_ms : LINK_RETRY_MS_MAX;
}

static void link_receive_let_go(struct link *link, struct link_datagram *datagram)
{
	link->buffered_bytes -= datagram->size;
	if (link->spare_count < LINK_SPARES_MAX)
		link_give_spare(link, datagram);
	else
		free(datagram);
}

static void take_acknowledged(struct link *link, uint64_t acknowledged, uint64_t now_ms)
{
	struct link_datagram *oldest = link->oldest;
	if (oldest == NULL || oldest->sequence > acknowledged)
		return;
	uint64_t round_trip_ms = 0;
	bool is_measured = false;
	while (oldest != NULL && oldest->sequence <= acknowledged) {
		struct link_datagram *next = oldest->next;
		if (oldest == link->cursor)
			link->cursor = next;
		else
			link->flight_bytes -= oldest->size;
		/* One that was sent twice does not say which of the two came. */
		is_measured = !oldest->is_sent_again;
		round_trip_ms = now_ms - oldest->sent_ms;
		link_receive_let_go(link, oldest);
		oldest = next;
	}
	link->oldest = oldest;
	if (oldest == NULL)
		link->newest = NULL;
	if (is_measured)
		measure_round_trip(link, round_trip_ms);
	link->is_probing = false;
	link->backoff = 0;
	link->retry_at_ms = link->flight_bytes != 0 ? now_ms + link->retry_ms : 0;
}

/* The peer misses what follows. Several reports of one gap are under way at once: the first of them counts, and another
 * one only when that has had the time to be of use. */
static void take_gap(struct link *link, uint64_t acknowledged, uint64_t now_ms)
{
	const struct link_datagram *oldest = link->oldest;
	if (oldest == NULL || oldest == link->cursor || oldest->sequence != acknowledged + 1)
		return;
	uint64_t again_ms = link->round_trip_8 / 8 + 1;
	if (link->rewound_sequence == oldest->sequence && now_ms < link->rewound_ms + again_ms)
		return;
	link_go_back(link, now_ms);
}

/* ---- what the peer sends ---- */

/* A look at all frames before any of them has an effect. *in_parts: whether any is of a message in parts. */
static enum link_verdict check_frames(const struct link *link, struct slice rest, bool *in_parts)
{
	bool in_message = link->in_message;
	uint8_t kind = link->message_kind;
	size_t gathered = link->message.size;
	*in_parts = false;
	if (rest.size == 0)
		return LINK_MALFORMED;
	while (rest.size != 0) {
		struct link_frame frame;
		bool begins;
		if (!link_frame_read(&rest, &frame))
			return LINK_MALFORMED;
		begins = (frame.flags & LINK_FRAME_BEGINS) != 0;
		if (begins == in_message || (in_message && frame.kind != kind))
			return LINK_MALFORMED;
		gathered = begins ? frame.part.size : gathered + frame.part.size;
		if (gathered > link->limits.message_bytes_max)
			return LINK_TOO_LARGE;
		kind = frame.kind;
		in_message = (frame.flags & LINK_FRAME_ENDS) == 0;
		*in_parts |= frame.flags != LINK_FRAME_WHOLE;
	}
	return LINK_TAKEN;
}

static void deliver(struct link *link, uint8_t kind, struct slice body)
{
	link->counters.messages_received++;
	link->receiver.on_message(link->receiver.context, kind, body);
}

/* Room for the parts has been reserved. */
static void take_link_part(struct link *link, const struct link_frame *frame)
{
	if ((frame->flags & LINK_FRAME_BEGINS) != 0) {
		bytes_clear(&link->message, SIZE_MAX);
		link->message_kind = frame->kind;
	}
	bytes_append(&link->message, frame->part.data, frame->part.size);
	CHECK(!link->message.failed);
	link->in_message = (frame->flags & LINK_FRAME_ENDS) == 0;
	if (link->in_message)
		return;
	deliver(link, frame->kind, bytes_slice(&link->message));
	bytes_clear(&link->message, MESSAGE_KEPT_BYTES);
}

static enum link_verdict take_link_frames(struct link *link, struct slice frames, uint64_t now_ms)
{
	bool in_parts;
	enum link_verdict verdict = check_frames(link, frames, &in_parts);
	if (verdict != LINK_TAKEN)
		return verdict;
	if (in_parts && !bytes_reserve(&link->message, frames.size))
		return LINK_NO_MEMORY;
	/* First, so that what the messages bring about says so. */
	link->received++;
	link->unacknowledged_bytes += LINK_HEAD_BYTES + frames.size;
	uint64_t ack_at_ms = link->unacknowledged_bytes >= link->limits.window_bytes / WINDOW_SHARE
				     ? now_ms
				     : now_ms + LINK_ACK_DELAY_MS;
	if (ack_at_ms < link->ack_at_ms)
		link->ack_at_ms = ack_at_ms;
	while (frames.size != 0) {
		struct link_frame frame;
		CHECK(link_frame_read(&frames, &frame));
		if (frame.flags == LINK_FRAME_WHOLE)
			deliver(link, frame.kind, frame.part);
		else
			take_link_part(link, &frame);
	}
	return LINK_TAKEN;
}

static void note_gap(struct link *link, uint64_t now_ms)
{
	if (link->gap_sequence == link->received + 1 && now_ms < link->gap_ms + LINK_GAP_AGAIN_MS)
		return;
	link->gap_sequence = link->received + 1;
	link->gap_ms = now_ms;
	link->reports_gap = true;
	link->ack_at_ms = now_ms;
}

static enum link_verdict verdict_of_fault(enum link_fault fault)
{
	switch (fault) {
	case LINK_FAULT_SHORT:
		return LINK_SHORT;
	case LINK_FAULT_MAGIC:
		return LINK_FOREIGN;
	case LINK_FAULT_VERSION:
		return LINK_VERSION_UNKNOWN;
	case LINK_FAULT_CHECK:
		return LINK_CHECKSUM;
	case LINK_FAULT_NONE:
		break;
	}
	return LINK_TAKEN;
}

static enum link_verdict take_link_datagram(struct link *link, struct slice datagram, uint64_t now_ms)
{
	struct link_head head;
	enum link_fault fault = link_head_read(datagram, &head);
	if (fault != LINK_FAULT_NONE)
		return verdict_of_fault(fault);
	if (head.from != link->peer || head.to != link->own)
		return LINK_OTHER_RUN;
	if (head.acknowledged > link->last_sent)
		return LINK_NEVER_SENT;
	take_acknowledged(link, head.acknowledged, now_ms);
	if ((head.flags & LINK_FLAG_GAP) != 0)
		take_gap(link, head.acknowledged, now_ms);
	struct slice frames = slice_of(datagram.data + LINK_HEAD_BYTES, datagram.size - LINK_HEAD_BYTES);
	if (head.sequence == 0)
		return frames.size == 0 ? LINK_TAKEN : LINK_MALFORMED;
	if (head.sequence <= link->received) {
		/* The peer has not heard that it came. */
		link->ack_at_ms = now_ms;
		return LINK_DUPLICATE;
	}
	if (head.sequence == link->received + 1)
		return take_link_frames(link, frames, now_ms);
	note_gap(link, now_ms);
	return LINK_GAP;
}

enum link_verdict link_receive(struct link *link, struct slice datagram, uint64_t now_ms)
{
	enum link_verdict verdict = take_link_datagram(link, datagram, now_ms);
	link->counters.verdicts[verdict]++;
	return verdict;
}
