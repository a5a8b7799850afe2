/* What the files say of who may come in: keys, passwords and rules, all of them or nothing. Each part is immutable and
 * counted by reference. Reading may block on the disk; any thread. */
#ifndef ACCESS_SNAPSHOT_H
#define ACCESS_SNAPSHOT_H

#include "auth/password/password_file.h"
#include "auth/rules/acl.h"
#include "auth/token/key_set.h"
#include "runtime/access_settings.h"

#include <stdio.h>

struct access_snapshot {
	struct key_set *keys;
	struct password_file *passwords; /* NULL: no file is configured */
	struct acl *acl;
};

/* Reads all files that the settings name. fetched: a JWK set that came from elsewhere, added to the keys; empty: none.
 * False: a line of *report, or of the log where it is NULL, says which file is at fault and why; *snapshot holds
 * nothing. */
bool access_snapshot_read(const struct access_settings *settings, struct slice fetched, FILE *report,
			  struct access_snapshot *snapshot);
/* Puts back the references; *snapshot holds nothing then. */
void access_snapshot_drop(struct access_snapshot *snapshot);

/* Whether a key of the set is for us. A set without one would shut everyone out: it is taken for a mistake, and *fault
 * says so. */
bool access_keys_try(struct slice jwks, struct fault *fault);

#endif
