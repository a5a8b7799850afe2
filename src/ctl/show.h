/* Answers of the API as people read them: names without their unit, and values with it. Scripts use the JSON. Text that
 * clients have chosen is printed without its control characters. Any thread. */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* A column of a table: a member of each row. The last column is not padded. */
struct show_column {
	const char *heading;
	const char *member;
	int width; /* at least; not 0; negative: aligned to the left, as text is */
};

void show_table(const struct show_column *columns, size_t count, const json_t *rows, bool headings, FILE *out);
/* One page; headings: print them before it. */
void show_clients(const json_t *answer, bool headings, FILE *out);
void show_revocations(const json_t *answer, bool headings, FILE *out);
void show_rules(const json_t *answer, FILE *out);
void show_consumers(const json_t *answer, FILE *out);
void show_nodes(const json_t *answer, FILE *out);
void show_hooks(const json_t *answer, FILE *out);
void show_bridges(const json_t *answer, FILE *out);
void show_client(const json_t *answer, FILE *out);
void show_stats(const json_t *answer, FILE *out);
/* Any other answer: a line for each member, or for each item of a list. */
void show_members(const json_t *answer, FILE *out);
/* One line: the member's name without its unit, and its value with it. Lists and objects have none. */
void show_member(const char *indent, const char *name, const json_t *value, FILE *out);
/* Text from outside; control characters become "?". */
void show_text(const char *text, FILE *out);

#endif
