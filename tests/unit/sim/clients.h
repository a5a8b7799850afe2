/* What a play knows while it goes on, and what its clients hear and say. Only for play.c and clients.c. */
#ifndef TESTS_SIM_CLIENTS_H
#define TESTS_SIM_CLIENTS_H

#include "../../fuzz/client_actor.h"
#include "../shard_scene.h"
#include "model.h"
#include "play.h"

#define OUTBOX_MAX 8u /* less than the server's Receive Maximum */
#define REQUESTS_MAX 64u
#define PACKET_BYTES_MAX 32768u

/* A PUBLISH of its own that is not through. */
struct sent {
	uint32_t message;
	uint16_t packet_id;
	bool received; /* PUBREC came */
	bool repeats;  /* PUBREL was sent on an earlier connection: it may have been heard */
};

/* A SUBSCRIBE or UNSUBSCRIBE that was not answered. */
struct request {
	uint16_t packet_id;
	uint8_t filter;
	uint32_t asks;
	uint32_t serial; /* of the session */
};

struct sim_client {
	struct actor actor;
	bool connected; /* CONNACK came, and no end was heard or made */
	bool refused;   /* CONNACK said so */
	bool present;   /* CONNACK said so */
	bool ends;      /* it has ended its output: the server ends the connection */
	bool lasting;   /* its session outlives the connection */
	uint32_t expiry_s;
	bool doubtful;    /* a CONNECT was not answered: its session may be another one */
	uint64_t left_ms; /* when its last connection ended */
	uint16_t packet_id;
	struct sent outbox[OUTBOX_MAX];
	uint32_t outbox_count;
	struct request requests[REQUESTS_MAX];
	uint32_t request_count;
};

struct sim {
	const struct play *play;
	const struct play_hooks *hooks;
	struct shard_scene *scene;
	struct model *model;
	struct sim_client clients[MODEL_CLIENTS];
	uint64_t now_ms;
	uint64_t turn_seed; /* of the step, and counted up in it */
	uint64_t heard;     /* packets, by all */
	uint64_t dropped;   /* messages, as shards counted them that are gone */
	bool breaks;        /* connections may have ended for the server long before their clients know */
	unsigned faults;    /* of now */
	bool settles;       /* all becomes safe at once */
};

/* The connection is over, for the client. */
void sim_lose(struct sim *sim, uint32_t number);
/* Reads once; notes the end, and aborts where there is no reason for it. */
void sim_hear(struct sim *sim, uint32_t number, size_t bytes);
/* actor_observer: what a packet means to its client and to the model. */
void sim_heard_packet(void *context, struct actor *actor, const struct actor_packet *packet);

void sim_say_publish(struct sim *sim, uint32_t number, uint32_t message, uint16_t packet_id, bool again);
/* Steps of a client that is connected. */
void sim_publish(struct sim *sim, uint32_t number, uint32_t bits);
void sim_subscribe(struct sim *sim, uint32_t number, uint32_t bits, bool ends);

#endif
