#include "deliver/origin/origin.h"

#include "base/clock.h"
#include "mqtt/field/property_write.h"
#include "mqtt/forward.h"
#include "net/peer.h"
#include "state/principal.h"
#include "state/shard.h"

#include <stdio.h>
#include <stdlib.h>

/* Publishers whose addresses are remembered: to ask the kernel is a system call. */
#define PEERS 1024u
/* "18446744073709551615" */
#define TIME_BYTES_MAX 21u

struct origin_peer {
	struct client_ref client; /* none: the place is free */
	uint16_t generation;      /* of the connection */
	char text[PEER_TEXT_BYTES_MAX];
};

/* What is known of a publisher; size 0: nothing. */
struct known {
	struct slice client_id;
	struct slice user;
	struct slice address;
	char time[TIME_BYTES_MAX];
};

void origins_fini(struct origins *origins)
{
	free(origins->bytes);
	free(origins->packet);
	free(origins->peers);
	*origins = (struct origins){0};
}

/* ---- who takes them ---- */

/* Before the subscription is in the index: whoever finds the route finds the flag. */
void origins_take(struct shard *shard)
{
	if (shard->env.origin_takers == NULL)
		return;
	atomic_store(&shard->env.origin_takers[shard->env.number], true);
	atomic_store(&shard->env.origin_takers[shard->env.shard_count], true);
}

bool origins_take_if_internal(struct shard *shard, struct client_ref ref)
{
	const struct session *session = &shard_client(shard, ref)->session;
	bool is_internal = session_id_is_internal(registry_id(&shard->sessions.registry, session));
	if (is_internal)
		origins_take(shard);
	return is_internal;
}

bool origins_are_taken(const struct shard *shard)
{
	return origins_are_taken_by(shard, shard->env.shard_count);
}

bool origins_are_taken_by(const struct shard *shard, uint16_t other)
{
	return shard->env.origin_takers != NULL &&
	       atomic_load_explicit(&shard->env.origin_takers[other], memory_order_relaxed);
}

/* ---- what is known ---- */

/* A buffer that never shrinks below what a common packet needs. False: no memory; it is as it was. */
static bool make_room(uint8_t **buffer, size_t *capacity, size_t size)
{
	if (size <= *capacity && (*capacity <= ORIGIN_BUFFER_KEPT_BYTES || size > ORIGIN_BUFFER_KEPT_BYTES))
		return true;
	size_t wanted = size < ORIGIN_BUFFER_KEPT_BYTES ? ORIGIN_BUFFER_KEPT_BYTES : size;
	uint8_t *made = malloc(wanted);
	if (made == NULL)
		return size <= *capacity;
	free(*buffer);
	*buffer = made;
	*capacity = wanted;
	return true;
}

static struct slice address_of(struct shard *shard, struct client_ref ref, const struct client *client)
{
	struct origins *origins = &shard->routing.origins;
	if (!stream_exists(client->conn.stream))
		return slice_of(NULL, 0);
	if (origins->peers == NULL)
		origins->peers = calloc(PEERS, sizeof(*origins->peers));
	if (origins->peers == NULL)
		return slice_of(NULL, 0);
	struct origin_peer *peer = &origins->peers[ref.index % PEERS];
	if (!client_ref_equal(peer->client, ref) || peer->generation != client->conn.generation) {
		union peer of = peer_of_stream(&shard->mem.io.streams, client->conn.stream);
		*peer = (struct origin_peer){.client = ref, .generation = client->conn.generation};
		if (of.any.sa_family != AF_UNSPEC)
			peer_print(&of, peer->text);
	}
	return slice_string(peer->text);
}

static struct known known_of(struct shard *shard, struct client_ref publisher)
{
	struct known known = {.time = ""};
	snprintf(known.time, sizeof(known.time), "%lu", (unsigned long)clock_wall_ms());
	if (client_ref_is_none(publisher))
		return known;
	const struct client *client = shard_client(shard, publisher);
	const struct principal *principal = principal_of(shard, client);
	if (client->session.id != 0)
		known.client_id = registry_id(&shard->sessions.registry, &client->session);
	if (principal != NULL)
		known.user = slice_of(principal->user, principal->user_bytes);
	known.address = address_of(shard, publisher, client);
	return known;
}

