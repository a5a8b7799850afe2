/* The handlers of the admin side's paths. Each answers its request. The HTTP server's thread calls them. */
#ifndef ADMIN_API_HANDLERS_H
#define ADMIN_API_HANDLERS_H

#include "admin/api/request.h"

/* state.c */
void serve_page(struct request *request);
void serve_openapi(struct request *request);
void serve_health(struct request *request);
void serve_readiness(struct request *request);
void serve_metrics(struct request *request);
void serve_reload(struct request *request);
/* Answers that the gateway does not run yet, and how far it is. */
void state_fail_starting(struct request *request);

/* drain.c */
void serve_drain(struct request *request);
void serve_drain_state(struct request *request);
void serve_undrain(struct request *request);

/* upgrade.c */
void serve_upgrade(struct request *request);
void serve_upgrade_state(struct request *request);

/* revocations.c */
void serve_revocations(struct request *request);
void serve_revoke(struct request *request);
void serve_lift(struct request *request);

/* stats.c */
void serve_stats(struct request *request);
void serve_rules(struct request *request);
void serve_presence_table(struct request *request);
void serve_consumers(struct request *request);
void serve_hooks(struct request *request);
void serve_bridges(struct request *request);

/* clients.c */
void serve_clients(struct request *request);
void serve_client(struct request *request);
void serve_disconnect(struct request *request);
void serve_end_session(struct request *request);

/* nodes.c */
void serve_nodes(struct request *request);
void serve_forget(struct request *request);

/* publish.c */
void serve_publish(struct request *request);
void serve_publish_batch(struct request *request);

#endif
