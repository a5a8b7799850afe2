/* The types of a link (cluster/link/link.h): for the files of the link, and for those that have one in a struct. */
#ifndef CLUSTER_LINK_STATE_H
#define CLUSTER_LINK_STATE_H

#include "base/slice.h"
#include "cluster/link/link_format.h"
#include "memory/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An acknowledgement waits so long for something that it can go with. */
#define LINK_ACK_DELAY_MS 5u
/* How long the sender waits for an acknowledgement before it sends again: from what was measured, between these, and
 * doubled with each time that nothing came. */
#define LINK_RETRY_MS_MIN 100u
#define LINK_RETRY_MS_MAX 4000u
/* A gap that is still there is reported again after this. */
#define LINK_GAP_AGAIN_MS 20u
/* Blocks of datagrams that are kept for use again. */
#define LINK_SPARES_MAX 16u
/* Parts of one message that link_send() gathers. */
#define LINK_PARTS_MAX 8u

struct link_limits {
	size_t datagram_bytes;    /* LINK_HEAD_BYTES + 64 to LINK_DATAGRAM_BYTES_MAX, and no more than the bus takes */
	size_t window_bytes;      /* sent and not acknowledged; one datagram always goes */
	size_t buffer_bytes;      /* link_room() counts down from here; link_send() refuses at twice as much */
	size_t message_bytes_max; /* of one message that comes or goes */
};

/* 64 KiB, 4 MiB, 8 MiB, and MQTT's largest packet with 64 KiB for what stands in front of it. */
#define LINK_LIMITS_DEFAULT                                                                                            \
	((struct link_limits){.datagram_bytes = LINK_DATAGRAM_BYTES_MAX,                                               \
			      .window_bytes = 4u << 20,                                                                \
			      .buffer_bytes = 8u << 20,                                                                \
			      .message_bytes_max = (256u << 20) + 65536u})

/* What became of a datagram. The first two are the course of things, the others are counted as dropped. */
#define LINK_VERDICTS(X)                                                                                               \
	X(TAKEN, "taken")                                                                                              \
	X(DUPLICATE, "it has come before")                                                                             \
	X(GAP, "one before it is missing")                                                                             \
	X(SHORT, "shorter than its head")                                                                              \
	X(FOREIGN, "not a datagram of Roost's")                                                                        \
	X(VERSION_UNKNOWN, "of a version of the link that is not known here")                                          \
	X(CHECKSUM, "its checksum is wrong")                                                                           \
	X(OTHER_RUN, "from or for another run of a node")                                                              \
	X(NEVER_SENT, "acknowledges what was never sent")                                                              \
	X(MALFORMED, "its frames are malformed")                                                                       \
	X(TOO_LARGE, "a message in it is larger than the limit")                                                       \
	X(NO_MEMORY, "no memory for a message that comes in parts")

enum link_verdict {
#define X(name, sentence) LINK_##name,
	LINK_VERDICTS(X)
#undef X
		LINK_VERDICT_COUNT
};

struct link_counters {
	uint64_t messages_sent; /* given to link_send() */
	uint64_t messages_received;
	uint64_t datagrams_sent; /* the first time */
	uint64_t datagrams_sent_again;
	uint64_t acknowledgements_sent; /* alone */
	uint64_t bytes_sent;            /* all of these three */
	uint64_t timeouts;
	uint64_t verdicts[LINK_VERDICT_COUNT];
};

/* Called for each message. The body is valid during the call only, at any alignment. It may send on this link and on
 * others; it may not end this one or give it another datagram. */
struct link_receiver {
	void (*on_message)(void *context, uint8_t kind, struct slice body);
	void *context;
};

/* One that is kept until it is acknowledged. */
struct link_datagram {
	struct link_datagram *next;
	uint64_t sequence;
	uint64_t sent_ms; /* the last time */
	uint32_t size;    /* with its head */
	bool is_sent_again;
	uint8_t bytes[]; /* limits.datagram_bytes */
};

struct link {
	uint64_t own;
	uint64_t peer;
	struct link_limits limits;
	struct link_receiver receiver;
	bool is_suspended;
	/* Sending. oldest ... newest are not acknowledged; those before the cursor are under way. The newest may still
	 * grow while it has never been sent. */
	struct link_datagram *oldest;
	struct link_datagram *newest;
	struct link_datagram *cursor;
	struct link_datagram *spares;
	uint32_t spare_count;
	bool is_probing; /* after a time-out: one datagram alone, until something is acknowledged */
	uint64_t last_opened;
	uint64_t last_sent;
	size_t buffered_bytes;
	size_t flight_bytes;
	uint64_t rewound_sequence;
	uint64_t rewound_ms;
	uint64_t retry_at_ms; /* 0: nothing is under way */
	uint32_t retry_ms;
	uint32_t backoff;
	uint32_t round_trip_8; /* smoothed, in eighths of a millisecond; 0: none was measured */
	uint32_t variation_4;  /* in quarters */
	/* Receiving. */
	uint64_t received; /* every datagram up to this one */
	bool in_message;
	uint8_t message_kind;
	bool reports_gap;
	struct bytes message; /* its parts so far */
	uint64_t gap_sequence;
	uint64_t gap_ms;
	uint64_t ack_at_ms; /* UINT64_MAX: none is due */
	size_t unacknowledged_bytes;
	uint8_t ack_bytes[LINK_HEAD_BYTES];
	struct link_counters counters;
};

#endif
