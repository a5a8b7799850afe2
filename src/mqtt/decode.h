/* Bytes to structs. Each decoder takes the *body* of one whole packet (Remaining Length bytes after the fixed header)
 * and accepts nothing that the standard forbids: it returns ERROR_OK or the fault. `version` is the one that CONNECT
 * named (enum mqtt_version). Pure: nothing is copied, nothing allocated; slices point into `body`. Any thread. */
#ifndef MQTT_DECODE_H
#define MQTT_DECODE_H

#include "base/error.h"
#include "mqtt/packet.h"

/* Reads a fixed header from the start of bytes. ERROR_OK; ERROR_MORE when the length is not whole yet;
 * ERROR_LENGTH_MALFORMED [MQTT-1.5.5-1]. Does not check type and flags: mqtt_header_check() does. */
enum error mqtt_header_decode(const uint8_t *bytes, size_t size, struct mqtt_header *out);

/* Type is not 0 and the reserved flags are right for the type [MQTT-2.1.3-1]; PUBLISH's flags are its decoder's. */
enum error mqtt_header_check(struct mqtt_header header);

/* What a server receives. */

/* The version of a CONNECT that arrived in part or is refused unread: enum mqtt_version, or 0 where it is not known. */
uint8_t mqtt_connect_version(struct slice body);
/* Sets out->version as soon as it is known, also when it fails later, so that the refusal can be sent in it; 0 while
 * unknown. Unknown level: ERROR_PROTOCOL_LEVEL. Level 3 with "MQIsdp" is accepted as MQTT_VERSION_3_1. The rule on
 * empty client ids is the caller's except [MQTT-3.1.3-8] of 3.1.1 (ERROR_CLIENT_ID_EMPTY). */
enum error mqtt_connect_decode(struct slice body, struct mqtt_connect *out);
/* flags: the fixed header's low four bits. Checks the topic name (mqtt/field/topic.h), also the response topic. A topic
 * may be empty only with a topic alias; a subscription identifier is refused unless from_server. */
enum error mqtt_publish_decode(struct slice body, uint8_t flags, uint8_t version, bool from_server,
			       struct mqtt_publish *out);
/* Checks every filter's encoding and options; not the filter's own syntax, which SUBACK answers. */
enum error mqtt_subscribe_decode(struct slice body, uint8_t version, struct mqtt_subscribe *out);
/* The same in pieces, for packets with very many filters. The head is what stands before the filters, which are not
 * checked yet. mqtt_subscribe_check() checks at most `most` of those in *unchecked, at first out->filters, takes them
 * off and counts them; the decoder is the head and a check of all. */
enum error mqtt_subscribe_decode_head(struct slice body, uint8_t version, struct mqtt_subscribe *out);
enum error mqtt_subscribe_check(struct slice *unchecked, uint8_t version, uint32_t most, uint32_t *count);
enum error mqtt_unsubscribe_decode_head(struct slice body, uint8_t version, struct mqtt_unsubscribe *out);
enum error mqtt_unsubscribe_check(struct slice *unchecked, uint32_t most, uint32_t *count);
/* Takes the next subscription off *filters. False at the end. Only for slices from mqtt_subscribe_decode(). */
bool mqtt_subscribe_next(struct slice *filters, uint8_t version, struct mqtt_subscription *out);
enum error mqtt_unsubscribe_decode(struct slice body, uint8_t version, struct mqtt_unsubscribe *out);
bool mqtt_unsubscribe_next(struct slice *filters, struct slice *filter);
/* PUBACK, PUBREC, PUBREL, PUBCOMP: type says which reason codes are allowed. */
enum error mqtt_ack_decode(struct slice body, uint8_t type, uint8_t version, struct mqtt_ack *out);
/* from_server: reason codes and the session expiry are checked for the side that sent it; before version 5 only a
 * client sends it. */
enum error mqtt_disconnect_decode(struct slice body, uint8_t version, bool from_server, struct mqtt_disconnect *out);
/* From a client: Continue or Re-authenticate, and always a method; Success is the server's to say [3.15.2.1]. */
enum error mqtt_auth_decode(struct slice body, struct mqtt_auth *out);
/* PINGREQ, PINGRESP: the body is empty. */
enum error mqtt_empty_decode(struct slice body);

/* What a client receives. */

enum error mqtt_connack_decode(struct slice body, uint8_t version, struct mqtt_connack *out);
/* type: MQTT_SUBACK or MQTT_UNSUBACK. */
enum error mqtt_suback_decode(struct slice body, uint8_t type, uint8_t version, struct mqtt_suback *out);

#endif
