/* Sessions that follow their clients between nodes: the service that joins the take-over (cluster/takeover/takeover.h)
 * with the shards (runtime/nodes/session_mail.h) and the links to other nodes. By the nodes thread. */
#ifndef NODES_SESSIONS_H
#define NODES_SESSIONS_H

#include "nodes/thread/service.h"

struct nodes_thread;
struct sessions_service;

/* What a link has no room for waits, up to so much for one peer; beyond that it is dropped and counted, and time limits
 * and the next view put it right. */
#define SESSIONS_WAITING_BYTES_MAX ((size_t)256 << 20)

/* NULL: no memory. The thread outlives it. */
struct sessions_service *sessions_service_new(struct nodes_thread *thread);
void sessions_service_free(struct sessions_service *service);
/* context: the service. */
extern const struct node_service SESSIONS_SERVICE;

/* Asks who holds a client id; `told` is called once, in a later turn or in this call, with the node's name (this one's
 * too), empty where nobody holds it; or never, where the home does not answer: whoever asks has a time limit. */
void sessions_service_ask(struct sessions_service *service, struct slice id,
			  void (*told)(void *context, uint64_t question, struct slice node), void *context,
			  uint64_t question);

#endif
