#include "bench/scenario/expectations.h"

#include "base/check.h"
#include "base/hash.h"
#include "mqtt/field/topic.h"

#include <stdlib.h>

/* Filters with wildcards are compared with every topic. This many comparisons take about ten seconds. */
#define COMPARISONS_MAX 200000000u

/* A channel's topic, found by its hash. */
struct entry {
	uint64_t hash;
	uint32_t channel;
};

struct matcher {
	struct expectations *expectations;
	struct hash_key key;
	struct entry *entries;
	uint32_t stream_count;
	bool fill; /* second pass: there is room for the streams */
};

/* Channels of one client of the group: 1, or one for each target. */
static uint32_t channels_of(const struct scenario_group *group)
{
	if ((group->role & ROLE_PUBLISHER) == 0)
		return 0;
	return group->publish.number == TOPIC_TARGET ? group->targets : 1;
}

uint32_t expectations_channel(const struct expectations *expectations, uint32_t group, uint32_t client, uint64_t turn)
{
	CHECK(client < expectations->scenario->groups[group].count);
	uint32_t each = channels_of(&expectations->scenario->groups[group]);
	CHECK(each > 0); /* it publishes */
	return expectations->channel_first[group] + client * each + (uint32_t)(turn % each);
}

struct audit_stream *expectations_stream(struct expectations *expectations, uint32_t group, uint32_t client,
					 uint32_t channel)
{
	CHECK(client < expectations->scenario->groups[group].count);
	uint32_t subscriber = expectations->subscriber_first[group] + client;
	CHECK(subscriber < expectations->subscriber_count);
	uint32_t low = expectations->first_stream[subscriber];
	uint32_t end = expectations->first_stream[subscriber + 1];
	uint32_t high = end;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (expectations->stream_channel[middle] < channel)
			low = middle + 1;
		else
			high = middle;
	}
	return low < end && expectations->stream_channel[low] == channel ? &expectations->streams[low] : NULL;
}

/* The topic of a channel of the group, by its number within the group. */
static struct slice topic_in_group(const struct scenario_group *group, uint32_t number, uint8_t *out)
{
	uint32_t each = channels_of(group);
	CHECK(each > 0); /* it publishes */
	uint32_t in_pattern = topic_pattern_number(&group->publish, number / each, group->circles, number % each);
	return slice_of(out, topic_pattern_write(&group->publish, in_pattern, out));
}

static struct slice topic_of_channel(const struct expectations *expectations, uint32_t channel, uint8_t *out)
{
	CHECK(channel < expectations->channel_count);
	uint32_t group = 0;
	for (uint32_t i = 0; i < expectations->scenario->group_count; i++) {
		if (channels_of(&expectations->scenario->groups[i]) > 0 && expectations->channel_first[i] <= channel)
			group = i;
	}
	return topic_in_group(&expectations->scenario->groups[group], channel - expectations->channel_first[group],
			      out);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *left = a;
	const struct entry *right = b;
	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	return left->channel < right->channel ? -1 : left->channel > right->channel;
}

static void note_topics(struct matcher *matcher)
{
	const struct expectations *expectations = matcher->expectations;
	const struct scenario *scenario = expectations->scenario;
	uint8_t topic[TOPIC_BYTES_MAX];
	uint32_t channel = 0;
	for (uint32_t g = 0; g < scenario->group_count; g++) {
		const struct scenario_group *group = &scenario->groups[g];
		uint32_t count = group->count * channels_of(group);
		for (uint32_t i = 0; i < count; i++, channel++) {
			struct slice text = topic_in_group(group, i, topic);
			matcher->entries[channel] = (struct entry){hash_slice(&matcher->key, text), channel};
		}
	}
	CHECK(channel == expectations->channel_count);
	if (channel > 0)
		qsort(matcher->entries, channel, sizeof(*matcher->entries), compare_entries);
}

static void add_stream(struct matcher *matcher, uint32_t channel)
{
	if (matcher->fill) {
		matcher->expectations->stream_channel[matcher->stream_count] = channel;
		matcher->expectations->channels[channel].fan++;
	}
	matcher->stream_count++;
}

