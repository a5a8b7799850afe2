/* What of a rule is under way to one server, and what the server has said of it. On a single server all of it is one
 * transaction. In a cluster each stream's part is one by itself, a parcel: a command alone needs none.
 *
 * Between flight_write() and the last answer, or the loss of the connection, it is at Redis. Pure: no sockets, no clock
 * but in its pause. Owned by the relay's thread. */
#ifndef RELAY_STREAM_FLIGHT_H
#define RELAY_STREAM_FLIGHT_H

#include "reactor/pause.h"
#include "redis/redis_words.h"
#include "relay/entry/entry_batch.h"

#define FLIGHT_FAULT_BYTES 128u
/* What is sent on more often than this goes round in circles, and waits. */
#define FLIGHT_REDIRECTS_MAX 5u

struct lane;

struct parcel {
	uint32_t first; /* of the batch's entries */
	uint32_t count;
	uint16_t slot;
	bool asking;   /* ASKING goes before it */
	bool is_alone; /* it is one command */
};

struct flight {
	struct lane *lane;
	struct entry_batch batch;
	struct parcel *parcels;
	uint32_t parcel_count;
	uint32_t parcel_capacity;
	uint32_t answered; /* parcels of which all answers have come */
	uint32_t answers;  /* that have come to the next one */
	bool is_at_redis;
	bool follows;       /* it is a cluster's, which may send it elsewhere */
	bool is_redirected; /* the parcel whose answers come, or the one that was answered last */
	bool is_kept;       /* memory was short: it goes again as it is */
	bool is_waiting;    /* Redis has refused what is in it, or was lost */
	struct redis_redirect redirect;
	struct pause pause;                   /* before more goes to this server, once it has refused something */
	char refusal[BATCH_REASON_BYTES_MAX]; /* of what is at Redis: the first that it gave; "": none */
	char reason[BATCH_REASON_BYTES_MAX];  /* likewise, why entries are dead */
};

enum flight_news {
	FLIGHT_GOES_ON,
	FLIGHT_PARCEL, /* a parcel is complete: is_redirected says whether it is to go elsewhere */
	FLIGHT_WRONG,  /* it is no answer that Redis gives: fault says why */
};

void flight_init(struct flight *flight, struct lane *lane, bool follows);
void flight_fini(struct flight *flight);

/* Takes copies of these entries of a batch, all of one stream, as a parcel. false: memory is short, and nothing was
 * taken. */
bool flight_add(struct flight *flight, const struct entry_batch *from, const uint32_t *numbers, uint32_t count,
		uint16_t slot, bool asking);
/* Makes one parcel of all that is in its batch. false: memory is short. */
bool flight_add_all(struct flight *flight);
/* Forgets parcels and entries. */
void flight_clear(struct flight *flight);

/* Appends all commands; it is at Redis from now on. */
void flight_write(struct flight *flight, struct bytes *out);
/* The next answer. asked: the server that gives it. */
enum flight_news flight_hear(struct flight *flight, const struct redis_place *asked, const redisReply *reply,
			     char fault[FLIGHT_FAULT_BYTES]);
static inline bool flight_is_answered(const struct flight *flight)
{
	return flight->answered == flight->parcel_count;
}
/* Answers that are due to the next parcel. */
uint32_t flight_owed(const struct flight *flight);
/* After FLIGHT_PARCEL with is_redirected: its entries go to this node behind ASKING, or BATCH_NOT_ASKED: to that of
 * their slot. What goes round in circles counts as refused. */
void flight_send_on(struct flight *flight, uint16_t asked);

#endif
