/* Structs to bytes. Every encoder writes one whole packet into out, which holds out_size bytes, and returns its size;
 * 0 means that it does not fit into out, or into what MQTT can express. Nothing is written past out_size. Pure; any
 * thread. `version` is enum mqtt_version; 3.1 is encoded as 3.1.1 but for CONNECT's protocol name. */
#ifndef MQTT_ENCODE_H
#define MQTT_ENCODE_H

#include "mqtt/packet.h"

/* Bytes that mqtt_publish_encode() would write. */
size_t mqtt_publish_size(const struct mqtt_publish *publish, uint8_t version);

/* connect->properties are written as they are, in wire form; the single fields (session_expiry_s, receive_max, ...)
 * are written where they differ from the default, so do not give the same property in both. */
size_t mqtt_connect_encode(const struct mqtt_connect *connect, uint8_t *out, size_t out_size);
size_t mqtt_connack_encode(const struct mqtt_connack *connack, uint8_t version, uint8_t *out, size_t out_size);
/* publish->properties are written as they are; topic_alias, message_expiry_s are not looked at. */
size_t mqtt_publish_encode(const struct mqtt_publish *publish, uint8_t version, uint8_t *out, size_t out_size);
/* Version 5: a reason of 0 is left out as the standard allows. */
size_t mqtt_ack_encode(const struct mqtt_ack *ack, uint8_t type, uint8_t version, uint8_t *out, size_t out_size);
size_t mqtt_subscribe_encode(uint16_t packet_id, uint32_t identifier, const struct mqtt_subscription *subscriptions,
			     size_t count, uint8_t version, uint8_t *out, size_t out_size);
/* type: MQTT_SUBACK or MQTT_UNSUBACK (which has no codes before version 5). */
size_t mqtt_suback_encode(uint16_t packet_id, const uint8_t *codes, size_t count, uint8_t type, uint8_t version,
			  uint8_t *out, size_t out_size);
size_t mqtt_unsubscribe_encode(uint16_t packet_id, const struct slice *filters, size_t count, uint8_t version,
			       uint8_t *out, size_t out_size);
/* reason_string, server_reference: size 0 leaves it out. Before version 5 only a client sends DISCONNECT, without a
 * reason. */
size_t mqtt_disconnect_encode(uint8_t reason, struct slice reason_string, struct slice server_reference,
			      uint8_t version, uint8_t *out, size_t out_size);
/* AUTH of version 5: reason, method and data (size 0: left out). */
size_t mqtt_auth_encode(const struct mqtt_auth *auth, uint8_t *out, size_t out_size);
/* MQTT_PINGREQ or MQTT_PINGRESP. */
size_t mqtt_empty_encode(uint8_t type, uint8_t *out, size_t out_size);

#endif
