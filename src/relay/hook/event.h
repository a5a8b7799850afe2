/* A message as a CloudEvent 1.0 in JSON, for a batch [CloudEvents, JSON event format, 4]:
 *
 *	{"specversion":"1.0","id":"0c5b...","source":"urn:roost:host","type":"io.roost.message","subject":"a/b",
 *	 "time":"2026-11-29T17:00:00.123Z","client":"sensor-7","user":"anna","qos":1,"retain":false,
 *	 "datacontenttype":"application/json","data":{"value":1}}
 *
 * The id is a hash of client, time, topic and payload: the same however often the event is sent, after a restart, too.
 * So two messages have one id where a client publishes the same to one topic twice in a millisecond. A payload whose
 * content type is JSON and which is JSON stands there as such, text as a string, anything else as data_base64.
 *
 * Pure; any thread. */
#ifndef RELAY_HOOK_EVENT_H
#define RELAY_HOOK_EVENT_H

#include "memory/bytes.h"
#include "relay/entry/message.h"
#include "relay/item/hook.h"

/* Events of presence: this, and the topic's last level. */
#define EVENT_TYPE_MESSAGE "io.roost.message"
#define EVENT_TYPE_PRESENCE "io.roost.presence."

/* Appends the event. source: where the hook names none. out->failed: memory was short. */
void event_append(struct bytes *out, const struct hook *hook, const char *source, const struct relay_message *message);

#endif
