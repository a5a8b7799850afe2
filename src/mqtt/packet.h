/* MQTT 3.1.1 and 5.0 control packets as plain structs. Pure: bytes in, structs out; no sockets, clock or heap.
 * Every slice in a decoded struct points into the caller's bytes and lives as long as they do. Any thread.
 * References: "MQTT Version 3.1.1" and "MQTT Version 5.0", OASIS Standards. */
#ifndef MQTT_PACKET_H
#define MQTT_PACKET_H

#include "base/slice.h"
#include "mqtt/field/protocol.h"

struct mqtt_header {
	uint8_t type;         /* enum mqtt_type, or 0 */
	uint8_t flags;        /* the low four bits */
	uint8_t header_bytes; /* 2..5 */
	uint32_t body_bytes;  /* Remaining Length */
};

/* Properties are kept in wire form, already checked (known, allowed in this packet, not doubled, in range), without
 * their length prefix; user properties stay in order. mqtt/field/property.h reads them. */

struct mqtt_will {
	struct slice topic;
	struct slice payload;
	struct slice properties; /* version 5 */
	uint32_t delay_s;
	uint8_t qos;
	bool retain;
};

struct mqtt_connect {
	struct slice client_id;
	struct slice user_name;
	struct slice password;
	struct slice properties;   /* version 5 */
	struct mqtt_will will;     /* if has_will */
	uint32_t session_expiry_s; /* 0 where absent; 0xFFFFFFFF: never */
	uint32_t packet_bytes_max; /* the client's; MQTT_BODY_BYTES_MAX + 5 where absent */
	uint16_t receive_max;      /* 65535 where absent */
	uint16_t topic_alias_max;  /* 0 where absent */
	uint16_t keepalive_s;
	uint8_t version; /* enum mqtt_version */
	bool is_bridge;  /* bit 7 of the level: see MQTT_LEVEL_BRIDGE */
	bool clean_start;
	bool has_will;
	bool has_user_name;
	bool has_password;
	bool request_response_info; /* false where absent */
	bool request_problem_info;  /* true where absent */
	struct slice auth_method;   /* data NULL where absent */
	struct slice auth_data;
};

/* Version 5's properties of CONNACK; a field at its default is not written. */
struct mqtt_connack {
	uint8_t reason; /* version 5: enum mqtt_reason; before: the return code 0..5 */
	bool session_present;
	bool has_server_keepalive;
	bool retain_available;          /* default true */
	bool wildcard_available;        /* default true */
	bool subscription_id_available; /* default true */
	bool shared_available;          /* default true */
	uint8_t qos_max;                /* default 2 */
	uint16_t server_keepalive_s;
	bool has_session_expiry;
	uint32_t session_expiry_s;
	uint16_t receive_max;              /* default 65535 */
	uint16_t topic_alias_max;          /* default 0 */
	uint32_t packet_bytes_max;         /* 0: not written */
	struct slice assigned_client_id;   /* size 0: not written */
	struct slice reason_string;        /* size 0: not written */
	struct slice response_information; /* size 0: not written */
	struct slice auth_method;          /* size 0: not written */
	struct slice server_reference;     /* size 0: not written, and not read */
	struct slice user_name;            /* one User Property, size 0: not written, and not read */
	struct slice user_value;
};

/* CONNACK with every field at the standard's default. */
struct mqtt_connack mqtt_connack_default(void);

/* Of PUBLISH's fixed header: DUP and RETAIN, which a server sets for each receiver anew [MQTT-3.3.1-3, MQTT-3.3.1-9].
 */
#define MQTT_PUBLISH_FLAGS_OURS 0x09u
#define MQTT_PUBLISH_FLAGS_QOS 0x06u

struct mqtt_publish {
	struct slice topic;      /* may be empty in version 5, with a topic alias */
	struct slice properties; /* version 5 */
	struct slice payload;
	uint32_t message_expiry_s; /* if has_message_expiry */
	uint16_t packet_id;        /* 0 at QoS 0 */
	uint16_t topic_alias;      /* 0: none */
	uint8_t qos;
	bool retain;
	bool dup;
	bool has_message_expiry;
};

/* [3.8.3.1] */
struct mqtt_subscription {
	struct slice filter;
	uint8_t qos;
	bool no_local;
	bool retain_as_published;
	uint8_t retain_handling; /* 0..2 */
};

struct mqtt_subscribe {
	uint16_t packet_id;
	uint32_t identifier; /* subscription identifier, 0: none */
	struct slice properties;
	struct slice filters; /* wire form, checked; mqtt_subscribe_next() reads them */
	uint32_t filter_count;
};

struct mqtt_unsubscribe {
	uint16_t packet_id;
	struct slice properties;
	struct slice filters; /* wire form, checked; mqtt_unsubscribe_next() reads them */
	uint32_t filter_count;
};

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct mqtt_ack {
	uint16_t packet_id;
	uint8_t reason; /* 0 where absent */
	struct slice properties;
};

struct mqtt_disconnect {
	uint8_t reason; /* 0 where absent */
	bool has_session_expiry;
	uint32_t session_expiry_s;
	struct slice reason_string;
	struct slice properties;
};

struct mqtt_auth {
	uint8_t reason;
	struct slice method;
	struct slice data;
	struct slice properties;
};

/* SUBACK and UNSUBACK; UNSUBACK has no codes before version 5. */
struct mqtt_suback {
	uint16_t packet_id;
	struct slice properties;
	struct slice codes; /* one byte a filter */
};

#endif