static void match_exact(struct matcher *matcher, struct slice filter)
{
	uint64_t hash = hash_slice(&matcher->key, filter);
	uint8_t topic[TOPIC_BYTES_MAX];
	uint32_t low = 0;
	uint32_t high = matcher->expectations->channel_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (matcher->entries[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < matcher->expectations->channel_count && matcher->entries[low].hash == hash; low++) {
		uint32_t channel = matcher->entries[low].channel;
		if (slice_equal(filter, topic_of_channel(matcher->expectations, channel, topic)))
			add_stream(matcher, channel);
	}
}

static void match_wildcard(struct matcher *matcher, struct slice filter)
{
	uint8_t topic[TOPIC_BYTES_MAX];
	for (uint32_t channel = 0; channel < matcher->expectations->channel_count; channel++) {
		if (mqtt_filter_matches(filter, topic_of_channel(matcher->expectations, channel, topic)))
			add_stream(matcher, channel);
	}
}

/* Counts comparisons before the first one is made, so that a scenario is refused at once. Either all filters of a group
 * have wildcards or none. */
static bool comparisons_are_bounded(const struct expectations *expectations)
{
	uint8_t text[TOPIC_BYTES_MAX];
	uint64_t comparisons = 0;
	for (uint32_t g = 0; g < expectations->scenario->group_count; g++) {
		const struct scenario_group *group = &expectations->scenario->groups[g];
		if ((group->role & ROLE_SUBSCRIBER) == 0)
			continue;
		uint32_t number = topic_pattern_number(&group->subscribe, 0, group->circles, 0);
		if (mqtt_filter_has_wildcard(slice_of(text, topic_pattern_write(&group->subscribe, number, text))))
			comparisons += (uint64_t)group->count * expectations->channel_count;
	}
	return comparisons <= COMPARISONS_MAX;
}

/* Returns false if there are too many. */
static bool match_group(struct matcher *matcher, const struct scenario_group *group, uint32_t first)
{
	uint8_t text[TOPIC_BYTES_MAX];
	for (uint32_t i = 0; i < group->count; i++) {
		uint32_t number = topic_pattern_number(&group->subscribe, i, group->circles, 0);
		struct slice filter = slice_of(text, topic_pattern_write(&group->subscribe, number, text));
		matcher->expectations->first_stream[first + i] = matcher->stream_count;
		if (mqtt_filter_has_wildcard(filter))
			match_wildcard(matcher, filter);
		else
			match_exact(matcher, filter);
		if (matcher->stream_count > EXPECTATIONS_STREAMS_MAX)
			return false;
	}
	return true;
}

static bool match_all(struct matcher *matcher)
{
	struct expectations *expectations = matcher->expectations;
	const struct scenario *scenario = expectations->scenario;
	matcher->stream_count = 0;
	for (uint32_t g = 0; g < scenario->group_count; g++) {
		if ((scenario->groups[g].role & ROLE_SUBSCRIBER) != 0 &&
		    !match_group(matcher, &scenario->groups[g], expectations->subscriber_first[g]))
			return false;
	}
	expectations->first_stream[expectations->subscriber_count] = matcher->stream_count;
	return true;
}

/* Numbers channels and subscribers. Returns false if there are too many channels. */
static bool number_all(struct expectations *expectations)
{
	uint64_t channels = 0;
	for (uint32_t g = 0; g < expectations->scenario->group_count; g++) {
		const struct scenario_group *group = &expectations->scenario->groups[g];
		expectations->channel_first[g] = (uint32_t)channels;
		expectations->subscriber_first[g] = expectations->subscriber_count;
		channels += (uint64_t)group->count * channels_of(group);
		expectations->subscriber_count += (group->role & ROLE_SUBSCRIBER) != 0 ? group->count : 0;
		if (channels > EXPECTATIONS_CHANNELS_MAX)
			return false;
	}
	expectations->channel_count = (uint32_t)channels;
	return true;
}

static const char *make_streams(struct matcher *matcher)
{
	struct expectations *expectations = matcher->expectations;
	if (!comparisons_are_bounded(expectations) || !match_all(matcher))
		return "too many pairs of publisher and subscriber to audit: fewer clients, or narrower filters";
	expectations->streams = calloc(matcher->stream_count + 1u, sizeof(*expectations->streams));
	expectations->stream_channel = calloc(matcher->stream_count + 1u, sizeof(*expectations->stream_channel));
	if (expectations->streams == NULL || expectations->stream_channel == NULL)
		return "out of memory";
	uint32_t room = matcher->stream_count;
	matcher->fill = true;
	CHECK(match_all(matcher) && matcher->stream_count == room); /* both passes find the same */
	return NULL;
}

const char *expectations_open(struct expectations *expectations, const struct scenario *scenario)
{
	*expectations = (struct expectations){.scenario = scenario};
	if (!number_all(expectations))
		return "more than 4,000,000 pairs of publisher and topic";
	struct matcher matcher = {.expectations = expectations, .key = hash_key_random()};
	expectations->channels = calloc(expectations->channel_count + 1u, sizeof(*expectations->channels));
	expectations->first_stream = calloc(expectations->subscriber_count + 1u, sizeof(*expectations->first_stream));
	matcher.entries = calloc(expectations->channel_count + 1u, sizeof(*matcher.entries));
	const char *fault = "out of memory";
	if (expectations->channels != NULL && expectations->first_stream != NULL && matcher.entries != NULL) {
		note_topics(&matcher);
		fault = make_streams(&matcher);
	}
	free(matcher.entries);
	return fault;
}

void expectations_close(struct expectations *expectations)
{
	free(expectations->channels);
	free(expectations->first_stream);
	free(expectations->stream_channel);
	free(expectations->streams);
	*expectations = (struct expectations){0};
}

double expectations_fan(const struct expectations *expectations, uint32_t group)
{
	CHECK(group < expectations->scenario->group_count);
	const struct scenario_group *spec = &expectations->scenario->groups[group];
	uint32_t count = spec->count * channels_of(spec);
	double sum = 0;
	for (uint32_t i = 0; i < count; i++)
		sum += expectations->channels[expectations->channel_first[group] + i].fan;
	return count > 0 ? sum / count : 0;
}

void expectations_end(const struct expectations *expectations, struct audit *audit)
{
	for (uint32_t s = 0; s < expectations->first_stream[expectations->subscriber_count]; s++)
		audit_end(audit, &expectations->streams[s],
			  expectations->channels[expectations->stream_channel[s]].sent);
}
