/* Answers of the API as people read them. Text that clients have chosen is printed without its control characters. */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include <jansson.h>
#include <stdio.h>

void show_clients(const json_t *answer, FILE *out);
void show_client(const json_t *answer, FILE *out);
void show_revocations(const json_t *answer, FILE *out);
void show_stats(const json_t *answer, FILE *out);
/* Any other: a line for each field, or for each of a list. */
void show_fields(const json_t *answer, FILE *out);
/* Text from outside. */
void show_text(const char *text, FILE *out);

#endif
