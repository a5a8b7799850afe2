#include "doctor/mend.h"

#include "base/check.h"
#include "doctor/text.h"

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
	while (text_word(&text, &word) && size < (int)LIMIT_WANTED_BYTES) {
		char one[LIMIT_WANTED_BYTES];
		text_copy(word, one, sizeof(one));
		size += snprintf(words + size, LIMIT_WANTED_BYTES - (size_t)size, "%s%s", size > 0 ? " " : "", one);
	}
	return true;
}

/* How to take it back, as one types it. */
static void print_undo(struct apply *apply, const struct finding *finding, const struct machine *machine)
{
	char before[LIMIT_WANTED_BYTES];
	if (!limit_before(finding->limit, machine, before))
		fputs("  undo: what it was before is not known\n", apply->out);
	else if (finding->limit->way == MEND_SYSCTL)
		fprintf(apply->out, "  undo: sysctl -w %s='%s'\n", finding->limit->key, before);
	else
		fprintf(apply->out, "  undo: echo %s > %s\n", before, machine_path(finding->limit->fact));
}

static bool set(struct apply *apply, const struct finding *finding, const struct machine *machine, const char *path)
{
	char before[LIMIT_WANTED_BYTES];
	char after[LIMIT_WANTED_BYTES];
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

/* What does not bound how many are held, and has no better value, is no failure. */
static bool treat(struct apply *apply, const struct finding *finding, const struct machine *machine)
{
	char path[LIMIT_PATH_BYTES];
	char words[MEND_BYTES];
	if (finding->mendable && limit_path(finding->limit, path))
		return set(apply, finding, machine, path);
	mend_describe(finding, words);
	fprintf(apply->out, "%s: not set: %s%s\n", finding->limit->key,
		*words != '\0' ? "what mends it: " : "there is no better value on this machine", words);
	return !finding->mendable && finding->limit->kind != LIMIT_HOLDS;
}

uint32_t mend_apply(const struct verdict *verdict, const struct root *root, FILE *out)
{
	struct apply apply = {.root = root, .out = out, .buffer = malloc(ROOT_FILE_BYTES_MAX)};
	uint32_t failed = 0;
	CHECK(apply.buffer != NULL);
	for (uint32_t i = 0; i < verdict->count; i++) {
		const struct finding *finding = &verdict->findings[i];
		if (finding->state == FINDING_SHORT && !treat(&apply, finding, verdict->machine))
			failed++;
	}
	free(apply.buffer);
	return failed;
}
