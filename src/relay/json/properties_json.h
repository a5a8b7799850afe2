/* The properties of a version 5 message as one JSON object, for the field `properties` of an entry:
 *
 *	{"payload_format":1,"message_expiry_s":60,"content_type":"text/plain","response_topic":"a/b",
 *	 "correlation_data":"BASE64","user":[["name","value"],...]}
 *
 * What a message does not have is left out. User properties are pairs, since a name may come twice. Pure; any thread.
 */
#ifndef RELAY_JSON_PROPERTIES_JSON_H
#define RELAY_JSON_PROPERTIES_JSON_H

#include "memory/bytes.h"

/* properties: in wire form, checked. Appends nothing where there is none of these. */
void properties_json(struct slice properties, struct bytes *out);

#endif
