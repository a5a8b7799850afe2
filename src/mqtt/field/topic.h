/* Topic names and topic filters [4.7] and the UTF-8 rules that they share with every string [1.5.4]. Every PUBLISH
 * is checked by them: an ASCII topic takes one step for eight bytes. Pure; any thread. */
#ifndef MQTT_TOPIC_H
#define MQTT_TOPIC_H

#include "base/error.h"
#include "base/slice.h"

/* Well-formed UTF-8 without surrogates and without U+0000 [MQTT-1.5.4-1, MQTT-1.5.4-2]. */
enum error mqtt_string_check(struct slice string);

/* A topic name of a PUBLISH or a will: a good string, at least one character, no wildcard, at most
 * MQTT_TOPIC_LEVELS_MAX levels. */
enum error mqtt_topic_check(struct slice topic);

/* "$SYS" and what is below it: the server's own topics, which clients may not publish to [4.7.2];
 * the one exception is mqtt_topic_is_bridge_state(). */
bool mqtt_topic_is_reserved(struct slice topic);

/* "$SYS/broker/connection/NAME/state": mosquitto's bridges publish there, as a retained message and as a will, whether
 * they are connected. It lies below $SYS, but bridges may write it, as in mosquitto. */
bool mqtt_topic_is_bridge_state(struct slice topic);

/* A topic filter: a good string, at least one character, wildcards in valid places [MQTT-4.7.1-1, -2], levels bounded.
 * "$share/..." is not looked into: mqtt_filter_share() is. */
enum error mqtt_filter_check(struct slice filter);
bool mqtt_filter_has_wildcard(struct slice filter);

/* "$share/group/filter" [4.8.2]: true when the filter begins with "$share/"; then *group and *rest are set, or
 * *fault is not ERROR_OK (empty group, wildcard in group, no filter). */
bool mqtt_filter_share(struct slice filter, struct slice *group, struct slice *rest, enum error *fault);
/* Whether it is a filter that a SUBSCRIBE may have, shared or not. */
enum error mqtt_filter_check_whole(struct slice filter);

/* True when the (checked) filter matches the (checked) topic, with the rule that "$..." topics are not matched by a
 * leading wildcard [MQTT-4.7.2-1]. The plain definition, to test the routing index against. */
bool mqtt_filter_matches(struct slice filter, struct slice topic);

/* Splits the first level off *rest into *level. False when there is none left. "a//b" has an empty level, "a/" ends
 * with an empty one. Start with *rest = topic and *more = true. */
static inline bool mqtt_topic_level(struct slice *rest, bool *more, struct slice *level)
{
	if (!*more)
		return false;
	const uint8_t *separator = rest->size == 0 ? NULL : memchr(rest->data, '/', rest->size);
	if (separator == NULL) {
		*level = *rest;
		*rest = slice_of(NULL, 0);
		*more = false;
		return true;
	}
	size_t size = (size_t)(separator - rest->data);
	*level = slice_of(rest->data, size);
	*rest = slice_of(separator + 1, rest->size - size - 1);
	return true;
}

#endif
