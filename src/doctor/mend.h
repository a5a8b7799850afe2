/* What mends a limit that is too low: as words, as a script that keeps it mended, or set now. Main thread. */
#ifndef DOCTOR_MEND_H
#define DOCTOR_MEND_H

#include "doctor/root.h"
#include "doctor/verdict.h"

#include <stdio.h>

/* The command or the file that mends it, in one line; out holds MEND_BYTES and is returned. */
#define MEND_BYTES 512u
const char *mend_describe(const struct finding *finding, char *out);

/* Writes a shell script that puts into files what is mendable and sets what can be set at once; with "undo" it takes
 * everything back. Nothing is read or changed here. */
void mend_script(const struct verdict *verdict, FILE *out);

/* Sets what can be set while the machine runs, until it is started again: sysctls and files of /sys. Says on out what
 * each was, what it is now and how to take it back, and what could not be set. Returns how many could not. */
uint32_t mend_apply(const struct verdict *verdict, const struct root *root, FILE *out);

#endif
