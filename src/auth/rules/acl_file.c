#include "auth/rules/acl_file.h"

#include "base/check.h"

#include "auth/rules/acl_pattern.h"
#include "auth/rules/acl_rules.h"
#include "auth/text/lines.h"
#include "auth/text/utf8.h"

#include <stdlib.h>

#define NO_SECTION SIZE_MAX

struct file_reader {
	uint8_t *out; /* room for all: no line compiles to more than ENTRY_BYTES_MAX() */
	size_t size;
	size_t section; /* where the open section's entry is */
	bool token_seen;
	uint32_t line;
	struct fault *fault;
};

/* A line's entry is never longer than this: its text is a part of the line, and the header stands for the words before
 * it ("user x" is the shortest line, "token" and its end another). */
static size_t acl_file_entries_bytes_max(struct slice text)
{
	size_t lines = 2; /* the last without its end, and ACL_TOKEN where the file has none */
	for (size_t i = 0; i < text.size; i++)
		lines += text.data[i] == '\n';
	return text.size + lines * (sizeof(struct acl_entry) + ACL_ENTRY_ALIGN);
}

static bool acl_file_fail(struct file_reader *reader, const char *what)
{
	return fault_set(reader->fault, reader->line, "%s", what);
}

static void acl_file_add(struct file_reader *reader, enum acl_entry_kind kind, unsigned flags, struct slice text)
{
	reader->size += acl_entry_write(reader->out + reader->size, (uint8_t)kind, (uint8_t)flags, text);
}

static void acl_file_end_section(struct file_reader *reader)
{
	if (reader->section == NO_SECTION)
		return;
	CHECK(reader->section < reader->size);
	struct acl_entry *entry = (struct acl_entry *)(void *)(reader->out + reader->section);
	entry->skip = (uint32_t)(reader->size - reader->section - acl_entry_bytes(entry->text_bytes));
	reader->section = NO_SECTION;
}

static bool acl_file_read_rule(struct file_reader *reader, unsigned flags, struct slice rest)
{
	static const struct {
		const char *word;
		unsigned flags;
	} ACTIONS[] = {
		{"publish", ACL_PUBLISHES},
		{"subscribe", ACL_SUBSCRIBES},
		{"all", ACL_PUBLISHES | ACL_SUBSCRIBES},
	};
	struct slice word = slice_word(&rest);
	unsigned actions = 0;
	for (size_t i = 0; i < sizeof(ACTIONS) / sizeof(ACTIONS[0]); i++)
		if (slice_equal(word, slice_string(ACTIONS[i].word)))
			actions = ACTIONS[i].flags;
	if (actions == 0)
		return acl_file_fail(reader, "publish, subscribe or all is wanted behind allow and deny");
	uint8_t *pattern = reader->out + reader->size + sizeof(struct acl_entry);
	size_t size;
	const char *wrong = acl_pattern_compile(rest, pattern, &size);
	if (wrong != NULL)
		return acl_file_fail(reader, wrong);
	struct slice compiled = slice_of(pattern, size);
	flags |= actions | (acl_pattern_is_literal(compiled) ? (unsigned)ACL_LITERAL : 0);
	acl_file_add(reader, ACL_RULE, flags, compiled);
	return true;
}

static bool acl_file_read_allow(struct file_reader *reader, struct slice rest)
{
	return acl_file_read_rule(reader, ACL_ALLOWS, rest);
}

static bool acl_file_read_deny(struct file_reader *reader, struct slice rest)
{
	return acl_file_read_rule(reader, 0, rest);
}

static bool acl_file_read_section(struct file_reader *reader, enum acl_entry_kind kind, struct slice name)
{
	if (name.size == 0)
		return acl_file_fail(reader, "a name is wanted behind user and client");
	if (name.size > UINT16_MAX)
		return acl_file_fail(reader, "the name is longer than 65535 bytes");
	if (!utf8_is_text(name))
		return acl_file_fail(reader, "the name is not UTF-8, or has control characters in it");
	bool prefix = name.data[name.size - 1] == '*';
	if (prefix)
		name.size--;
	acl_file_end_section(reader);
	reader->section = reader->size;
	acl_file_add(reader, kind, prefix ? ACL_PREFIX : 0, name);
	return true;
}

static bool acl_file_read_user(struct file_reader *reader, struct slice rest)
{
	return acl_file_read_section(reader, ACL_USER, rest);
}

static bool acl_file_read_client(struct file_reader *reader, struct slice rest)
{
	return acl_file_read_section(reader, ACL_CLIENT, rest);
}

static bool acl_file_read_everyone(struct file_reader *reader, struct slice rest)
{
	if (rest.size != 0)
		return acl_file_fail(reader, "everyone stands alone in its line");
	acl_file_end_section(reader);
	return true;
}

static bool acl_file_read_token(struct file_reader *reader, struct slice rest)
{
	if (rest.size != 0)
		return acl_file_fail(reader, "token stands alone in its line");
	if (reader->token_seen)
		return acl_file_fail(reader, "token stands here for the second time");
	if (reader->section != NO_SECTION)
		return acl_file_fail(reader, "token stands among the rules for everyone, not in a section");
	reader->token_seen = true;
	acl_file_add(reader, ACL_TOKEN, 0, slice_of(NULL, 0));
	return true;
}

static bool acl_file_read_line(struct file_reader *reader, struct slice line)
{
	static const struct {
		const char *word;
		bool (*read)(struct file_reader *reader, struct slice rest);
	} KINDS[] = {
		{"allow", acl_file_read_allow},   {"deny", acl_file_read_deny},         {"user", acl_file_read_user},
		{"client", acl_file_read_client}, {"everyone", acl_file_read_everyone}, {"token", acl_file_read_token},
	};
	struct slice word = slice_word(&line);
	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
		if (slice_equal(word, slice_string(KINDS[i].word)))
			return KINDS[i].read(reader, line);
	return acl_file_fail(reader, "allow, deny, user, client, everyone or token is wanted at the start of a line");
}

static bool acl_file_read_lines(struct file_reader *reader, struct slice text)
{
	struct lines lines = {.rest = text};
	struct slice line;
	while (lines_next(&lines, &line)) {
		line = slice_trim(line);
		reader->line = lines.number;
		if (!line_is_void(line) && !acl_file_read_line(reader, line))
			return false;
	}
	acl_file_end_section(reader);
	if (!reader->token_seen)
		acl_file_add(reader, ACL_TOKEN, 0, slice_of(NULL, 0));
	return true;
}

bool acl_file_read(struct acl_file *file, struct slice text, struct fault *fault)
{
	struct file_reader reader = {
		.out = malloc(acl_file_entries_bytes_max(text)), .section = NO_SECTION, .fault = fault};
	if (reader.out == NULL)
		return fault_set(fault, 0, "out of memory");
	if (!acl_file_read_lines(&reader, text)) {
		free(reader.out);
		return false;
	}
	CHECK(reader.section == NO_SECTION);
	CHECK(reader.size != 0 && reader.size <= acl_file_entries_bytes_max(text));
	uint8_t *fitting = realloc(reader.out, reader.size);
	if (fitting != NULL)
		reader.out = fitting;
	file->rules = slice_of(reader.out, reader.size);
	return true;
}

void acl_file_fini(struct acl_file *file)
{
	free((void *)(uintptr_t)file->rules.data);
	*file = (struct acl_file){0};
}
