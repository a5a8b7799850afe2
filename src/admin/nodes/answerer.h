/* Answers what other nodes ask (nodes/nodes.h), in a thread of its own: the HTTP server's thread may itself be waiting
 * for that node. Made, started and stopped by the main thread, with the admin side. */
#ifndef ADMIN_API_ANSWERER_H
#define ADMIN_API_ANSWERER_H

#include "admin/api/context.h"

struct answerer;

/* Begins to answer. It and what it uses live until answerer_stop(). NULL: memory or threads are short. */
struct answerer *answerer_start(struct api *api, struct nodes *nodes);
/* answerer may be NULL. */
void answerer_stop(struct answerer *answerer);

#endif
