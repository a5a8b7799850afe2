/* The bus between nodes: a connection to NATS, through libnats, that carries datagrams at most once
 * (cluster/link/link.h makes more of it). Three subjects: `roost.CLUSTER.all`, which every node reads, and
 * `roost.CLUSTER.node.NAME`, which the node of that name reads.
 *
 * Owned by the nodes thread, whose poll() waits for its descriptors: libnats' own read and flush threads do not run. No
 * call here blocks, but that bus_free() takes up to two seconds. What may block (resolving a name, connecting, TLS and
 * NATS' greeting) is done by a companion thread (nodes/bus/dial.h), made here, so that it has the nodes thread's
 * descriptor table, as have the threads that libnats makes for itself.
 *
 * Where libnats waits for the other side all the same (in the middle of a TLS record), the connection is ended after
 * BUS_STALL_MS. A connection that has brought nothing back for BUS_SILENT_MS, not even what the bus sends to itself, is
 * ended as well. Then, and whenever NATS cannot be reached, it is tried again for ever, one URL after another, after a
 * pause that grows to BUS_PAUSE_MS_MAX and has a random part.
 *
 * What is given to a bus that is not connected is dropped. */
#ifndef NODES_BUS_H
#define NODES_BUS_H

#include "base/error.h"
#include "base/slice.h"
#include "cluster/members/heartbeat.h"
#include "nodes/bus/bus_url.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define BUS_DESCRIPTORS 2u
/* What waits for the socket; from there on bus_has_room() says no. */
#define BUS_BUFFER_BYTES (1u << 20)
/* Of NATS, which the server has to allow: a datagram of a link. */
#define BUS_PAYLOAD_BYTES 65536u
#define BUS_CONNECT_MS 2000u
#define BUS_PAUSE_MS_MIN 100u
#define BUS_PAUSE_MS_MAX 2000u
#define BUS_PROBE_MS 1000u
#define BUS_SILENT_MS 4000u
#define BUS_STALL_MS 1000u

struct bus_settings {
	const char *urls;        /* nats://[USER[:PASSWORD]@]HOST[:PORT] or tls://..., separated by commas */
	const char *cluster;     /* node_name_is_valid() */
	const char *node;        /* the same */
	const char *credentials; /* file with a JWT and a seed (.creds); NULL: none */
	const char *ca_file;     /* who signs servers; NULL: the system's */
	const char *certificate; /* our own, with its key; both or none */
	const char *key;
	bool shares_library; /* other buses of this process use libnats too (tests, the bench): its threads stay */
};

enum bus_subject {
	BUS_ALL,
	BUS_NODE,
};

struct bus_receiver {
	void *context;
	/* The datagram is valid during the call. It may send. */
	void (*on_datagram)(void *context, enum bus_subject subject, struct slice datagram);
	void (*on_connected)(void *context);
	void (*on_lost)(void *context);
};

enum bus_state {
	BUS_CONNECTING,
	BUS_CONNECTED,
	BUS_WAITING, /* for the next try */
};

struct bus_status {
	enum bus_state state;
	uint64_t since_ms;
	char url[BUS_TEXT_BYTES];   /* without user and password: of the server that it is connected to, or tries */
	char error[BUS_TEXT_BYTES]; /* the last, in words; "": none yet */
	uint64_t error_ms;
	uint32_t max_payload;
	uint64_t connects; /* since the start */
	uint64_t tries;
	uint64_t datagrams_sent;
	uint64_t datagrams_received;
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t dropped_unsent; /* given while it was not connected, or above twice the buffer */
};

struct bus;
/* A subject of another node, made once. */
struct bus_address {
	char subject[sizeof("roost..node.") + 2 * NODE_NAME_BYTES_MAX]; /* with '~' for each dot of the name */
};

/* Called by the nodes thread, after it has its own descriptor table; loads libnats, connects later. NULL: *fault says
 * why in words, in `text`. The settings are copied. */
struct bus *bus_new(const struct bus_settings *settings, struct bus_receiver receiver, uint64_t now_ms,
		    char text[BUS_TEXT_BYTES]);
/* Sends what waits, for a moment, and ends all threads of libnats. */
void bus_free(struct bus *bus);

/* Fills in what to wait for. Returns how many, up to BUS_DESCRIPTORS. */
uint32_t bus_poll(struct bus *bus, struct pollfd *fds);
/* After the wait, whatever came of it: reads, calls the receiver, keeps time. */
void bus_process(struct bus *bus, const struct pollfd *fds, uint32_t count, uint64_t now_ms);
uint64_t bus_next_deadline(const struct bus *bus);

/* Connected, and less than BUS_BUFFER_BYTES wait. */
bool bus_has_room(struct bus *bus);
/* false: it was dropped. Goes with the next bus_flush(), or before. */
bool bus_send_all(struct bus *bus, struct slice datagram);
bool bus_send(struct bus *bus, const struct bus_address *to, struct slice datagram);
/* At the end of a turn. */
void bus_flush(struct bus *bus);

void bus_address_of(const struct bus *bus, struct slice node, struct bus_address *address);
bool bus_is_connected(const struct bus *bus);
void bus_status(const struct bus *bus, struct bus_status *status);

#endif
