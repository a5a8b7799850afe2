/* A verdict as people and as programs read it. Main thread. */
#ifndef DOCTOR_SHOW_H
#define DOCTOR_SHOW_H

#include "doctor/verdict.h"

#include <jansson.h>
#include <stdio.h>

/* A table, then what is too low with what mends it. colour: with a terminal's escapes. */
void show_people(const struct verdict *verdict, bool colour, FILE *out);

/* One object: the caller owns the reference. */
json_t *show_json(const struct verdict *verdict);
/* Prints it and gives the reference back. */
void show_print_json(json_t *json, FILE *out);

#endif
