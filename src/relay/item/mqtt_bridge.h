/* A bridge: which topics go up to another MQTT broker and which come down from it. The daemon reads bridges from the
 * configuration's list `bridges`; from then on they do not change. Pure; any thread. */
#ifndef RELAY_ITEM_MQTT_BRIDGE_H
#define RELAY_ITEM_MQTT_BRIDGE_H

#include "relay/item/topics.h"

#define MQTT_BRIDGES_MAX 16u
#define MQTT_BRIDGE_URL_BYTES_MAX 256u /* texts: with the null character */
#define MQTT_BRIDGE_PATH_BYTES_MAX 256u
#define MQTT_BRIDGE_TEXT_BYTES_MAX 128u
#define MQTT_BRIDGE_PREFIX_BYTES_MAX 128u

/* The client id of its session in this gateway is this and the bridge's name. */
#define MQTT_BRIDGE_CLIENT_PREFIX "$roost/bridge/"
_Static_assert(sizeof(MQTT_BRIDGE_CLIENT_PREFIX) <= ITEM_PREFIX_BYTES_MAX, "a client id has room for it");

/* What becomes of the topics that come by a filter: one prefix goes, another one comes. */
struct bridge_way {
	char strip[MQTT_BRIDGE_PREFIX_BYTES_MAX];
	char add[MQTT_BRIDGE_PREFIX_BYTES_MAX];
	uint8_t qos; /* at most */
};

/* All of one direction: a way for each filter. */
struct bridge_ways {
	struct topics filters; /* as they are subscribed to: at the end that messages come from */
	struct bridge_way ways[TOPICS_MAX];
};

enum bridge_protocol { BRIDGE_PROTOCOL_ANY, BRIDGE_PROTOCOL_5, BRIDGE_PROTOCOL_3_1_1 };

struct mqtt_bridge {
	char name[ITEM_NAME_BYTES_MAX];             /* unique */
	char url[MQTT_BRIDGE_URL_BYTES_MAX];        /* mqtt:// or mqtts://, without a user */
	char host[MQTT_BRIDGE_URL_BYTES_MAX];       /* of the URL, without brackets */
	char client_id[MQTT_BRIDGE_TEXT_BYTES_MAX]; /* "": made of the gateway's name and the bridge's */
	char user[MQTT_BRIDGE_TEXT_BYTES_MAX];      /* "": none, here and below */
	char password_file[MQTT_BRIDGE_PATH_BYTES_MAX];
	char ca_file[MQTT_BRIDGE_PATH_BYTES_MAX];
	char certificate_file[MQTT_BRIDGE_PATH_BYTES_MAX]; /* of this client */
	char key_file[MQTT_BRIDGE_PATH_BYTES_MAX];
	struct bridge_ways up;   /* from here to the broker */
	struct bridge_ways down; /* from the broker to here */
	/* Not of the configuration: filters of an earlier one, which the session at the broker may have still. */
	struct topics withdrawn;
	uint32_t keepalive_s;
	uint32_t session_expiry_s; /* of the session at the broker, from version 5 on */
	uint32_t inflight;         /* messages on their way up that are not acknowledged; 0: by the broker's version */
	uint32_t queue_messages;   /* that wait here at most; 0: as for all of Roost's own clients, here and below */
	uint32_t queue_bytes;
	uint32_t line; /* of the configuration file */
	uint16_t port;
	enum bridge_protocol protocol;
	bool is_tls;
	bool is_clean;     /* the session at the broker ends with the connection */
	bool no_retain;    /* the retained flag is not passed on */
	bool drops_newest; /* a full queue drops the new message rather than the oldest */
};

struct mqtt_bridges {
	struct mqtt_bridge items[MQTT_BRIDGES_MAX];
	uint32_t count;
};

/* A bridge in which nothing is set yet. */
void mqtt_bridge_init(struct mqtt_bridge *bridge);
/* How to set what stands behind a key of a bridge. NULL: it has no such key. */
const struct item_key *mqtt_bridge_key(const char *name);
/* Completes a bridge of which all was set. False: fault says what is missing. */
bool mqtt_bridge_complete(struct mqtt_bridge *bridge, char fault[ITEM_FAULT_BYTES_MAX]);

/* Notes which filters at the broker an earlier bridge of this name had, and this one has not. */
void mqtt_bridge_succeed(struct mqtt_bridge *bridge, const struct mqtt_bridge *earlier);

/* Whether both say the same; the lines where they stand do not count, nor what is withdrawn. */
bool mqtt_bridge_equal(const struct mqtt_bridge *one, const struct mqtt_bridge *other);

#endif
