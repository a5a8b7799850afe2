/* A rule file, read (auth/rules/acl.h says how it is written). Private to acl.c. Pure. */
#ifndef AUTH_ACL_FILE_H
#define AUTH_ACL_FILE_H

#include "auth/text/fault.h"
#include "base/slice.h"

struct acl_file {
	struct slice rules; /* entries (auth/rules/acl_rules.h), one ACL_TOKEN among them */
};

/* False: *fault says what is wrong, with the line; then it needs no acl_file_fini(). */
bool acl_file_read(struct acl_file *file, struct slice text, struct fault *fault);
void acl_file_fini(struct acl_file *file);

#endif
