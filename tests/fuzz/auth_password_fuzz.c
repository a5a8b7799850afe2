/* A password file: a fault with its line, or users who can all be found. */
#include "fuzz.h"

#include "auth/password/password_file.h"
#include "auth/text/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *text = block_new(size);
	if (size != 0)
		memcpy(text, data, size);
	struct fault fault = {0};
	struct password_file *file = password_file_new(slice_of(text, size), &fault);
	if (file == NULL) {
		CHECK(fault.text[0] != '\0' && fault.line > 0);
		free(text);
		return 0;
	}
	struct lines lines = {.rest = slice_of(text, size)};
	struct slice line;
	uint32_t users = 0;
	while (lines_next(&lines, &line)) {
		line = slice_trim(line);
		if (line_is_void(line))
			continue;
		const uint8_t *colon = memchr(line.data, ':', line.size);
		CHECK(colon != NULL);
		struct slice name = slice_of(line.data, (size_t)(colon - line.data));
		struct slice hash = slice_of(colon + 1, line.size - name.size - 1);
		CHECK(password_user_is_valid(name) && slice_equal(password_file_find(file, name), hash));
		users++;
	}
	CHECK(password_file_count(file) == users);
	password_file_put(&file);
	free(text);
	return 0;
}
