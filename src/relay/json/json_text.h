/* JSON [RFC 8259] written and looked at, byte by byte. Pure; any thread. */
#ifndef RELAY_JSON_JSON_TEXT_H
#define RELAY_JSON_JSON_TEXT_H

#include "memory/bytes.h"

#define JSON_DEPTH_MAX 64u

/* Whether the whole text is one JSON value in well-formed UTF-8, nested at most JSON_DEPTH_MAX deep, so that it may
 * stand in another one as it is. */
bool json_text_is_value(struct slice text);
/* Whether it is well-formed UTF-8. */
bool json_text_is_string(struct slice text);

/* Appends the text, which is well-formed UTF-8, as a string, quotes included. */
void json_text_append(struct bytes *out, struct slice text);
/* Appends the bytes in base64 [RFC 4648, 4], quotes included. */
void json_text_append_base64(struct bytes *out, struct slice data);

#endif
