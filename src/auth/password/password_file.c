#include "auth/password/password_file.h"

#include "auth/password/password_hash.h"
#include "auth/text/lines.h"
#include "auth/text/utf8.h"
#include "base/check.h"
#include "base/hash.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

struct user {
	struct slice name;
	struct slice hash;
	uint32_t line;
};

struct password_file {
	_Atomic uint32_t references;
	uint32_t count;
	struct hash_key key;
	uint8_t *text;
	struct user *users; /* by name */
};

bool password_user_is_valid(struct slice user)
{
	return user.size > 0 && user.size <= UINT16_MAX && user.data[0] != '#' && utf8_is_text(user) &&
	       memchr(user.data, ':', user.size) == NULL && slice_equal(slice_trim(user), user);
}

static int password_user_compare(const void *left, const void *right)
{
	const struct user *a = left, *b = right;
	size_t shorter = a->name.size < b->name.size ? a->name.size : b->name.size;
	int order = memcmp(a->name.data, b->name.data, shorter);
	if (order != 0)
		return order;
	return (a->name.size > b->name.size) - (a->name.size < b->name.size);
}

static bool password_file_read_line(struct user *user, struct slice line, uint32_t number, struct fault *fault)
{
	const uint8_t *colon = memchr(line.data, ':', line.size);
	if (colon == NULL)
		return fault_set(fault, number, "a line is NAME:HASH; there is no colon in it");
	size_t size = (size_t)(colon - line.data);
	*user = (struct user){
		.name = slice_of(line.data, size), .hash = slice_of(colon + 1, line.size - size - 1), .line = number};
	if (!password_user_is_valid(user->name))
		return fault_set(fault, number,
				 "the name is empty, is not UTF-8, or has control characters or outer blanks in it");
	const char *wrong = password_hash_check(user->hash);
	return wrong == NULL || fault_set(fault, number, "%s", wrong);
}

static bool password_file_check_unique(const struct password_file *file, struct fault *fault)
{
	for (uint32_t i = 1; i < file->count; i++) {
		const struct user *one = &file->users[i - 1], *other = &file->users[i];
		if (slice_equal(one->name, other->name))
			return fault_set(fault, one->line > other->line ? one->line : other->line,
					 "the user stands in line %u already",
					 one->line < other->line ? one->line : other->line);
	}
	return true;
}

static uint32_t password_file_count_lines(struct slice text)
{
	uint32_t count = 1;
	for (size_t i = 0; i < text.size; i++)
		count += text.data[i] == '\n';
	return count;
}

static bool password_file_read_lines(struct password_file *file, struct slice text, struct fault *fault)
{
	struct lines lines = {.rest = text};
	struct slice line;
	while (lines_next(&lines, &line)) {
		line = slice_trim(line);
		if (line_is_void(line))
			continue;
		if (!password_file_read_line(&file->users[file->count], line, lines.number, fault))
			return false;
		file->count++;
	}
	qsort(file->users, file->count, sizeof(*file->users), password_user_compare);
	return password_file_check_unique(file, fault);
}

static bool password_file_fill(struct password_file *file, struct slice text, struct fault *fault)
{
	if (text.size > PASSWORD_FILE_BYTES_MAX)
		return fault_set(fault, 0, "the file is larger than %zu bytes", PASSWORD_FILE_BYTES_MAX);
	file->text = malloc(text.size + 1);
	file->users = calloc(password_file_count_lines(text), sizeof(*file->users));
	if (file->text == NULL || file->users == NULL)
		return fault_set(fault, 0, "out of memory");
	if (text.size != 0)
		memcpy(file->text, text.data, text.size);
	return password_file_read_lines(file, slice_of(file->text, text.size), fault);
}

struct password_file *password_file_new(struct slice text, struct fault *fault)
{
	struct password_file *file = calloc(1, sizeof(*file));
	if (file == NULL) {
		fault_set(fault, 0, "out of memory");
		return NULL;
	}
	atomic_store(&file->references, 1);
	file->key = hash_key_random();
	if (!password_file_fill(file, text, fault))
		password_file_put(&file);
	return file;
}

struct password_file *password_file_get(struct password_file *file)
{
	CHECK(atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed) != 0);
	return file;
}

void password_file_put(struct password_file **file)
{
	struct password_file *put = *file;
	*file = NULL;
	if (put == NULL)
		return;
	uint32_t references = atomic_fetch_sub_explicit(&put->references, 1, memory_order_acq_rel);
	CHECK(references != 0);
	if (references != 1)
		return;
	free(put->users);
	free(put->text);
	free(put);
}

uint32_t password_file_count(const struct password_file *file)
{
	return file->count;
}

struct slice password_file_find(const struct password_file *file, struct slice user)
{
	struct user wanted = {.name = user};
	if (user.size == 0 || file->count == 0)
		return slice_of(NULL, 0);
	const struct user *found =
		bsearch(&wanted, file->users, file->count, sizeof(*file->users), password_user_compare);
	return found != NULL ? found->hash : slice_of(NULL, 0);
}

/* The hash of another user, always the same for one name: an unknown name must take as long as a known one. */
static struct slice password_file_decoy(const struct password_file *file, struct slice user)
{
	CHECK(file->count > 0);
	return file->users[hash_slice(&file->key, user) % file->count].hash;
}

enum error password_check(const struct password_file *file, struct slice user, struct slice password)
{
	if (file->count == 0)
		return ERROR_PASSWORD_WRONG;
	struct slice hash = password_file_find(file, user);
	bool known = hash.size != 0;
	enum error error = password_hash_verify(known ? hash : password_file_decoy(file, user), password);
	return error == ERROR_OK && !known ? ERROR_PASSWORD_WRONG : error;
}
