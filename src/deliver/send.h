/* Packets to one client, appended to this turn's output. By the shard's thread. */
#ifndef DELIVER_SEND_H
#define DELIVER_SEND_H

#include "base/error.h"
#include "mqtt/forward.h"

struct shard;
struct client;

/* For small packets: the bytes are copied. If the turn's scratch is used up, they are written at once. */
void send_bytes(struct shard *shard, struct client *client, const uint8_t *bytes, size_t size);

/* PUBACK, PUBREC, PUBREL or PUBCOMP. reason: not sent before version 5. */
void send_ack(struct shard *shard, struct client *client, uint8_t type, uint16_t packet_id, uint8_t reason);

/* A PUBLISH. The payload must live until the end of the turn, unless it is brief: then the part of it that is not
 * copied is written at once. Version 5: chooses a topic alias if the client takes them. ERROR_PACKET_TOO_LARGE: the
 * client does not take packets of this size [MQTT-3.1.2-24]. ERROR_NO_MEMORY. */
enum error send_publish(struct shard *shard, struct client *client, struct mqtt_forward *forward, struct slice payload,
			bool brief);

#endif
