/* What an entry of a stream asks for: a message to be published, or a command. Pure: no sockets, no clock. Slices point
 * into the entry, or into the struct that reads it. */
#ifndef RELAY_CONSUMER_INCOMING_H
#define RELAY_CONSUMER_INCOMING_H

#include "auth/revocation/revocation.h"
#include "mqtt/packet.h"
#include "relay/entry/bytes.h"

#define INCOMING_FAULT_BYTES 160u

enum incoming_kind {
	INCOMING_PUBLISH,
	INCOMING_DISCONNECT,  /* the client of this id */
	INCOMING_END_SESSION, /* likewise */
	INCOMING_REVOKE,
	INCOMING_LIFT,
};

/* A field of an entry. */
struct incoming_field {
	struct slice name;
	struct slice value;
};

struct incoming {
	enum incoming_kind kind;
	struct mqtt_publish publish; /* PUBLISH: without a packet id */
	struct slice client;         /* DISCONNECT, END_SESSION */
	enum revocation_kind revoked;
	struct slice revoked_id;
	uint32_t revoked_s; /* REVOKE: for so long; 0: for ever */
	struct bytes properties;
	struct bytes scratch;
	char fault[INCOMING_FAULT_BYTES];
};

/* What the gateway takes from its clients. */
struct incoming_limits {
	size_t packet_bytes_max; /* of a packet with the message */
	bool checks_format;      /* a payload that is said to be UTF-8 has to be */
};

/* Reads an entry. A field whose name is none of those that an entry may have is passed over: it is the sender's own.
 * False: fault names the field, and what is wrong with it. */
bool incoming_read(struct incoming *incoming, const struct incoming_field *fields, size_t count,
		   const struct incoming_limits *limits);
/* Takes so much off the time that a message has left [3.3.2.3.3]. False: it has none left. */
bool incoming_grow_older(struct incoming *incoming, uint64_t age_s);
void incoming_free(struct incoming *incoming);

#endif