/* ---- properties ---- */

struct origin_field {
	const char *name;
	struct slice value;
};

static size_t write_fields(const struct origin_field *fields, size_t count, uint8_t *out, size_t room)
{
	struct writer writer = writer_of(out, room);
	for (size_t i = 0; i < count; i++) {
		if (fields[i].value.size == 0)
			continue;
		property_write_binary(&writer, MQTT_PROPERTY_USER_PROPERTY, slice_string(fields[i].name));
		writer_binary(&writer, fields[i].value);
	}
	CHECK(!writer.failed);
	return writer.used;
}

struct slice origin_make(struct shard *shard, struct client_ref publisher)
{
	struct origins *origins = &shard->routing.origins;
	struct known known = known_of(shard, publisher);
	const struct origin_field fields[] = {
		{"roost-client", known.client_id},
		{"roost-user", known.user},
		{"roost-address", known.address},
		{"roost-time", slice_string(known.time)},
	};
	const size_t count = sizeof(fields) / sizeof(fields[0]);
	size_t room = 0;
	for (size_t i = 0; i < count; i++)
		room += 1 + 2 + strlen(fields[i].name) + 2 + fields[i].value.size;
	CHECK_LE(room, ORIGIN_BYTES_MAX);
	if (!make_room(&origins->bytes, &origins->capacity, room))
		return slice_of(NULL, 0);
	return slice_of(origins->bytes, write_fields(fields, count, origins->bytes, room));
}

struct origin *origin_keep(struct shard *shard, struct client_ref publisher)
{
	struct slice made = origins_are_taken(shard) ? origin_make(shard, publisher) : slice_of(NULL, 0);
	struct origin *origin = made.size != 0 ? malloc(sizeof(*origin) + made.size) : NULL;
	if (origin == NULL)
		return NULL;
	origin->bytes = (uint32_t)made.size;
	memcpy(origin->properties, made.data, made.size);
	return origin;
}

/* ---- a packet with it ---- */

static struct mqtt_forward with_origin(struct slice origin, const uint8_t *packet,
				       const struct publication *publication, const struct publication_parts *parts)
{
	return (struct mqtt_forward){
		.topic = parts->topic,
		.properties = slice_of(NULL, origin.size + parts->properties.size),
		.payload_bytes = parts->payload.size,
		.packet_id = publication->qos != 0 ? publication_packet_id(publication, packet) : (uint16_t)1,
		.retain = publication->retain,
		.qos = publication->qos,
		.version = MQTT_VERSION_5,
	};
}

/* In the shard's buffer; its properties stand behind it while it is written. */
const uint8_t *origin_write(struct shard *shard, struct slice origin, const uint8_t *packet,
			    struct publication *publication, struct publication_parts *parts, enum error *error)
{
	struct origins *origins = &shard->routing.origins;
	struct mqtt_forward forward = with_origin(origin, packet, publication, parts);
	struct mqtt_forward_size size = mqtt_forward_measure(&forward);
	*error = size.packet_bytes != 0 ? ERROR_OK : ERROR_PACKET_TOO_LARGE;
	if (*error == ERROR_OK &&
	    !make_room(&origins->packet, &origins->packet_capacity, size.packet_bytes + forward.properties.size))
		*error = ERROR_NO_MEMORY;
	if (*error != ERROR_OK)
		return NULL;
	struct writer writer = writer_of(origins->packet + size.packet_bytes, forward.properties.size);
	writer_bytes(&writer, origin);
	writer_bytes(&writer, parts->properties);
	forward.properties.data = writer.out;
	mqtt_forward_encode(&forward, &size, origins->packet);
	struct slice payload = parts->payload;
	if (payload.size != 0)
		memcpy(origins->packet + size.head_bytes, payload.data, payload.size);
	size_t header_bytes = size.packet_id_at - 2 - parts->topic.size;
	CHECK_LE(header_bytes, MQTT_HEADER_BYTES_MAX);
	publication->packet_bytes = (uint32_t)size.packet_bytes;
	publication->header_bytes = (uint8_t)header_bytes;
	publication->is_5 = 1;
	*parts = publication_parts(publication, origins->packet);
	if (publication->expires_s != 0)
		publication_find_expiry(parts);
	parts->payload = payload;
	return origins->packet;
}
