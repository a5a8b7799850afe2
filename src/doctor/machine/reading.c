#include "doctor/machine/reading.h"

#include "base/check.h"
#include "doctor/machine/text.h"

static const struct reading ABSENT = {.state = READING_ABSENT};
static const struct reading UNREADABLE = {.state = READING_UNREADABLE};
static const struct reading UNLIMITED = {.state = READING_UNLIMITED};

struct reading reading_known(uint64_t value)
{
	if (value >= READING_UNLIMITED_FROM)
		return UNLIMITED;
	return (struct reading){.state = READING_KNOWN, .value = value};
}

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* Takes the digits at the start off *text. False: there are none, or the number has more than 64 bits. */
static bool take_number(struct slice *text, uint64_t *value)
{
	size_t size = 0;
	*value = 0;
	for (; size < text->size && is_digit(text->data[size]); size++) {
		if (__builtin_mul_overflow(*value, 10u, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(text->data[size] - '0'), value))
			return false;
	}
	*text = slice_of(text->data + size, text->size - size);
	return size > 0;
}

static bool is_unlimited(struct slice word)
{
	return text_is(word, "max") || text_is(word, "unlimited") || text_is(word, "infinity");
}

struct reading reading_parse(struct slice text)
{
	uint64_t value;
	text = text_trim(text);
	if (is_unlimited(text))
		return UNLIMITED;
	if (!take_number(&text, &value) || text.size != 0)
		return UNREADABLE;
	return reading_known(value);
}

struct reading reading_word(struct slice text, uint32_t n)
{
	struct slice word;
	for (uint32_t i = 0; i <= n; i++) {
		if (!text_word(&text, &word))
			return ABSENT;
	}
	struct reading reading = reading_parse(word);
	struct slice unit;
	if (reading.state != READING_KNOWN || !text_word(&text, &unit) || !text_is(unit, "kB"))
		return reading;
	return reading.value > UINT64_MAX / 1024 ? UNREADABLE : reading_known(reading.value * 1024);
}

static int hex_digit(uint8_t byte)
{
	if (is_digit(byte))
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}

struct reading reading_mask(struct slice text)
{
	uint64_t value = 0;
	text = text_trim(text);
	if (text.size == 0)
		return UNREADABLE;
	for (size_t i = 0; i < text.size; i++) {
		int digit = hex_digit(text.data[i]);
		if (digit < 0 && text.data[i] != ',')
			return UNREADABLE;
		if (digit >= 0)
			value = value << 4 | (uint64_t)digit;
	}
	return (struct reading){.state = READING_KNOWN, .value = value};
}

static struct reading percentage(uint64_t percent, struct reading whole)
{
	if (percent > 100 || whole.state != READING_KNOWN)
		return UNREADABLE;
	/* In two parts: whole times 100 may have more than 64 bits. */
	uint64_t share = whole.value / 100 * percent + whole.value % 100 * percent / 100;
	CHECK(share <= whole.value);
	return reading_known(share);
}

struct reading reading_size(struct slice text, struct reading whole)
{
	static const char SUFFIXES[] = "KMGT";
	uint64_t value;
	text = text_trim(text);
	if (is_unlimited(text))
		return UNLIMITED;
	if (!take_number(&text, &value))
		return UNREADABLE;
	if (text.size == 0)
		return reading_known(value);
	if (text.size != 1)
		return UNREADABLE;
	if (text.data[0] == '%')
		return percentage(value, whole);
	const char *suffix = text.data[0] != '\0' ? strchr(SUFFIXES, text.data[0]) : NULL;
	if (suffix == NULL)
		return UNREADABLE;
	unsigned int shift = 10u * (unsigned int)(suffix - SUFFIXES + 1);
	_Static_assert(10 * (sizeof(SUFFIXES) - 1) < 64, "a shift by as many bits as there are is undefined");
	return value > UINT64_MAX >> shift ? UNREADABLE : reading_known(value << shift);
}

uint64_t reading_bound(struct reading reading)
{
	return reading.state == READING_KNOWN ? reading.value : UINT64_MAX;
}

uint64_t reading_used(struct reading reading)
{
	return reading.state == READING_KNOWN ? reading.value : 0;
}
