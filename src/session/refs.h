/* The references to a shard's objects (memory/ref.h). A reference is valid on its own shard only. */
#ifndef SESSION_REFS_H
#define SESSION_REFS_H

#include "memory/list.h"
#include "memory/ref.h"

DEFINE_REF(client); /* an index in the pool of clients; names its session as well */
DEFINE_LIST(client);
DEFINE_REF(message);      /* kept for sessions: a block of the slab (session/messages.h) */
DEFINE_REF(subscription); /* an index in the pool of subscriptions (subscriptions/subscriptions.h) */

/* Blocks of the slab that only some clients have. */
DEFINE_REF(principal); /* state/principal.h */
DEFINE_REF(extension); /* state/extension.h */
DEFINE_REF(account);   /* state/account.h */

#endif
