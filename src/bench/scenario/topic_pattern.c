#include "bench/scenario/topic_pattern.h"

#include "bench/client/packets.h"

#include "base/check.h"
#include "mqtt/field/topic.h"

#include <stdio.h>

static const char *cut(const char *text, bool subscribes, struct topic_pattern *out)
{
	const char *mark = strchr(text, '%');
	snprintf(out->before, sizeof(out->before), "%s", text);
	if (mark == NULL)
		return NULL;
	switch (mark[1]) {
	case 'n':
		out->number = TOPIC_CLIENT;
		break;
	case 'g':
		out->number = TOPIC_CIRCLE;
		break;
	case 't':
		if (subscribes)
			return "%t is for topics to publish to";
		out->number = TOPIC_TARGET;
		break;
	default:
		return "knows the placeholders %n, %g and %t only";
	}
	out->before[mark - text] = '\0';
	snprintf(out->after, sizeof(out->after), "%s", mark + 2);
	return strchr(out->after, '%') != NULL ? "takes one placeholder only" : NULL;
}

const char *topic_pattern_parse(const char *text, bool subscribes, struct topic_pattern *out)
{
	uint8_t topic[TOPIC_BYTES_MAX];
	*out = (struct topic_pattern){.number = TOPIC_FIXED};
	if (strlen(text) > TOPIC_PATTERN_BYTES_MAX)
		return "is longer than 64 bytes";
	const char *fault = cut(text, subscribes, out);
	if (fault != NULL)
		return fault;
	struct slice example = slice_of(topic, topic_pattern_write(out, 0, topic));
	if (subscribes)
		return mqtt_filter_check(example) == ERROR_OK ? NULL : "is not a topic filter";
	return mqtt_topic_check(example) == ERROR_OK ? NULL : "is not a topic to publish to";
}

bool topic_pattern_is_set(const struct topic_pattern *pattern)
{
	return pattern->before[0] != '\0' || pattern->number != TOPIC_FIXED;
}

uint32_t topic_pattern_number(const struct topic_pattern *pattern, uint32_t client, uint32_t circles, uint32_t target)
{
	CHECK(circles > 0);
	switch (pattern->number) {
	case TOPIC_CLIENT:
		return client;
	case TOPIC_CIRCLE:
		return client % circles;
	case TOPIC_TARGET:
		return target;
	case TOPIC_FIXED:
		break;
	}
	return CLIENT_NO_TOPIC;
}

size_t topic_pattern_write(const struct topic_pattern *pattern, uint32_t number, uint8_t *out)
{
	size_t size = strlen(pattern->before);
	size_t after = strlen(pattern->after);
	CHECK(size + after <= TOPIC_PATTERN_BYTES_MAX);
	if (pattern->number == TOPIC_FIXED)
		memcpy(out, pattern->before, size);
	else
		size = client_name(pattern->before, number, out);
	memcpy(out + size, pattern->after, after);
	return size + after;
}
