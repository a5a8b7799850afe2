#include "cluster/link/link.h"

#include "base/check.h"
#include "cluster/link/link_window.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS_FIRST 250u
/* Behind a large message so much of an open datagram is worth filling. */
#define ROOM_WORTH_FILLING 256u

const char *link_verdict_name(enum link_verdict verdict)
{
	static const char *const NAMES[] = {
#define X(name, sentence) #name,
		LINK_VERDICTS(X)
#undef X
	};
	return NAMES[verdict];
}

const char *link_verdict_sentence(enum link_verdict verdict)
{
	static const char *const SENTENCES[] = {
#define X(name, sentence) sentence,
		LINK_VERDICTS(X)
#undef X
	};
	return SENTENCES[verdict];
}

void link_init(struct link *link, uint64_t own, uint64_t peer, const struct link_limits *limits,
	       struct link_receiver receiver)
{
	CHECK(own != 0 && peer != 0);
	CHECK_GE(limits->datagram_bytes, LINK_HEAD_BYTES + 64u);
	CHECK_LE(limits->datagram_bytes, LINK_DATAGRAM_BYTES_MAX);
	*link = (struct link){.own = own,
			      .peer = peer,
			      .limits = *limits,
			      .receiver = receiver,
			      .retry_ms = RETRY_MS_FIRST,
			      .ack_at_ms = UINT64_MAX};
}

static void free_datagrams(struct link_datagram *first)
{
	while (first != NULL) {
		struct link_datagram *next = first->next;
		free(first);
		first = next;
	}
}

void link_fini(struct link *link)
{
	free_datagrams(link->oldest);
	free_datagrams(link->spares);
	bytes_free(&link->message);
	link->oldest = link->newest = link->cursor = link->spares = NULL;
}

/* ---- messages into datagrams ---- */

/* Of the datagram that may still grow; 0: there is none. */
static size_t open_room(const struct link *link)
{
	const struct link_datagram *newest = link->newest;
	bool is_open = newest != NULL && newest->sequence > link->last_sent;
	return is_open ? link->limits.datagram_bytes - newest->size : 0;
}

static void open_datagram(struct link *link)
{
	struct link_datagram *datagram = link_take_spare(link);
	datagram->next = NULL;
	datagram->sequence = ++link->last_opened;
	datagram->size = LINK_HEAD_BYTES;
	datagram->is_sent_again = false;
	link->buffered_bytes += LINK_HEAD_BYTES;
	if (link->newest != NULL)
		link->newest->next = datagram;
	else
		link->oldest = datagram;
	link->newest = datagram;
	if (link->cursor == NULL)
		link->cursor = datagram;
}

/* Room for one frame of so many bytes, in the newest datagram. */
static uint8_t *add_frame(struct link *link, uint8_t kind, uint8_t flags, size_t size)
{
	struct link_datagram *datagram = link->newest;
	uint8_t *at = datagram->bytes + datagram->size;
	link_frame_write(at, kind, flags, size);
	datagram->size += (uint32_t)(LINK_FRAME_HEAD_BYTES + size);
	link->buffered_bytes += LINK_FRAME_HEAD_BYTES + size;
	return at + LINK_FRAME_HEAD_BYTES;
}

/* Where in the parts of a message the copying is. */
struct part_reader {
	const struct slice *parts;
	size_t part;
	size_t at;
};

static void gather_parts(struct part_reader *from, uint8_t *to, size_t size)
{
	while (size != 0) {
		const struct slice *part = &from->parts[from->part];
		size_t piece = part->size - from->at < size ? part->size - from->at : size;
		if (piece != 0)
			memcpy(to, part->data + from->at, piece);
		to += piece;
		size -= piece;
		from->at += piece;
		if (from->at == part->size) {
			from->part++;
			from->at = 0;
		}
	}
}

static enum error send_large(struct link *link, uint8_t kind, const struct slice *parts, size_t total)
{
	size_t most = link->limits.datagram_bytes - LINK_HEAD_BYTES - LINK_FRAME_HEAD_BYTES;
	struct part_reader from = {.parts = parts};
	uint8_t flags = LINK_FRAME_BEGINS;
	if (!link_reserve_spares(link, total / most + 1))
		return ERROR_NO_MEMORY;
	while (total != 0) {
		size_t room = open_room(link);
		if (room < ROOM_WORTH_FILLING && room < link->limits.datagram_bytes - LINK_HEAD_BYTES) {
			open_datagram(link);
			room = open_room(link);
		}
		size_t piece = room - LINK_FRAME_HEAD_BYTES;
		if (piece >= total) {
			piece = total;
			flags |= LINK_FRAME_ENDS;
		}
		gather_parts(&from, add_frame(link, kind, flags, piece), piece);
		total -= piece;
		flags = 0;
	}
	return ERROR_OK;
}

