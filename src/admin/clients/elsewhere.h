/* Clients of other nodes (nodes/nodes.h): who asks one node is answered for all of the cluster. By the HTTP server's
 * thread, which waits for the other nodes for a few seconds at most. What another node asks is never passed on. */
#ifndef ADMIN_API_ELSEWHERE_H
#define ADMIN_API_ELSEWHERE_H

#include "admin/api/request.h"

/* Whether other nodes are to be asked, too. */
bool elsewhere_is_asked(const struct request *request);
/* No client of this node has the id: asks all others the same. True: one knew it, and the request is answered. */
bool elsewhere_answer(struct request *request);

/* A list goes on with the other nodes, one page a node at least. Its cursors are then "@NODE", or "@NODE:" and the
 * cursor of that node. */
bool elsewhere_is_cursor(struct slice cursor);
/* Whether the list that is asked for is one of another node: by its cursor, or by the query `node`. Then the request is
 * answered. */
bool elsewhere_list(struct request *request);
/* The cursor behind the last page of this node (NULL: the one that was asked); JSON's null: there is no further one. */
json_t *elsewhere_next(const struct request *request, const char *node);

#endif
