#include "auth/revocation/revocation_file.h"

#include "base/check.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

static const char HEADER[] = "# Who was revoked. Written by roost, which checks each line's sum; not to be edited.\n";

/* What a failed write leaves must not become the beginning of the next line. */
static const char *revocation_file_append(struct revocation_file *file, struct slice bytes)
{
	int descriptor;
	const char *fault = file_append_open(file->path, &descriptor);
	if (fault != NULL)
		return fault;
	fault = file_append(descriptor, bytes);
	if (fault == NULL)
		file->bytes += bytes.size;
	else
		file->torn = file_append_cut(descriptor, file->bytes) != NULL;
	file_append_close(descriptor);
	return fault;
}

static const char *revocation_file_cut(const struct revocation_file *file, size_t bytes)
{
	int descriptor;
	const char *fault = file_append_open(file->path, &descriptor);
	if (fault != NULL)
		return fault;
	fault = file_append_cut(descriptor, bytes);
	file_append_close(descriptor);
	return fault;
}

/* Where it is not there. */
static const char *revocation_file_create(const struct revocation_file *file)
{
	int descriptor;
	const char *fault = file_append_open(file->path, &descriptor);
	if (fault == NULL)
		file_append_close(descriptor);
	return fault;
}

static const char *revocation_file_replay(struct revocation_file *file, int64_t now_s, struct journal_result *result)
{
	uint8_t *data;
	size_t size;
	const char *fault = file_read(file->path, REVOCATION_FILE_BYTES_MAX, FILE_PUBLIC, &data, &size);
	if (fault != NULL)
		return fault;
	enum error error = journal_replay(slice_of(data, size), now_s, file->revocations, result);
	free(data);
	CHECK(result->good_bytes <= size);
	file->lines = result->lines;
	file->bytes = result->good_bytes;
	/* A first line that was cut off by a crash is the header, or a part of it. More than that was once something.
	 */
	if (error == ERROR_OK && result->good_bytes == 0 && size >= sizeof(HEADER))
		return "it is damaged, or no file of revocations: no line of it is whole";
	return error == ERROR_OK ? NULL : error_sentence(error);
}

const char *revocation_file_open(struct revocation_file *file, const char *path, struct revocations *revocations,
				 int64_t now_s, struct journal_result *result)
{
	*result = (struct journal_result){0};
	*file = (struct revocation_file){
		.path = strdup(path), .revocations = revocations, .spare_lines = REVOCATION_SPARE_LINES};
	if (file->path == NULL)
		return error_sentence(ERROR_NO_MEMORY);
	const char *fault = revocation_file_create(file);
	if (fault == NULL)
		fault = revocation_file_replay(file, now_s, result);
	if (fault == NULL)
		fault = revocation_file_cut(file, result->good_bytes);
	if (fault == NULL && result->good_bytes == 0)
		fault = revocation_file_append(file, slice_of(HEADER, sizeof(HEADER) - 1));
	if (fault != NULL)
		revocation_file_close(file);
	return fault;
}

void revocation_file_close(struct revocation_file *file)
{
	free(file->path);
	*file = (struct revocation_file){0};
}

static size_t revocation_file_bytes_max(const struct revocations *revocations)
{
	size_t bytes = sizeof(HEADER);
	for (uint32_t i = 0; i < revocations_count(revocations); i++)
		bytes += REVOCATION_LINE_BYTES_MAX(revocations_at(revocations, i).id.size);
	return bytes;
}

static const char *revocation_file_compact(struct revocation_file *file)
{
	char *content = malloc(revocation_file_bytes_max(file->revocations));
	if (content == NULL)
		return error_sentence(ERROR_NO_MEMORY);
	size_t size = sizeof(HEADER) - 1;
	memcpy(content, HEADER, size);
	for (uint32_t i = 0; i < revocations_count(file->revocations); i++) {
		struct revocation revocation = revocations_at(file->revocations, i);
		size += revocation_line_write(&revocation, content + size);
	}
	CHECK(size <= revocation_file_bytes_max(file->revocations));
	const char *fault = file_replace(file->path, slice_of(content, size), FILE_SECRET);
	free(content);
	if (fault != NULL)
		return fault;
	file->bytes = size;
	file->lines = revocations_count(file->revocations);
	file->torn = file->lacks = false;
	return NULL;
}

static const char *revocation_file_append_line(struct revocation_file *file, const struct revocation *revocation)
{
	char *line = malloc(REVOCATION_LINE_BYTES_MAX(revocation->id.size));
	if (line == NULL)
		return error_sentence(ERROR_NO_MEMORY);
	const char *fault = revocation_file_append(file, slice_of(line, revocation_line_write(revocation, line)));
	free(line);
	file->lines++;
	return fault;
}

enum error revocation_file_add(struct revocation_file *file, const struct revocation *revocation, int64_t now_s,
			       enum revocation_change *change, const char **fault)
{
	CHECK(file->path != NULL);
	*fault = NULL;
	enum error error = revocations_add(file->revocations, revocation, now_s, change);
	if (error != ERROR_OK || (*change == REVOCATION_UNCHANGED && !file->lacks))
		return error;
	if (file->torn || file->lacks ||
	    file->lines >= 2u * (uint64_t)revocations_count(file->revocations) + file->spare_lines) {
		revocations_expire(file->revocations, now_s);
		/* From the table, in which the change is already. */
		*fault = revocation_file_compact(file);
		file->lacks = *fault != NULL && (file->torn || file->lacks);
		if (*fault == NULL || file->lacks)
			return ERROR_OK;
	}
	const char *appending = revocation_file_append_line(file, revocation);
	file->lacks = appending != NULL;
	*fault = appending != NULL ? appending : *fault;
	return ERROR_OK;
}
