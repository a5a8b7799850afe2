/* Four parts with newlines between: a client id, a user name, a topic or filter, and a rule file. Each filter of the
 * file is compared with one in which the placeholders are written out and which is matched character by character;
 * whatever covers must overlap; and no value that cannot stand in a placeholder's place lets anything through. */
#include "fuzz.h"

#include "auth/rules/acl.h"
#include "auth/rules/acl_pattern.h"
#include "auth/text/lines.h"

static struct slice cut_line(struct slice *rest)
{
	const uint8_t *newline = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
	size_t size = newline == NULL ? rest->size : (size_t)(newline - rest->data);
	struct slice line = slice_of(rest->data, size);
	size_t step = newline == NULL ? size : size + 1;
	*rest = slice_of(rest->data + step, rest->size - step);
	return line;
}

static bool has_any(struct slice text, const char *characters)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] != 0 && strchr(characters, text.data[i]) != NULL)
			return true;
	return false;
}

/* [4.7], character by character. */
static bool matches(const char *filter, const char *filter_end, const char *topic, const char *topic_end)
{
	if (filter == filter_end)
		return topic == topic_end;
	if (*filter == '#')
		return true;
	if (*filter == '+') {
		while (topic < topic_end && *topic != '/')
			topic++;
		return matches(filter + 1, filter_end, topic, topic_end);
	}
	if (topic == topic_end)
		return filter_end - filter == 2 && memcmp(filter, "/#", 2) == 0;
	return *filter == *topic && matches(filter + 1, filter_end, topic + 1, topic_end);
}

static bool matches_topic(struct slice filter, struct slice topic)
{
	const char *f = (const char *)filter.data, *t = (const char *)topic.data;
	bool hidden = topic.data[0] == '$' && (filter.data[0] == '+' || filter.data[0] == '#');
	return !hidden && matches(f, f + filter.size, t, t + topic.size);
}

/* The pattern with its placeholders written out; false where a value cannot stand there. */
static bool write_out(struct slice pattern, const struct acl_identity *identity, uint8_t *out, size_t *size)
{
	*size = 0;
	for (size_t i = 0; i < pattern.size; i++) {
		struct slice piece = slice_of(pattern.data + i, 1);
		if (pattern.data[i] == ACL_PATTERN_CLIENT_ID || pattern.data[i] == ACL_PATTERN_USER) {
			piece = pattern.data[i] == ACL_PATTERN_USER ? identity->user : identity->client_id;
			if (piece.size == 0 || has_any(piece, "+#/") || (i == 0 && piece.data[0] == '$'))
				return false;
		}
		memcpy(out + *size, piece.data, piece.size);
		*size += piece.size;
	}
	return true;
}

static size_t written_bytes_max(struct slice pattern, const struct acl_identity *identity)
{
	return pattern.size * (1 + identity->client_id.size + identity->user.size);
}

static void try_pattern(struct slice text, const struct acl_identity *identity, struct slice asked)
{
	uint8_t *compiled = block_new(text.size);
	size_t compiled_bytes, size;
	if (acl_pattern_compile(text, compiled, &compiled_bytes) == NULL) {
		struct slice pattern = slice_of(compiled, compiled_bytes);
		bool covers = acl_pattern_covers(pattern, identity, asked);
		bool overlaps = acl_pattern_overlaps(pattern, identity, asked);
		uint8_t *written = block_new(written_bytes_max(pattern, identity));
		bool usable = write_out(pattern, identity, written, &size);
		/* Whatever is allowed by covering would be denied by overlapping. */
		CHECK(!covers || overlaps);
		CHECK(!covers || usable);
		if (usable && !has_any(asked, "+#"))
			CHECK(covers == matches_topic(slice_of(written, size), asked));
		if (usable && !has_any(asked, "+#") && asked.data[0] != '$')
			CHECK(overlaps == covers);
		free(written);
	}
	free(compiled);
}

static void try_lines(struct slice file, const struct acl_identity *identity, struct slice asked)
{
	struct lines lines = {.rest = file};
	struct slice line;
	while (lines_next(&lines, &line)) {
		line = slice_trim(line);
		slice_word(&line);
		slice_word(&line);
		try_pattern(line, identity, asked);
	}
}

static void try_file(struct slice file, const struct acl_identity *identity, struct slice asked)
{
	struct fault fault = {0};
	struct acl *acl = acl_new(file, false, &fault);
	CHECK(acl != NULL || fault.text[0] != '\0');
	if (acl == NULL)
		return;
	acl_check(acl, slice_of(NULL, 0), identity, ACL_PUBLISH, asked);
	acl_check(acl, slice_of("", 0), identity, ACL_SUBSCRIBE, asked);
	acl_put(&acl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 65536)
		return 0;
	uint8_t *copy = block_new(size);
	if (size != 0)
		memcpy(copy, data, size);
	struct slice rest = slice_of(copy, size);
	struct acl_identity identity;
	identity.client_id = cut_line(&rest);
	identity.user = cut_line(&rest);
	struct slice asked = cut_line(&rest);
	/* What a client may ask for: a topic or filter that was checked. */
	uint8_t *checked = block_new(asked.size);
	size_t checked_bytes;
	bool good = acl_pattern_compile(asked, checked, &checked_bytes) == NULL && !has_any(asked, "%");
	if (good) {
		try_lines(rest, &identity, asked);
		try_file(rest, &identity, asked);
	}
	free(checked);
	free(copy);
	return 0;
}
