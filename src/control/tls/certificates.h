/* Makes the TLS contexts of all listeners from their settings: reads the files, and says which one is wrong and how.
 * Main thread, or whichever reloads; blocks on the disk. */
#ifndef CONTROL_CERTIFICATES_H
#define CONTROL_CERTIFICATES_H

#include "control/tls/file_stamps.h"
#include "runtime/settings/settings.h"
#include "runtime/tls_contexts.h"

#include <stdio.h>

/* Whether any listener has TLS. */
bool certificates_wanted(const struct settings *settings);
/* Fills *set; its references are the caller's. stamps: notes the files as they looked before they were read. False: a
 * sentence for each listener whose files will not do was written to report, or to the log if that is NULL, and there is
 * nothing to drop. */
bool certificates_read(const struct settings *settings, struct tls_tickets *tickets, int64_t wall_s,
		       struct file_stamps *stamps, FILE *report, struct tls_context_set *set);
/* Logs which certificates the listeners show, and warns of those that end soon, are not valid yet or have ended. */
void certificates_log(const struct settings *settings, const struct tls_context_set *set, int64_t wall_s);
/* Warns only. */
void certificates_warn(const struct tls_context_set *set, int64_t wall_s);

#endif
