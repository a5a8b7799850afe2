/* A snapshot of the files that control access: keys, passwords and rules, read as a whole or not at all. Each part is
 * immutable and reference-counted. Reading may block on the disk. Any thread. */
#ifndef ACCESS_SNAPSHOT_H
#define ACCESS_SNAPSHOT_H

#include "auth/password/password_file.h"
#include "auth/rules/acl.h"
#include "auth/token/key_set.h"
#include "runtime/settings/access_settings.h"

#include <stdio.h>

struct access_snapshot {
	struct key_set *keys;
	struct password_file *passwords; /* NULL: no file is configured */
	struct acl *acl;
};

/* Reads all files that the settings name. fetched: a JWK set from a URL, which is added to the keys; empty: none.
 * Returns false after writing the file and the fault to report, or to the log if that is NULL; *snapshot is then empty.
 */
bool access_snapshot_read(const struct access_settings *settings, struct slice fetched, FILE *report,
			  struct access_snapshot *snapshot);
/* Releases the references. *snapshot is then empty. */
void access_snapshot_drop(struct access_snapshot *snapshot);

/* Whether the set has at least one usable key. A set without one would lock everyone out, so it is taken for a mistake,
 * and *fault says so. */
bool access_keys_try(struct slice jwks, struct fault *fault);

#endif
