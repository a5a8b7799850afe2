/* Questions of the admin side to other nodes, and theirs to this one (nodes/nodes.h). A service of the nodes thread. */
#ifndef NODES_REQUESTS_H
#define NODES_REQUESTS_H

#include "nodes/nodes.h"
#include "nodes/thread/service.h"

struct node_port;
struct requests;

struct requests *requests_new(void);
void requests_free(struct requests *requests);
/* The service; context: the requests. */
extern const struct node_service REQUESTS_SERVICE;

/* The nodes thread: the peers that may be asked, by slot; NULL: there is none. Both outlive it. */
void requests_begin(struct requests *requests, struct node_peer *const *peers, struct node_port *port);
/* The nodes thread ends: whoever waits gets what has come. */
void requests_end(struct requests *requests);

/* Other threads: see nodes/nodes.h. */
bool requests_ask(struct requests *requests, const char *node, struct slice question, uint32_t timeout_ms,
		  struct nodes_answers *answers);
void requests_set_answerer(struct requests *requests, const struct nodes_answerer *answerer);
void requests_answer(struct requests *requests, const struct nodes_asked *asked, uint16_t status, struct slice body);

#endif
