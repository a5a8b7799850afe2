/* A message to be published, from JSON to the PUBLISH packet that a client would have sent. Pure. */
#ifndef ADMIN_API_MESSAGE_H
#define ADMIN_API_MESSAGE_H

#include "shard/command_publish.h"

#include <jansson.h>
#include <stdbool.h>

#define MESSAGE_FAULT_BYTES_MAX 256

/* json: {"topic", "payload" or "payload_base64", "qos", "retain", "properties"}, as docs/openapi.json describes.
 * packet_bytes_max limits the whole packet. On failure it returns false, and *fault names the field and says what is
 * wrong. */
bool message_read(const json_t *json, uint32_t packet_bytes_max, struct command_message *message,
		  char fault[MESSAGE_FAULT_BYTES_MAX]);
void message_free(struct command_message *message);

#endif
