/* What the admin side's paths do. Each answers its request; by the HTTP server's thread. */
#ifndef ADMIN_API_HANDLERS_H
#define ADMIN_API_HANDLERS_H

#include "admin/api/request.h"

/* api_state.c */
void serve_page(struct request *request);
void serve_openapi(struct request *request);
void serve_health(struct request *request);
void serve_readiness(struct request *request);
void serve_metrics(struct request *request);
void serve_reload(struct request *request);

/* api_revocations.c */
void serve_revocations(struct request *request);
void serve_revoke(struct request *request);
void serve_lift(struct request *request);

/* api_stats.c */
void serve_stats(struct request *request);

/* api_clients.c */
void serve_clients(struct request *request);
void serve_client(struct request *request);
void serve_disconnect(struct request *request);
void serve_end_session(struct request *request);

/* api_publish.c */
void serve_publish(struct request *request);
void serve_publish_batch(struct request *request);

#endif
