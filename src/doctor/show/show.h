/* A verdict as people and as programs read it. Main thread. */
#ifndef DOCTOR_SHOW_SHOW_H
#define DOCTOR_SHOW_SHOW_H

#include "doctor/limits/verdict.h"

#include <jansson.h>
#include <stdio.h>

/* A table, then what is too low and how to fix it. colour: with a terminal's escape sequences. */
void show_people(const struct verdict *verdict, bool colour, FILE *out);

/* One object; the caller owns the reference. Its members are an interface for scripts and keep their names. */
json_t *show_json(const struct verdict *verdict);
/* Prints the value and gives up the reference. */
void show_print_json(json_t *json, FILE *out);

#endif
