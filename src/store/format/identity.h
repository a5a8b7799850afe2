/* Who a store is: the file DIR/id, a text of three lines that is made once and never changes. Main thread.
 *
 *     roost-store 1          the format (STORE_FORMAT)
 *     id 32 hex digits       in the header of each segment, and in what its commits' checksums are keyed with
 *     key 32 hex digits      secret: store_key() */
#ifndef STORE_IDENTITY_H
#define STORE_IDENTITY_H

#include "base/error.h"
#include "store/format/disk.h"

#define STORE_IDENTITY_NAME "id"
/* What it is called until it is whole: all that there is where the power failed while the store was made. */
#define STORE_IDENTITY_NEW_NAME "id.new"
/* The revocation file, where no other one is configured: in the directory, and no part of the log. */
#define STORE_REVOCATIONS_NAME "revocations"
/* The keys of TLS session tickets, likewise. */
#define STORE_TLS_TICKETS_NAME "tls-tickets"

struct store_identity {
	uint8_t id[16];
	uint8_t key[16];
};

/* ERROR_NOT_FOUND: the directory has no such file. ERROR_SYSTEM: it cannot be used, and *why says why, in static
 * storage. */
enum error store_identity_load(const struct disk *disk, struct store_identity *identity, const char **why);
/* Makes a new one, and returns once it is on the device. Errors as above, but for ERROR_NOT_FOUND. */
enum error store_identity_make(const struct disk *disk, struct store_identity *identity, const char **why);
/* Writes this one: into a backup. */
enum error store_identity_save(const struct disk *disk, const struct store_identity *identity, const char **why);

#endif
