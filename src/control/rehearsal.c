#include "control/rehearsal.h"

#include "access/access.h"
#include "base/check.h"
#include "control/layout.h"
#include "control/tls/tls_keeper.h"
#include "reactor/fdtable.h"
#include "reactor/mailbox.h"
#include "runtime/settings/settings.h"

#include <stdlib.h>
#include <string.h>

static bool rehearse_access(struct settings *settings)
{
	struct hash_key key = hash_key_random();
	struct mailbox *mailbox = aligned_alloc(64, sizeof(*mailbox));
	CHECK(mailbox != NULL);
	memset(mailbox, 0, sizeof(*mailbox));
	/* The program that serves writes to it. */
	settings->access.revocation_file[0] = '\0';
	return mailbox_open(mailbox) == ERROR_OK && access_new(&settings->access, &key, mailbox, 1) != NULL;
}

bool rehearse(const struct settings *original)
{
	struct layout layout;
	struct tls_keeper tls;
	struct settings *settings = malloc(sizeof(*settings));
	CHECK(settings != NULL);
	*settings = *original; /* planning changes some */
	settings->private_tables = settings->private_tables && fdtable_can_detach();
	return layout_plan(&layout, settings, fdtable_raise_limit(), 1) == ERROR_OK &&
	       tls_keeper_open(&tls, settings) && rehearse_access(settings);
}
