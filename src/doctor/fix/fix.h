/* How to fix a limit that is too low: in words, by a script that makes the fix last, or by setting it now. Main thread.
 */
#ifndef DOCTOR_FIX_FIX_H
#define DOCTOR_FIX_FIX_H

#include "doctor/limits/verdict.h"
#include "doctor/machine/root.h"

#include <stdio.h>

/* The command or the file that fixes it, in one line; "": nothing does. out holds FIX_BYTES and is returned. */
#define FIX_BYTES 512u
const char *fix_describe(const struct finding *finding, char *out);

/* Writes a shell script that puts every fix into files and sets at once what can be set at once; with "undo" it takes
 * all of it back. Nothing is read or changed here. */
void fix_write_script(const struct verdict *verdict, FILE *out);

/* Sets what can be set while the machine runs: sysctls and files of /sys, until the next boot. Writes to out what each
 * value was, what it is now and how to undo it, and what could not be set. Returns how many could not. */
uint32_t fix_apply(const struct verdict *verdict, const struct root *root, FILE *out);

#endif