enum error link_send(struct link *link, uint8_t kind, const struct slice *parts, size_t count)
{
	size_t total = 0;
	enum error error = ERROR_OK;
	CHECK_LE(count, LINK_PARTS_MAX);
	for (size_t i = 0; i < count; i++)
		total += parts[i].size;
	if (total > link->limits.message_bytes_max)
		return ERROR_PACKET_TOO_LARGE;
	if (link->buffered_bytes >= 2 * link->limits.buffer_bytes)
		return ERROR_LIMIT;
	if (total <= link->limits.datagram_bytes - LINK_HEAD_BYTES - LINK_FRAME_HEAD_BYTES) {
		if (open_room(link) < LINK_FRAME_HEAD_BYTES + total) {
			if (!link_reserve_spares(link, 1))
				return ERROR_NO_MEMORY;
			open_datagram(link);
		}
		gather_parts(&(struct part_reader){.parts = parts}, add_frame(link, kind, LINK_FRAME_WHOLE, total),
			     total);
	} else {
		error = send_large(link, kind, parts, total);
	}
	link->counters.messages_sent += error == ERROR_OK;
	return error;
}

/* ---- datagrams to the bus ---- */

static bool has_data(const struct link *link)
{
	const struct link_datagram *next = link->cursor;
	if (next == NULL || link->is_suspended)
		return false;
	return link->flight_bytes == 0 ||
	       (!link->is_probing && link->flight_bytes + next->size <= link->limits.window_bytes);
}

static bool owes_ack(const struct link *link, uint64_t now_ms)
{
	return !link->is_suspended && link->ack_at_ms <= now_ms;
}

bool link_has_datagram(const struct link *link, uint64_t now_ms)
{
	return has_data(link) || owes_ack(link, now_ms);
}

static uint64_t retry_delay_ms(const struct link *link)
{
	uint64_t delay_ms = (uint64_t)link->retry_ms << link->backoff;
	return delay_ms < LINK_RETRY_MS_MAX ? delay_ms : LINK_RETRY_MS_MAX;
}

/* Whatever goes says what has come. */
static struct slice seal(struct link *link, uint8_t *bytes, size_t size, uint64_t sequence)
{
	struct link_head head = {.flags = link->reports_gap ? LINK_FLAG_GAP : 0,
				 .from = link->own,
				 .to = link->peer,
				 .sequence = sequence,
				 .acknowledged = link->received};
	link_head_write(&head, bytes, size);
	link->reports_gap = false;
	link->ack_at_ms = UINT64_MAX;
	link->unacknowledged_bytes = 0;
	link->counters.bytes_sent += size;
	return slice_of(bytes, size);
}

bool link_next_datagram(struct link *link, uint64_t now_ms, struct slice *datagram)
{
	if (!has_data(link)) {
		if (!owes_ack(link, now_ms))
			return false;
		link->counters.acknowledgements_sent++;
		*datagram = seal(link, link->ack_bytes, LINK_HEAD_BYTES, 0);
		return true;
	}
	struct link_datagram *next = link->cursor;
	link->cursor = next->next;
	link->flight_bytes += next->size;
	next->sent_ms = now_ms;
	if (next->sequence > link->last_sent) {
		link->last_sent = next->sequence;
		link->counters.datagrams_sent++;
	} else {
		next->is_sent_again = true;
		link->counters.datagrams_sent_again++;
	}
	if (link->retry_at_ms == 0)
		link->retry_at_ms = now_ms + retry_delay_ms(link);
	*datagram = seal(link, next->bytes, next->size, next->sequence);
	return true;
}

/* ---- time ---- */

void link_tick(struct link *link, uint64_t now_ms)
{
	if (link->is_suspended || link->retry_at_ms == 0 || now_ms < link->retry_at_ms)
		return;
	link->counters.timeouts++;
	link_go_back(link, now_ms);
	link->is_probing = true;
	if (retry_delay_ms(link) < LINK_RETRY_MS_MAX)
		link->backoff++;
}

uint64_t link_next_deadline(const struct link *link)
{
	uint64_t retry_at_ms = link->retry_at_ms != 0 ? link->retry_at_ms : UINT64_MAX;
	if (link->is_suspended)
		return UINT64_MAX;
	return retry_at_ms < link->ack_at_ms ? retry_at_ms : link->ack_at_ms;
}

void link_suspend(struct link *link)
{
	link->is_suspended = true;
}

void link_resume(struct link *link, uint64_t now_ms)
{
	if (!link->is_suspended)
		return;
	link->is_suspended = false;
	link->backoff = 0;
	link->is_probing = link->oldest != NULL;
	/* The peer hears at once how far it has come here. */
	link->ack_at_ms = now_ms;
	link_go_back(link, now_ms);
}
