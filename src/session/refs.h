/* What a shard names its objects by (memory/ref.h). A reference is good on its own shard alone. */
#ifndef SESSION_REFS_H
#define SESSION_REFS_H

#include "memory/list.h"
#include "memory/ref.h"

DEFINE_REF(client); /* its place in the pool of clients; its session is the same */
DEFINE_LIST(client);
DEFINE_REF(message);      /* kept by sessions: a block of the slab (session/messages.h) */
DEFINE_REF(subscription); /* its place in the pool of subscriptions (subscriptions/subscriptions.h) */

/* Blocks of the slab that a client has only at times. */
DEFINE_REF(principal); /* state/principal.h */
DEFINE_REF(extension); /* state/extension.h */
DEFINE_REF(account);   /* state/account.h */

#endif
