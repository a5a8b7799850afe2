/* Lines and words of the text files that the kernel and administrators write: views of the caller's bytes, not copies.
 * Any bytes may come; what a line means is the caller's business. Pure; any thread. */
#ifndef DOCTOR_MACHINE_TEXT_H
#define DOCTOR_MACHINE_TEXT_H

#include "base/slice.h"

/* Takes the next line off *rest, without its newline. False at the end. */
bool text_line(struct slice *rest, struct slice *line);
/* Takes the next word off *rest; blanks, tabs and newlines separate words. False at the end. */
bool text_word(struct slice *rest, struct slice *word);
/* Without the blanks at both ends. */
struct slice text_trim(struct slice text);

bool text_is(struct slice text, const char *wanted);
bool text_begins(struct slice text, const char *prefix);
/* Finds the first line that begins with key; *rest is what follows the key on that line. */
bool text_find(struct slice text, const char *key, struct slice *rest);
/* Copies at most out_size - 1 bytes and ends them with a null character. Bytes that are not printable become '?'. */
void text_copy(struct slice text, char *out, size_t out_size);

#endif
