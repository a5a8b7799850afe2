/* Lines and words of the text files that the kernel and administrators write: views into the caller's bytes, nothing
 * copied. Any bytes may come; what a line means is the caller's. Pure; any thread. */
#ifndef DOCTOR_TEXT_H
#define DOCTOR_TEXT_H

#include "base/slice.h"

/* Takes the next line off *rest, without its newline. False at the end. */
bool text_line(struct slice *rest, struct slice *line);
/* Takes the next word off *rest; blanks, tabs and newlines are between words. False at the end. */
bool text_word(struct slice *rest, struct slice *word);
/* Without blanks at both ends. */
struct slice text_trim(struct slice text);

bool text_is(struct slice text, const char *wanted);
bool text_begins(struct slice text, const char *prefix);
/* The first line that begins with key; *rest is what follows it on that line. */
bool text_find(struct slice text, const char *key, struct slice *rest);
/* Copies at most out_size - 1 bytes and ends them with 0; control characters become '?', as it is to be printed. */
void text_copy(struct slice text, char *out, size_t out_size);

#endif
