/* Properties of a message [3.3.2.3] from the JSON that relay/json/properties_json.h writes. Pure. */
#ifndef RELAY_CONSUMER_PROPERTIES_READ_H
#define RELAY_CONSUMER_PROPERTIES_READ_H

#include "relay/entry/bytes.h"

#define PROPERTIES_FAULT_BYTES 120u
#define PROPERTIES_NODES_MAX 512u
#define PROPERTIES_BYTES_MAX 65536u

/* Reads the JSON, which it changes. *out, which is empty, gets the properties in wire form, but for the message expiry,
 * which goes to *expiry_s, where there is one. False: fault says what is wrong. */
bool properties_read(uint8_t *json, size_t size, struct bytes *out, bool *has_expiry, uint32_t *expiry_s,
		     char fault[PROPERTIES_FAULT_BYTES]);

#endif
