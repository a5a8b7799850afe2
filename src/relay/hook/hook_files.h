/* What a hook has in files: its secret, and headers' values. Read by the main thread before a configuration is put to
 * use, so that mistakes are told then, and by the thread of hooks, which reads them again after a while: what is
 * replaced counts without a reload. Each call blocks on the disk. */
#ifndef RELAY_HOOK_HOOK_FILES_H
#define RELAY_HOOK_HOOK_FILES_H

#include "relay/item/hook.h"

#define HOOK_SECRET_BYTES_MAX 1024u
#define HOOK_VALUE_BYTES_MAX 8192u

struct hook_files {
	uint8_t *secret; /* NULL: the hook has none */
	size_t secret_bytes;
	char *headers[HOOK_HEADER_FILES_MAX]; /* "Name: value" */
	uint32_t header_count;
};

/* Fills in *files. False: fault says which file is wrong, and how, and *files is empty. */
bool hook_files_read(struct hook_files *files, const struct hook *hook, char fault[ITEM_FAULT_BYTES_MAX]);
void hook_files_free(struct hook_files *files);

/* The same, for the fault alone. Also looks whether files for TLS can be read, and dead letters written. */
bool hook_files_check(const struct hook *hook, char fault[ITEM_FAULT_BYTES_MAX]);

#endif
