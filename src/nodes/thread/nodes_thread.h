/* What the nodes thread consists of. For the files of this folder; everybody else has nodes/nodes.h. By that thread,
 * where a member does not say otherwise. */
#ifndef NODES_NODES_THREAD_H
#define NODES_NODES_THREAD_H

#include "cluster/link/link.h"
#include "cluster/members/members.h"
#include "control/gateway.h"
#include "nodes/bus/bus.h"
#include "nodes/thread/agreement.h"
#include "nodes/thread/nodes_status.h"
#include "nodes/thread/peer.h"
#include "nodes/thread/service.h"

#include <pthread.h>
#include <semaphore.h>

#define NODES_SERVICES_MAX 8u
_Static_assert(NODES_SERVICES_MAX <= PEER_SERVICES_MAX, "each service may keep something for each peer");

/* What two nodes of this program say to each other (cluster/wire/message.h). */
#define NODES_PROTOCOL 1u

struct service_entry {
	const struct node_service *service;
	void *context;
};

/* A peer, with what only the thread itself needs. */
struct peer_entry {
	struct node_peer peer; /* first: services have a pointer to it */
	struct link link;
	struct nodes_thread *thread;
	struct bus_address address;
	uint64_t state_since_ms;
	uint64_t clients; /* as it said last */
	uint64_t faults;  /* messages that did not follow the protocol */
};

struct interest;
struct requests;
struct sessions_service;
struct session_asker;
struct publishing;
struct replication;
struct retained_service;
struct revocations_service;

struct nodes_thread {
	/* Set before the thread starts. */
	struct gateway *gateway;
	struct gateway_parts parts;
	const struct cluster_settings *settings;
	const char *node; /* this node's name */
	bool has_store;
	struct requests *requests;
	struct session_asker *asker; /* of sessions of this node's: those of spools */
	struct retained_service *retained;
	struct interest *interest;
	struct publishing *publishing;
	struct sessions_service *sessions;
	struct revocations_service *revocations;
	struct replication *replication;
	/* Its own. */
	struct bus *bus;
	struct members *members;
	struct node_peer *peers[NODES_MAX]; /* by slot; each is a struct peer_entry; NULL: the slot is free */
	struct service_entry services[NODES_SERVICES_MAX];
	uint32_t service_count;
	uint64_t now_ms; /* when the turn began */
	uint64_t status_ms;
	uint64_t figures_ms;
	uint64_t foreign_datagrams;
	bool is_busy;           /* a service has more to do at once */
	bool renews;            /* this run is over for the others: another one begins in this turn */
	uint64_t held_until_ms; /* messages that are acknowledged wait so long at most; 0: no more */
	bool is_resting;
	bool is_ending;
	struct nodes_status next_status; /* being made */
	/* Between threads. */
	pthread_mutex_t lock; /* of the next three */
	struct nodes_status status;
	struct agreement agreements[AGREEMENTS];
	bool has_agreed_anew; /* they have changed, and members do not know them yet */
	_Atomic bool resting;
	_Atomic bool stopping;
	_Atomic bool failed;
	/* A node that is to be forgotten; "": none. Under the lock, as what came of it. */
	char forgets[CLUSTER_NAME_BYTES_MAX];
	enum error forgot;
	sem_t forgotten;
	sem_t begun;
	sem_t left; /* it has left the gateway */
	pthread_t thread;
};

/* The thread's main function; argument: struct nodes_thread. */
void *nodes_main(void *argument);
/* Adds a service, before the thread begins to serve. Those that were added first are told of peers first. */
void nodes_add_service(struct nodes_thread *thread, const struct node_service *service, void *context);
/* Random, and not 0. */
uint64_t nodes_new_incarnation(void);

/* ---- nodes/fellows.c: peers, as members, links and services see them ---- */

/* Makes the members, whose observer it is. NULL: no memory. */
struct members *fellows_new(struct nodes_thread *thread, uint64_t incarnation);
/* Takes up the spools of nodes that are not heard of yet. */
void fellows_remember(struct nodes_thread *thread);
/* See nodes_forget(). */
enum error fellows_forget(struct nodes_thread *thread, const char *name);
/* A datagram for this node. */
void fellows_receive(struct nodes_thread *thread, struct slice datagram);
/* After members_receive() and members_tick(): begins anew where this run is over. */
void fellows_settle(struct nodes_thread *thread);
/* Tells the members what should be alike on all nodes, where that has changed. */
void fellows_agree(struct nodes_thread *thread);
/* Hands datagrams to the bus, as far as it has room. */
void fellows_send(struct nodes_thread *thread);
/* The links' deadlines: to be called once a turn. */
void fellows_tick(struct nodes_thread *thread);
uint64_t fellows_deadline(const struct nodes_thread *thread);
/* The bus is back: what was lost with the old connection goes again at once, not when its time is up. */
void fellows_hurry(struct nodes_thread *thread);
/* Tells the peers how this node is doing. */
void fellows_tell_figures(struct nodes_thread *thread);
void fellows_status(const struct nodes_thread *thread, struct nodes_status *status);
void fellows_free(struct nodes_thread *thread);

#endif
