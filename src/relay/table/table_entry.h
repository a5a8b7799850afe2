/* What the table of who is online says of a client, and what a presence event (client/presence.h) says of it. Pure; one
 * thread. */
#ifndef RELAY_TABLE_ENTRY_H
#define RELAY_TABLE_ENTRY_H

#include "auth/text/strict_json.h"
#include "relay/entry/bytes.h"

/* The topics of the events that it is after. */
#define TABLE_TOPIC_COMES "$SYS/presence/connected"
#define TABLE_TOPIC_GOES "$SYS/presence/disconnected"
/* Values in an event, with room for more of them. */
#define TABLE_EVENT_NODES 32u

struct table_entry {
	uint64_t since_ms; /* when it connected, since 1970 */
	struct slice transport;
	struct slice address; /* empty: not known; likewise the user */
	struct slice user;
	uint32_t version;
};

/* Appends it as a JSON object. */
void table_entry_write(const struct table_entry *entry, struct bytes *json);

enum table_change {
	TABLE_NOTHING, /* no event that the table is after */
	TABLE_COMES,
	TABLE_GOES,
};

struct table_event {
	enum table_change change;
	struct slice client;      /* into the payload, as what is in the entry */
	struct table_entry entry; /* of one that comes */
	struct strict_node nodes[TABLE_EVENT_NODES];
};

/* Reads an event, whose payload is changed. */
void table_event_read(struct slice topic, uint8_t *payload, size_t size, struct table_event *event);

#endif
