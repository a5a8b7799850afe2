#include "auth/revocation/revocation_journal.h"

#include "base/check.h"

#include "auth/text/lines.h"
#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECKSUM_DIGITS 16u
#define TEXT_OF_EVER "ever"
#define TEXT_OF_LIFTED "lifted"

static uint64_t journal_checksum(struct slice text)
{
	static const struct hash_key ZEROES;
	return hash_slice(&ZEROES, text);
}

static size_t journal_write_id(struct slice id, char *out)
{
	static const char DIGITS[] = "0123456789abcdef";
	size_t size = 0;
	for (size_t i = 0; i < id.size; i++) {
		uint8_t byte = id.data[i];
		if (byte > 0x20 && byte != 0x7F && byte != '%') {
			out[size++] = (char)byte;
			continue;
		}
		out[size++] = '%';
		out[size++] = DIGITS[byte >> 4];
		out[size++] = DIGITS[byte & 15];
	}
	return size;
}

size_t revocation_line_write(const struct revocation *revocation, char *out)
{
	char *text = out + CHECKSUM_DIGITS + 1;
	size_t size = (size_t)sprintf(text, "%s ", revocation_kind_name(revocation->kind));
	if (revocation->until_s == REVOKED_FOR_EVER)
		size += (size_t)sprintf(text + size, TEXT_OF_EVER " ");
	else if (revocation->until_s <= REVOCATION_LIFTED_S)
		size += (size_t)sprintf(text + size, TEXT_OF_LIFTED " ");
	else
		size += (size_t)sprintf(text + size, "%" PRId64 " ", revocation->until_s);
	size += journal_write_id(revocation->id, text + size);
	char checksum[CHECKSUM_DIGITS + 2];
	snprintf(checksum, sizeof(checksum), "%016" PRIx64 " ", journal_checksum(slice_of(text, size)));
	memcpy(out, checksum, CHECKSUM_DIGITS + 1);
	text[size++] = '\n';
	CHECK(CHECKSUM_DIGITS + 1 + size <= REVOCATION_LINE_BYTES_MAX(revocation->id.size));
	return CHECKSUM_DIGITS + 1 + size;
}

static bool journal_hex_digit(uint8_t byte, uint8_t *value)
{
	if (byte >= '0' && byte <= '9')
		*value = (uint8_t)(byte - '0');
	else if (byte >= 'a' && byte <= 'f')
		*value = (uint8_t)(byte - 'a' + 10);
	else
		return false;
	return true;
}

static bool journal_read_checksum(struct slice word, uint64_t *checksum)
{
	*checksum = 0;
	for (size_t i = 0; i < word.size; i++) {
		uint8_t value;
		if (!journal_hex_digit(word.data[i], &value))
			return false;
		*checksum = *checksum << 4 | value;
	}
	return word.size == CHECKSUM_DIGITS;
}

static bool journal_read_until(struct slice word, int64_t *until_s)
{
	if (slice_equal(word, slice_string(TEXT_OF_EVER))) {
		*until_s = REVOKED_FOR_EVER;
		return true;
	}
	*until_s = REVOCATION_LIFTED_S;
	if (slice_equal(word, slice_string(TEXT_OF_LIFTED)))
		return true;
	for (size_t i = 0; i < word.size; i++) {
		if (word.data[i] < '0' || word.data[i] > '9' || __builtin_mul_overflow(*until_s, 10, until_s) ||
		    __builtin_add_overflow(*until_s, word.data[i] - '0', until_s))
			return false;
	}
	return word.size > 0 && *until_s != REVOCATION_LIFTED_S;
}

static bool journal_read_id(struct slice text, uint8_t *out, struct slice *id)
{
	size_t size = 0;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t high, low;
		if (text.data[i] != '%') {
			out[size++] = text.data[i];
			continue;
		}
		if (text.size - i < 3 || !journal_hex_digit(text.data[i + 1], &high) ||
		    !journal_hex_digit(text.data[i + 2], &low))
			return false;
		out[size++] = (uint8_t)(high << 4 | low);
		i += 2;
	}
	CHECK(size <= text.size);
	*id = slice_of(out, size);
	return size > 0 && size <= REVOCATION_ID_BYTES_MAX;
}

bool revocation_line_read(struct slice line, uint8_t *out, struct revocation *revocation)
{
	uint64_t checksum;
	struct slice rest = line;
	if (!journal_read_checksum(slice_word(&rest), &checksum) || checksum != journal_checksum(rest))
		return false;
	return revocation_kind_parse(slice_word(&rest), &revocation->kind) &&
	       journal_read_until(slice_word(&rest), &revocation->until_s) &&
	       journal_read_id(rest, out, &revocation->id);
}

/* Lines that cannot be read are only known to be torn or damaged when it is known whether a good one follows. */
struct replay {
	struct journal_result *result;
	uint32_t bad;
	uint32_t first_bad_line;
};

static void journal_count_bad_line(struct replay *replay, uint32_t line)
{
	if (replay->bad++ == 0)
		replay->first_bad_line = line;
}

static void journal_count_good_line(struct replay *replay, size_t end)
{
	struct journal_result *result = replay->result;
	if (result->damaged == 0 && replay->bad != 0)
		result->first_damaged_line = replay->first_bad_line;
	result->damaged += replay->bad;
	replay->bad = 0;
	CHECK(end > result->good_bytes);
	result->good_bytes = end;
}

static enum error journal_apply(struct revocations *revocations, const struct revocation *revocation, int64_t now_s,
				struct journal_result *result)
{
	enum revocation_change change;
	result->lines++;
	enum error error = revocations_add(revocations, revocation, now_s, &change);
	if (error != ERROR_LIMIT)
		return error;
	result->full = true;
	return ERROR_OK;
}

static enum error journal_replay_lines(struct slice journal, uint8_t *id, int64_t now_s,
				       struct revocations *revocations, struct journal_result *result)
{
	struct replay replay = {.result = result};
	struct lines lines = {.rest = journal};
	struct slice line;
	while (lines_next(&lines, &line)) {
		size_t end = journal.size - lines.rest.size;
		bool whole = journal.data[end - 1] == '\n';
		struct revocation revocation;
		if (whole && line_is_void(line)) {
			journal_count_good_line(&replay, end);
		} else if (!whole || !revocation_line_read(line, id, &revocation)) {
			journal_count_bad_line(&replay, lines.number);
		} else {
			journal_count_good_line(&replay, end);
			enum error error = journal_apply(revocations, &revocation, now_s, result);
			if (error != ERROR_OK)
				return error;
		}
	}
	return ERROR_OK;
}

enum error journal_replay(struct slice journal, int64_t now_s, struct revocations *revocations,
			  struct journal_result *result)
{
	*result = (struct journal_result){0};
	if (journal.size == 0)
		return ERROR_OK;
	uint8_t *id = malloc(journal.size);
	if (id == NULL)
		return ERROR_NO_MEMORY;
	enum error error = journal_replay_lines(journal, id, now_s, revocations, result);
	free(id);
	return error;
}
