#include "bench/sessions/cast.h"

#include "bench/measure/share.h"

#include "base/check.h"

#include <stdio.h>

uint8_t cast_qos(const struct cast *cast, uint32_t publisher)
{
	CHECK(publisher < cast_publishers(cast));
	if (cast->qos != CAST_QOS_MIXED)
		return cast->qos;
	/* What is retained at QoS 0 is promised to no one. */
	if (publisher >= cast->publishers)
		return 1 + publisher % 2;
	return (uint8_t)(2 - publisher % 3);
}

static uint32_t exact_slots(const struct cast *cast)
{
	return share_rounded_up(cast->exact, cast->publishers);
}

uint32_t cast_slots(const struct cast *cast)
{
	return exact_slots(cast) + cast->wildcards + (cast->members > 0);
}

uint32_t cast_slot(const struct cast *cast, uint32_t subscriber, uint32_t publisher)
{
	CHECK(subscriber < cast_subscribers(cast));
	if (publisher >= cast->publishers)
		return CAST_NO_SLOT;
	if (subscriber < cast->exact)
		return subscriber % cast->publishers == publisher ? subscriber / cast->publishers : CAST_NO_SLOT;
	uint32_t wildcard = subscriber - cast->exact;
	return exact_slots(cast) + (wildcard < cast->wildcards ? wildcard : cast->wildcards);
}

bool cast_has_stream(const struct cast *cast, uint32_t publisher, uint32_t slot)
{
	CHECK(slot < cast_slots(cast));
	if (publisher >= cast->publishers)
		return false;
	return slot >= exact_slots(cast) || slot * cast->publishers + publisher < cast->exact;
}

bool cast_slot_is_shared(const struct cast *cast, uint32_t slot)
{
	return cast->members > 0 && slot == cast_slots(cast) - 1;
}

bool cast_is_offline(const struct cast *cast, uint32_t subscriber, uint32_t round)
{
	/* Of a publisher's two subscribers one is offline, whether the number of publishers is even or odd. */
	uint64_t row = subscriber < cast->exact ? subscriber / cast->publishers : 0;
	uint64_t turn = subscriber + (cast->publishers % 2 == 0 ? row : 0) + round;
	return (turn + 1) * cast->offline_percent / 100 > turn * cast->offline_percent / 100;
}

static size_t write_text(uint8_t *out, const char *prefix, const char *rest, uint32_t number, bool numbered)
{
	char digits[12] = "+";
	if (numbered)
		snprintf(digits, sizeof(digits), "%u", number);
	int size = snprintf((char *)out, CAST_TOPIC_BYTES_MAX, "%s%s%s", prefix, rest, digits);
	CHECK(size > 0 && (uint32_t)size < CAST_TOPIC_BYTES_MAX);
	return (size_t)size;
}

size_t cast_topic(const struct cast *cast, uint32_t publisher, uint8_t *out)
{
	bool retained = publisher >= cast->publishers;
	return write_text(out, cast->topic_prefix, retained ? "r/" : "t/", publisher, true);
}

size_t cast_filter(const struct cast *cast, uint32_t subscriber, uint8_t *out)
{
	CHECK(subscriber < cast_subscribers(cast));
	char shared[CAST_TOPIC_BYTES_MAX];
	if (subscriber < cast->exact)
		return cast_topic(cast, subscriber % cast->publishers, out);
	if (subscriber < cast->exact + cast->wildcards)
		return write_text(out, cast->topic_prefix, "t/", 0, false);
	snprintf(shared, sizeof(shared), "$share/durable/%s", cast->topic_prefix);
	return write_text(out, shared, "t/", 0, false);
}

size_t cast_retained_filter(const struct cast *cast, uint8_t *out)
{
	return write_text(out, cast->topic_prefix, "r/", 0, false);
}
