/* A session of the store's model as bytes, as lifecycle/packed/pack.h makes them of a live one: for a replica that
 * takes over what another node had (nodes/replica/replica_takeover.h). The session has no connection any more; one that
 * was connected lost that when its node was lost. Times are seconds since then, or since the pack is made, so nobody's
 * wall clock matters but that of the model.
 *
 * Pure but for what reads bodies; one thread. */
#ifndef LIFECYCLE_MODEL_PACK_H
#define LIFECYCLE_MODEL_PACK_H

#include "memory/bytes.h"
#include "store/model/model.h"

/* As restore_bodies.read (lifecycle/stored/restore.h). */
typedef enum error (*model_pack_read)(void *context, struct store_place place, const struct publication *publication,
				      uint8_t **packet);

enum model_pack_stage {
	MODEL_PACK_HEAD,
	MODEL_PACK_QUEUE,
	MODEL_PACK_REST,
	MODEL_PACK_DONE,
};

struct model_pack {
	const struct model *model;
	const struct model_session *session;
	int64_t now_s; /* by the model's clock */
	model_pack_read read;
	void *context;
	enum model_pack_stage stage;
	const struct model_entry *entry;     /* told next */
	const struct model_message *message; /* told last */
	uint32_t messages;                   /* told: each is named by its number */
	uint32_t entries;
	uint64_t lost; /* messages that could not be read */
};

/* now_s: the model's wall clock and what has passed since. */
void model_pack_begin(struct model_pack *pack, const struct model *model, const struct model_session *session,
		      int64_t now_s, model_pack_read read, void *context);
/* Appends records to `out` until it has about `bytes_max`, or all is told (MODEL_PACK_DONE). Errors of `read` but
 * ERROR_NOT_FOUND; where memory is short, out->failed. */
enum error model_pack_some(struct model_pack *pack, struct bytes *out, size_t bytes_max);

#endif
