/* Strings as JSON has them. Pure; any thread. */
#ifndef RELAY_ENTRY_JSON_TEXT_H
#define RELAY_ENTRY_JSON_TEXT_H

#include "relay/entry/bytes.h"

/* Appends a string with its quotation marks. text: UTF-8 without a null character, as strings of MQTT are. */
void json_text_append(struct bytes *out, struct slice text);

#endif
