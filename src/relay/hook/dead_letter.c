#include "relay/hook/dead_letter.h"

#include "base/file.h"
#include "relay/json/json_text.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

_Static_assert(HOOK_EVENT_BYTES_MAX < DEAD_LETTER_BYTES_MAX, "a file takes any event");

static void append_line(struct bytes *out, const char *hook, const char *reason, uint64_t time_s, struct slice event)
{
	char text[128];
	int size = snprintf(text, sizeof(text), "{\"hook\":\"%.64s\",\"given_up\":%lu,\"reason\":", hook,
			    (unsigned long)time_s);
	bytes_append(out, text, (size_t)size);
	json_text_append(out, json_text_is_string(slice_string(reason)) ? slice_string(reason) : slice_string("?"));
	bytes_append(out, ",\"event\":", 9);
	bytes_append(out, event.data, event.size);
	bytes_append(out, "}\n", 2);
}

static const char *append_to_file(const char *path, struct slice lines)
{
	struct stat status;
	int descriptor;
	if (stat(path, &status) == 0 && (size_t)status.st_size > DEAD_LETTER_BYTES_MAX)
		return "it is full: move it away";
	const char *why = file_append_open(path, &descriptor);
	if (why != NULL)
		return why;
	bool is_sized = fstat(descriptor, &status) == 0;
	why = file_append(descriptor, lines);
	/* It is tried again: half a line must not become the beginning of the next one. */
	if (why != NULL && is_sized)
		(void)file_append_cut(descriptor, (size_t)status.st_size);
	file_append_close(descriptor);
	return why;
}

const char *dead_letter_write(const char *path, const char *hook, const char *reason, uint64_t time_s,
			      const struct hook_batch *batch)
{
	struct bytes lines = {0};
	for (uint32_t i = 0; i < batch->send_count; i++)
		append_line(&lines, hook, reason, time_s, hook_batch_event(batch, i));
	const char *why = lines.failed ? strerror(ENOMEM) : append_to_file(path, bytes_slice(&lines));
	bytes_free(&lines);
	return why;
}
