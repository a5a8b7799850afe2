#include "doctor/fix/fix.h"

#include "base/check.h"
#include "doctor/machine/text.h"

#include <errno.h>
#include <stdlib.h>

struct apply {
	const struct root *root;
	uint8_t *buffer;
	FILE *out;
};

static bool read_words(struct apply *apply, const char *path, char *words)
{
	struct slice text;
	struct slice word;
	int size = 0;
	*words = '\0';
	if (root_read(apply->root, path, apply->buffer, &text) != ERROR_OK)
		return false;
	while (text_word(&text, &word) && size < (int)NEED_WANTED_BYTES) {
		char one[NEED_WANTED_BYTES];
		text_copy(word, one, sizeof(one));
		size += snprintf(words + size, NEED_WANTED_BYTES - (size_t)size, "%s%s", size > 0 ? " " : "", one);
	}
	return true;
}

/* The command that undoes it. */
static void print_undo(struct apply *apply, const struct finding *finding, const struct machine *machine)
{
	char before[NEED_WANTED_BYTES];
	if (!limit_before(finding->limit, machine, before))
		fputs("  undo: the value from before is not known\n", apply->out);
	else if (finding->limit->way == FIX_SYSCTL)
		fprintf(apply->out, "  undo: sysctl -w %s='%s'\n", finding->limit->key, before);
	else
		fprintf(apply->out, "  undo: echo %s > %s\n", before, machine_path(finding->limit->fact));
}

static bool set(struct apply *apply, const struct finding *finding, const struct machine *machine, const char *path)
{
	CHECK(finding->state == FINDING_SHORT && finding->wanted[0] != '\0');
	char before[NEED_WANTED_BYTES];
	char after[NEED_WANTED_BYTES];
	if (!read_words(apply, path, before) || root_write(apply->root, path, finding->wanted) != ERROR_OK) {
		fprintf(apply->out, "%s: not set: %s: %s\n", finding->limit->key, path, strerror(errno));
		return false;
	}
	if (!read_words(apply, path, after)) {
		fprintf(apply->out, "%s: set, but it cannot be read again: %s\n", finding->limit->key, strerror(errno));
		return false;
	}
	fprintf(apply->out, "%s: %s -> %s\n", finding->limit->key, before, after);
	print_undo(apply, finding, machine);
	return true;
}

/* False: it could not be set. A limit that has no better value, and does not limit how many are held, is no failure. */
static bool apply_one(struct apply *apply, const struct finding *finding, const struct machine *machine)
{
	char path[LIMIT_PATH_BYTES];
	char words[FIX_BYTES];
	if (finding->fixable && limit_path(finding->limit, path))
		return set(apply, finding, machine, path);
	fix_describe(finding, words);
	fprintf(apply->out, "%s: not set: %s%s\n", finding->limit->key,
		*words != '\0' ? "to fix it: " : "there is no better value on this machine", words);
	return !finding->fixable && finding->limit->kind != LIMIT_HOLDS;
}

uint32_t fix_apply(const struct verdict *verdict, const struct root *root, FILE *out)
{
	struct apply apply = {.root = root, .out = out, .buffer = malloc(ROOT_FILE_BYTES_MAX)};
	uint32_t failed = 0;
	CHECK(apply.buffer != NULL);
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		if (finding->state == FINDING_SHORT && !apply_one(&apply, finding, verdict->machine))
			failed++;
	}
	free(apply.buffer);
	return failed;
}
