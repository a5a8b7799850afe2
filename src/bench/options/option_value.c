#include "bench/options/option_value.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

bool option_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;
	CHECK(min <= max);
	bool good = *text >= '0' && *text <= '9';
	for (const char *at = text; good && *at != '\0'; at++) {
		if (*at == '_' || *at == ',')
			continue;
		good = *at >= '0' && *at <= '9' && !__builtin_mul_overflow(value, 10u, &value) &&
		       !__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
	}
	if (!good || value < min || value > max) {
		fprintf(stderr, "roost bench: %s: \"%s\" is not a number from %llu to %llu\n", name, text,
			(unsigned long long)min, (unsigned long long)max);
		return false;
	}
	*out = value;
	return true;
}

bool option_u32(const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t value;
	if (!option_number(name, text, min, max, &value))
		return false;
	*out = (uint32_t)value;
	return true;
}

bool option_rate(const char *name, const char *text, uint32_t *out)
{
	if (strcmp(text, "full") == 0) {
		*out = 0;
		return true;
	}
	return option_u32(name, text, 1, 10000000, out);
}

bool option_version(const char *name, const char *text, uint8_t *out)
{
	static const struct {
		const char *text;
		uint8_t level;
	} versions[] = {{"3", 3}, {"3.1", 3}, {"4", 4}, {"3.1.1", 4}, {"5", 5}, {"5.0", 5}};
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (strcmp(text, versions[i].text) == 0) {
			*out = versions[i].level;
			return true;
		}
	}
	fprintf(stderr, "roost bench: %s: \"%s\" is not 3 (3.1), 4 (3.1.1) or 5 (5.0)\n", name, text);
	return false;
}

bool option_qos(const char *name, const char *text, uint8_t *out)
{
	uint32_t qos;
	if (!option_u32(name, text, 0, 2, &qos))
		return false;
	*out = (uint8_t)qos;
	return true;
}

bool option_prefix(const char *name, const char *text, uint32_t bytes_max)
{
	if (strlen(text) <= bytes_max && strpbrk(text, "+#") == NULL)
		return true;
	fprintf(stderr, "roost bench: %s: \"%s\" is longer than %u bytes or has a wildcard\n", name, text, bytes_max);
	return false;
}

/* Returns whether there is no fault, after saying which. */
static bool is_accepted(const char *name, const char *text, const char *fault)
{
	if (fault != NULL)
		fprintf(stderr, "roost bench: %s: \"%s\" %s\n", name, text, fault);
	return fault == NULL;
}

bool option_url(const char *name, const char *text, struct url *out)
{
	return is_accepted(name, text, url_parse(text, out));
}

bool option_tcp_url(const char *name, const char *text, struct url *out)
{
	const char *fault = url_parse(text, out);
	if (fault == NULL && out->scheme != URL_TCP)
		fault = "does not begin with tcp://";
	return is_accepted(name, text, fault);
}

bool option_source_range(const char *name, const char *text, struct source_range *out)
{
	return is_accepted(name, text, source_range_parse(text, out));
}
