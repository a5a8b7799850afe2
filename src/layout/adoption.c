#include "layout/adoption.h"

#include "base/check.h"
#include "layout/conversion.h"
#include "layout/memory_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYOUT_SCOPE "layout"

enum error layout_put_notes(struct notes *notes)
{
	const char *text = memory_layout_text();
	enum error error = notes_put(notes, LAYOUT_SCOPE, "text", text, strlen(text) + 1);
	return error == ERROR_OK ? notes_put_u64(notes, LAYOUT_SCOPE, "version", MEMORY_LAYOUT_VERSION) : error;
}

/* A hundred kilobytes, too much for a stack. NULL, and a sentence: there is no memory. */
static struct layout_conversion *conversion_open(char *sentence, size_t size)
{
	struct layout_conversion *made = malloc(sizeof(*made));
	if (made == NULL)
		snprintf(sentence, size, "memory of another layout cannot be judged: %s",
			 error_sentence(ERROR_NO_MEMORY));
	return made;
}

bool layout_accepts(const char *text, uint32_t version, char *sentence, size_t size)
{
	struct layout_conversion *made = conversion_open(sentence, size);
	bool accepts = made != NULL && layout_conversion_make(made, text, version, sentence, size);
	free(made);
	return accepts;
}

/* Adopts the block as the program had it that made it. */
static enum error layout_adopt_old(struct layout_adoption *adoption, int fd, uint64_t *hash, char *sentence,
				   size_t size)
{
	enum error error = memory_root_layout(fd, hash);
	if (error == ERROR_OK)
		error = memory_root_adopt(&adoption->old, fd, *hash);
	if (error != ERROR_OK) {
		snprintf(sentence, size, "the root block of the memory cannot be read: %s", error_sentence(error));
		return error;
	}
	error = notes_adopt(&adoption->old_notes, &adoption->old);
	if (error != ERROR_OK) {
		memory_root_unmap(&adoption->old);
		snprintf(sentence, size, "the notes beside the memory cannot be read: %s", error_sentence(error));
	}
	return error;
}

static enum error layout_convert_old(struct layout_adoption *adoption, char *sentence, size_t size)
{
	struct slice text;
	uint64_t version;
	if (!notes_get(&adoption->old_notes, LAYOUT_SCOPE, "text", &text) || text.size == 0 ||
	    text.data[text.size - 1] != '\0' ||
	    !notes_get_u64(&adoption->old_notes, LAYOUT_SCOPE, "version", &version) || version > UINT32_MAX) {
		snprintf(sentence, size, "the memory has another layout, and no text says which");
		return ERROR_NOT_FOUND;
	}
	struct layout_conversion *made = conversion_open(sentence, size);
	if (made == NULL)
		return ERROR_NO_MEMORY;
	if (!layout_conversion_make(made, (const char *)text.data, (uint32_t)version, sentence, size)) {
		free(made);
		return ERROR_NOT_FOUND;
	}
	enum error error = memory_convert(&made->conversion, &adoption->old, memory_layout_hash(), &adoption->root,
					  &adoption->notes);
	free(made);
	if (error != ERROR_OK)
		snprintf(sentence, size, "memory of another layout cannot be converted: %s", error_sentence(error));
	adoption->is_converted = error == ERROR_OK;
	return error;
}

/* The same layout: the root block is taken as it is, and the notes once more, for they know their root. */
static enum error layout_take_old(struct layout_adoption *adoption)
{
	notes_close(&adoption->old_notes);
	adoption->root = adoption->old;
	return notes_adopt(&adoption->notes, &adoption->root);
}

enum error layout_adopt(struct layout_adoption *adoption, int fd, char *sentence, size_t size)
{
	uint64_t hash;
	CHECK(size != 0);
	*adoption = (struct layout_adoption){0};
	sentence[0] = '\0';
	enum error error = layout_adopt_old(adoption, fd, &hash, sentence, size);
	if (error != ERROR_OK)
		return error;
	if (hash == memory_layout_hash()) {
		error = layout_take_old(adoption);
		if (error == ERROR_OK)
			return ERROR_OK;
		snprintf(sentence, size, "the notes beside the memory cannot be read: %s", error_sentence(error));
		memory_root_unmap(&adoption->root);
		return error;
	}
	error = layout_convert_old(adoption, sentence, size);
	if (error != ERROR_OK) {
		notes_close(&adoption->old_notes);
		memory_root_unmap(&adoption->old);
	}
	return error;
}

void layout_adoption_finish(struct layout_adoption *adoption)
{
	if (!adoption->is_converted)
		return;
	memory_convert_finish(&adoption->old, &adoption->root);
	adoption->is_converted = false;
}
